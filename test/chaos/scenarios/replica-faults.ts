import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet } from '../fixtures/fleet.js'
import type { RunFacts, Tick } from '../fixtures/judge.js'
import type { Replica } from '../fixtures/replica.js'
import { withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scenario } from '../scenario.js'
import { type FleetSettings, JOBS, openAt, planOf, SECONDS, scaled, TTL, withReplicas } from './common.js'

/** A replica that is at work on this job now. */
async function workingOn(fleet: Fleet, jobId: string): Promise<{ replica: Replica; run: RunFacts }> {
  const since = trueNow()
  const run = await fleet.awaitRun((one) => one.jobId === jobId && one.startedAt > since)
  const replica = fleet.replicas.find(({ plan, alive }) => alive && plan.name === run.replica)
  if (replica === undefined) throw new Error(`${run.replica} has ended`)
  return { replica, run }
}

/** What became of a run. */
function fateOf(fleet: Fleet, { runId }: RunFacts): string | null {
  return fleet.runs.find((run) => run.runId === runId)?.outcome ?? null
}

/** A holder that lives without its lock: it tells of that itself, or others have found the run abandoned before. */
function isLostOnce(fleet: Fleet, run: RunFacts): readonly [boolean, string] {
  const told = fleet.abandoned.filter(({ runId }) => runId === run.runId).map(() => 'abandoned')
  const fate = [...told, ...[fateOf(fleet, run)].filter((outcome) => outcome !== null)]
  return [fate.length === 1 && fate[0] !== 'success', `the run under way ended as ${fate.join(' and ') || 'nothing'}`]
}

/** How long it takes at most until a run is found to be abandoned, from the end of its lock. */
const NOTICED = 15_000

/**
 * What a crash may cost. Of each job one tick: claimed by the dead, and neither begun nor counted by then. Nobody else
 * may run it, as it may have been.
 */
function claimedBy(crashes: readonly number[]): (tick: Tick) => boolean {
  return (tick) => crashes.some((crash) => openAt(crash)(tick))
}

