import { withCluster, withSentinel } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scenario } from '../scenario.js'
import { JOBS, openAt, PREFIX, scaled, withReplicas } from './common.js'

/** An election and its announcement, and what a client takes to find the new master. */
const ELECTED = 4000

export const highAvailability: readonly Scenario[] = [
  {
    name: 'Sentinels make the replica of a dead master the master',
    promise: 'A failover costs at most the claims that had not reached the replica: one tick a job',
    run: ({ scale }) =>
      withSentinel((redis) =>
        withReplicas({ redis: redis.redis }, async (fleet) => {
          await redis.master.kill()
          const killedAt = trueNow()
          await redis.promoted()
          const promotedAt = trueNow()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 15_000))
          return compare(fleet, verdict, {
            missed: 'any',
            // README: a failover to a replica that lagged behind can lose a claim, and a lock.
            doubled: (tick) => openAt(killedAt)(tick) || openAt(promotedAt)(tick),
            overlapping: JOBS.length,
            recovery: ELECTED
          })
        })
      )
  },
  {
    name: 'The slot of the app moves to another node of a Cluster',
    promise: 'All keys of an app are in one slot, which can be moved under the work',
    run: ({ scale }) =>
      withCluster(PREFIX, (cluster) =>
        withReplicas({ redis: cluster.redis }, async (fleet) => {
          await cluster.reshard(scaled(scale, 30, 500))
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          return compare(fleet, verdict, { missed: 'any', recovery: 2500 })
        })
      )
  },
  {
    name: 'A replica of a Cluster takes the place of its master',
    promise: 'A failover that is asked for loses nothing',
    run: ({ scale }) =>
      withCluster(PREFIX, (cluster) =>
        withReplicas({ redis: cluster.redis }, async (fleet) => {
          await cluster.failover()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 2000, 15_000))
          return compare(fleet, verdict, { missed: 'any', recovery: 2500 })
        })
      )
  },
  {
    name: 'The master of the slot of the app in a Cluster is killed',
    promise: 'A failover costs at most the claims that had not reached the replica: one tick a job',
    run: ({ scale }) =>
      withCluster(PREFIX, (cluster) =>
        withReplicas({ redis: cluster.redis }, async (fleet) => {
          const killedAt = trueNow()
          await cluster.killMaster()
          const promotedAt = trueNow()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 15_000))
          return compare(fleet, verdict, {
            missed: 'any',
            doubled: (tick) => openAt(killedAt)(tick) || openAt(promotedAt)(tick),
            overlapping: JOBS.length,
            recovery: ELECTED
          })
        })
      )
  }
]
