import type { Scenario } from './scenario.js'
import { deploys } from './scenarios/deploys.js'
import { highAvailability } from './scenarios/high-availability.js'
import { masters } from './scenarios/masters.js'
import { mixedBuilds } from './scenarios/mixed-builds.js'
import { redisData } from './scenarios/redis-data.js'
import { redisNetwork } from './scenarios/redis-network.js'
import { redisOutages } from './scenarios/redis-outages.js'
import { replicaFaults } from './scenarios/replica-faults.js'

/** What happens to one Redis, and on the way to it. */
export const redisScenarios: readonly Scenario[] = [...redisOutages, ...redisNetwork]

/** What happens within one Redis, to its data and its settings. */
export const dataScenarios: readonly Scenario[] = redisData

/** What happens to replicas. */
export const replicaScenarios: readonly Scenario[] = [...replicaFaults, ...deploys, ...mixedBuilds]

/** What happens to several Redis servers. */
export const topologyScenarios: readonly Scenario[] = [...masters, ...highAvailability]

export const scenarios: readonly Scenario[] = [
  ...redisScenarios,
  ...dataScenarios,
  ...replicaScenarios,
  ...topologyScenarios
]