export const replicaFaults: readonly Scenario[] = [
  {
    name: 'The event loop of a replica is blocked beyond the TTL',
    promise: 'A holder that stood still knows at once that its lock is lost, and the others go on meanwhile',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          const { replica, run } = await workingOn(fleet, 'long')
          const blocked = replica.tell({ type: 'block', duration: scaled(scale, 2500, 10_000) })
          fleet.healed(({ jobId }) => jobId === 'long')
          await fleet.recovered()
          await blocked
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          return compare(fleet, verdict, {
            missed: 'any',
            // What the blocked one had claimed when it was blocked, it alone can count: when it goes on.
            recovery: 2500,
            also: [isLostOnce(fleet, run)]
          })
        })
      )
  },
  {
    name: 'A replica is stopped (SIGSTOP) beyond the TTL, and goes on',
    promise: 'A process that was stopped finds its lock lost, and its late writes have a smaller fencing token',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          const { replica, run } = await workingOn(fleet, 'long')
          // Half way between two ticks: a process that stands still just when it begins a run begins it when it goes on.
          await sleep(300 - (Date.now() % 200))
          replica.freeze()
          fleet.healed(({ jobId }) => jobId === 'long')
          await fleet.recovered()
          await sleep(scaled(scale, 2000, 10_000))
          replica.thaw()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const next = fleet.runs.find(({ jobId, startedAt }) => jobId === 'long' && startedAt > run.startedAt)
          return compare(fleet, verdict, {
            missed: 'any',
            recovery: 2500,
            also: [
              isLostOnce(fleet, run),
              [Number(next?.fencingToken) > Number(run.fencingToken), 'the next run has no larger token']
            ]
          })
        })
      )
  },
  {
    name: 'A replica is stopped (SIGSTOP) between asking for a run by hand and the answer',
    promise:
      'Nothing begins under a lock that is over by the time its answer is read, and what was asked for is had again',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs: SECONDS }, async (fleet) => {
          for (let count = 0; count < scaled(scale, 3, 9); count++) {
            const replica = fleet.replicas[count % 3] as Replica
            redis.proxy.delayReplies(200)
            // Half way between two ticks, so that no other run of the job is in its way.
            await sleep(1500 - (Date.now() % 1000))
            await replica.tell({ type: 'trigger', jobId: 'second-1' })
            await sleep(80)
            replica.freeze()
            redis.proxy.delayReplies(0)
            // It goes on between two ticks as well: what it asks for again would else meet with the run of a tick.
            await sleep(TTL + 800)
            replica.thaw()
            await sleep(600)
          }
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 1500, 5000))
          const byHand = fleet.runs.filter(({ trigger }) => trigger === 'manual')
          const lockless = byHand.filter(({ startedAt, lostAt }) => lostAt !== null && lostAt - startedAt < 100)
          return compare(fleet, verdict, {
            missed: 'any',
            recovery: 2500,
            also: [
              [lockless.length === 0, `${lockless.length} runs by hand began without their lock`],
              [byHand.length > 0, 'no run by hand began']
            ]
          })
        })
      )
  },
  {
    name: 'A replica is killed (SIGKILL) during its runs',
    promise: 'At most once: its runs are not started again, and the next ticks go on after the TTL',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          const crashes: number[] = []
          const times = scaled(scale, 2, 6)
          for (let count = 0; count < times; count++) {
            const { replica } = await workingOn(fleet, 'second-3')
            await replica.kill()
            crashes.push(trueNow())
            fleet.healed(({ jobId }) => jobId === 'second-3')
            await fleet.recovered()
            if (count < times - 1) await fleet.start(planOf(settings, 3 + count))
          }
          const verdict = await fleet.finish(scaled(scale, 1000, 5000), claimedBy(crashes))
          return compare(fleet, verdict, { lost: claimedBy(crashes), recovery: TTL + 1500 })
        })
      })
  },
  {
    name: 'A replica is killed (SIGKILL) during a run, and the others notice',
    promise: 'A run that ended with its replica is told by one of the others, once, within 15 s of the end of its lock',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          const crashes: number[] = []
          const failures: string[] = []
          for (let count = 0; count < scaled(scale, 1, 4); count++) {
            const { replica, run } = await workingOn(fleet, 'second-3')
            await replica.kill()
            const crash = trueNow()
            crashes.push(crash)
            fleet.healed(({ jobId }) => jobId === 'second-3')
            await fleet.recovered()
            const told = () => fleet.abandoned.filter(({ runId }) => runId === run.runId)
            const limit = crash + TTL + NOTICED
            while (told().length === 0 && trueNow() < limit) await sleep(50)
            // Those that look a little later find nothing more.
            await sleep(6000)
            if (told().length !== 1) failures.push(`a run was told ${told().length} times`)
            await fleet.start(planOf(settings, 3 + count))
          }
          const verdict = await fleet.finish(scaled(scale, 500, 5000), claimedBy(crashes))
          return compare(fleet, verdict, {
            lost: claimedBy(crashes),
            recovery: TTL + 1500,
            also: [[failures.length === 0, failures.join(', ')]]
          })
        })
      })
  },
  {
    name: 'One of three replicas is killed at random moments, and started again',
    promise: 'Crashes at any point of a tick double nothing',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          const crashes: number[] = []
          const times = scaled(scale, 3, 12)
          for (let count = 0; count < times; count++) {
            await sleep(Math.random() * 600)
            const living = fleet.replicas.filter(({ alive }) => alive)
            await living[Math.floor(Math.random() * living.length)]?.kill()
            crashes.push(trueNow())
            await fleet.start(planOf(settings, 3 + count))
          }
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 1000, 5000), claimedBy(crashes))
          return compare(fleet, verdict, { missed: 'any', lost: claimedBy(crashes), recovery: 2000 })
        })
      })
  },
  {
    name: 'The clocks of three replicas are wrong by -900, 0 and +900 ms',
    promise: "Ticks follow Redis' clock: each runs once, and none before its time",
    run: ({ scale }) =>
      withSingle((redis) => {
        const each: FleetSettings['each'] = (index) => ({ offset: (index - 1) * 900 })
        return withReplicas({ redis: redis.proxy.url, each }, async (fleet) => {
          const verdict = await fleet.finish(scaled(scale, 3500, 20_000))
          return compare(fleet, verdict, { everyTickRuns: true })
        })
      })
  },
  {
    name: 'Wall clocks are set forwards and back by an hour',
    promise: 'A clock that steps neither repeats nor skips a tick',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          const [one, two] = fleet.replicas
          const hour = 3_600_000
          const pause = scaled(scale, 800, 4000)
          for (const [replica, by] of [
            [one, hour],
            [two, -hour],
            [one, -2 * hour],
            [two, 2 * hour]
          ] as const) {
            await replica?.tell({ type: 'jump', by })
            await sleep(pause)
          }
          const verdict = await fleet.finish(scaled(scale, 800, 4000))
          return compare(fleet, verdict, { everyTickRuns: true })
        })
      )
  },
  {
    name: 'The wall clocks of all replicas are set forwards by an hour at once',
    promise: "A step of a machine's clock is none of Redis' clock",
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs: JOBS }, async (fleet) => {
          for (const by of [3_600_000, -7_200_000]) {
            await Promise.all(fleet.replicas.map((replica) => replica.tell({ type: 'jump', by })))
            await sleep(scaled(scale, 1500, 8000))
          }
          const verdict = await fleet.finish(500)
          return compare(fleet, verdict, { everyTickRuns: true })
        })
      )
  }
]
