import type { Scenario } from './scenario.js'
import { deploys } from './scenarios/deploys.js'
import { highAvailability } from './scenarios/high-availability.js'
import { masters } from './scenarios/masters.js'
import { mixedBuilds } from './scenarios/mixed-builds.js'
import { redisData } from './scenarios/redis-data.js'
import { redisNetwork } from './scenarios/redis-network.js'
import { redisOutages } from './scenarios/redis-outages.js'
import { replicaFaults } from './scenarios/replica-faults.js'

/** What happens to one Redis, on the way to it and within it, and to the replicas that share it. */
const withOneRedis: readonly Scenario[] = [
  ...mixedBuilds, // It takes the longest.
  ...redisOutages,
  ...redisNetwork,
  ...redisData,
  ...replicaFaults,
  ...deploys
]

/** What happens to several Redis servers at a time. */
const withSeveralRedis: readonly Scenario[] = [...masters, ...highAvailability]

/** All scenarios, and how many of a kind two processors can play at a time. */
export const groups = [
  { name: 'one Redis', scenarios: withOneRedis, atOnce: 3 },
  { name: 'several Redis', scenarios: withSeveralRedis, atOnce: 2 }
] as const

export const scenarios: readonly Scenario[] = groups.flatMap((group) => group.scenarios)
