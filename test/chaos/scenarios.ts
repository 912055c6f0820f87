import type { Scenario } from './scenario.js'
import { deploys } from './scenarios/deploys.js'
import { highAvailability } from './scenarios/high-availability.js'
import { masters } from './scenarios/masters.js'
import { mixedBuilds } from './scenarios/mixed-builds.js'
import { redisData } from './scenarios/redis-data.js'
import { redisNetwork } from './scenarios/redis-network.js'
import { redisOutages } from './scenarios/redis-outages.js'
import { replicaFaults } from './scenarios/replica-faults.js'
import { slotDeploys } from './scenarios/slot-deploys.js'
import { slots } from './scenarios/slots.js'
import { waiting } from './scenarios/waiting.js'

export const scenarios: readonly Scenario[] = [
  // What happens to one Redis, on the way to it, and within it.
  ...redisOutages,
  ...redisNetwork,
  ...redisData,
  // What happens to replicas.
  ...replicaFaults,
  ...slots,
  ...waiting,
  ...deploys,
  ...mixedBuilds,
  ...slotDeploys,
  // What happens to several Redis servers.
  ...masters,
  ...highAvailability
]
