import type { Fleet } from '../fixtures/fleet.js'
import { canMakeHosts, withHosts } from '../fixtures/hosts.js'
import type { Verdict } from '../fixtures/judge.js'
import { type ClusterRedis, withCluster, withSentinel, withSplit } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Result, type Scale, type Scenario } from '../scenario.js'
import { JOBS, openAt, openBetween, PREFIX, planOf, SECONDS, scaled, withReplicas } from './common.js'

/** How soon after another master was there jobs are to go on, where the old one's host has vanished. */
const VANISHED = 5000

/** An election and its announcement, and what a client takes to find the new master. */
const ELECTED = 4000

/**
 * @param lostAt when a master died: docs/guarantees.md, a failover to a replica that lagged behind can lose a claim, and a lock
 */
async function goesOn(fleet: Fleet, scale: Scale, lostAt: readonly number[], limit = ELECTED): Promise<Result> {
  fleet.healed()
  await fleet.recovered()
  const verdict = await fleet.finish(scaled(scale, 1500, 15_000))
  const isDeath = lostAt.length > 0
  return compare(fleet, verdict, {
    missed: 'any',
    doubled: (tick) => lostAt.some((at) => openAt(at)(tick)),
    // By a replica that comes to the new master before who ran them last, which tells it of them.
    counted: (tick) => lostAt.some((at) => openBetween(at - 1000, at)(tick)),
    overlapping: isDeath ? JOBS.length : 0,
    recovery: isDeath ? limit : 2500
  })
}

/** @param befall what happens to the Cluster; resolves with when a master died, and when another took its place */
function inCluster(befall: (cluster: ClusterRedis, scale: Scale) => Promise<number[]>): Scenario['run'] {
  return ({ scale }) =>
    withCluster(PREFIX, (cluster) =>
      withReplicas({ redis: cluster.redis }, async (fleet) => goesOn(fleet, scale, await befall(cluster, scale)))
    )
}

/** The two masters of a split: three replicas stay with the old one, three more find the new one. */
function inSplit(
  args: readonly string[],
  result: (fleet: Fleet, verdict: Verdict, split: readonly [from: number, until: number]) => Result
): Scenario['run'] {
  return ({ scale }) =>
    withSplit(args, (redis) =>
      withReplicas({ jobs: SECONDS, redis: redis.before }, async (fleet) => {
        const from = trueNow()
        await redis.split()
        const until = trueNow()
        const plans = [3, 4, 5].map((index) => planOf({ jobs: SECONDS, redis: redis.after }, index))
        await fleet.start(...plans)
        const verdict = await fleet.finish(scaled(scale, 4000, 10_000))
        return result(fleet, verdict, [from, until])
      })
    )
}

/** Where this machine cannot make networks of its own, a server that vanishes is one whose process is stopped. */
const VANISHES = canMakeHosts
  ? 'vanishes without a word'
  : 'is stopped (this machine cannot make it vanish: no network namespaces)'

export const highAvailability: readonly Scenario[] = [
  {
    name: 'Sentinels make the replica of a dead master the master',
    promise: 'A failover costs at most the claims that had not reached the replica: one tick a job',
    run: ({ scale }) =>
      withSentinel((redis) =>
        withReplicas({ redis: redis.address }, async (fleet) => {
          await redis.master.kill()
          const killedAt = trueNow()
          await redis.promoted()
          return goesOn(fleet, scale, [killedAt, trueNow()])
        })
      )
  },
  {
    name: 'The slot of the app moves to another node of a Cluster',
    promise: 'All keys of an app are in one slot, which can be moved under the work',
    run: inCluster(async (cluster, scale) => {
      await cluster.reshard(scaled(scale, 30, 500))
      return []
    })
  },
  {
    name: 'A replica of a Cluster takes the place of its master',
    promise: 'A failover that is asked for loses nothing',
    run: inCluster(async (cluster) => {
      await cluster.failover()
      return []
    })
  },
  {
    name: 'The master of the slot of the app in a Cluster is killed',
    promise: 'A failover costs at most the claims that had not reached the replica: one tick a job',
    run: inCluster(async (cluster) => {
      const killedAt = trueNow()
      await cluster.loseMaster('kill')
      return [killedAt, trueNow()]
    })
  },
  {
    name: `The host of a master behind Sentinels ${VANISHES}, and the client is the app's`,
    promise: 'A fleet goes on within 5 s of the failover, whatever options the client that was given has',
    run: ({ scale }) =>
      withHosts(3, (hosts) =>
        withSentinel(
          (redis) =>
            withReplicas({ redis: { ...redis.address, asClient: true } }, async (fleet) => {
              redis.master.vanish()
              const vanishedAt = trueNow()
              await redis.promoted()
              return goesOn(fleet, scale, [vanishedAt, trueNow()], VANISHED)
            }),
          { hosts }
        )
      )
  },
  {
    name: `The host of the master of the slot of the app in a Cluster ${VANISHES}`,
    promise: 'A fleet goes on within 5 s of the failover, whatever options the client that was given has',
    run: ({ scale }) =>
      withHosts(4, (hosts) =>
        withCluster(
          PREFIX,
          (cluster) =>
            withReplicas({ redis: cluster.redis }, async (fleet) => {
              const vanishedAt = trueNow()
              await cluster.loseMaster('vanish')
              return goesOn(fleet, scale, [vanishedAt, trueNow()], VANISHED)
            }),
          hosts
        )
      )
  },
  {
    name: 'A network is split behind Sentinels, and the old master takes no writes without its replica',
    promise: 'With min-replicas-to-write and min-replicas-max-lag no tick runs twice in a split',
    run: inSplit(['--min-replicas-to-write', '1', '--min-replicas-max-lag', '2'], (fleet, verdict, [from, until]) =>
      compare(fleet, verdict, {
        missed: 'any',
        // What the old master has claimed until it stopped is unknown to the new one, which counts it as missed.
        doubled: openBetween(from, until),
        overlapping: SECONDS.length,
        also: [[verdict.doubled.length === 0, `${verdict.doubled.length} ticks ran twice`]]
      })
    )
  },
  {
    name: 'A network is split behind Sentinels, and the old master takes writes all the same',
    promise: 'Not promised: without these settings ticks run twice for as long as a split lasts, as the guarantees say',
    run: inSplit([], (fleet, verdict) => ({
      verdict,
      recovery: fleet.recovery,
      failures: verdict.doubled.length > 0 ? [] : ['no tick ran twice: the split had no effect']
    }))
  }
]
