import { setTimeout as sleep } from 'node:timers/promises'
import { type Fleet, withFleet } from '../fixtures/fleet.js'
import { type Tick, ticksBetween, type Verdict } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import type { Replica } from '../fixtures/replica.js'
import { withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Expectation, type Scale, type Scenario } from '../scenario.js'
import { type FleetSettings, JOBS, openAt, planOf, SECONDS, scaled, TTL, withReplicas } from './common.js'

/** Runs that do not end by themselves, one of which heeds its signal. */
const ENDLESS: readonly PlannedJob[] = [
  { id: 'obedient', interval: 1000, duration: 30_000, options: { lock: { ttl: 1500 } } },
  { id: 'stubborn', interval: 1000, duration: 30_000, stubborn: true, options: { lock: { ttl: 1500 } } }
]

/** Jobs of one trigger, which are asked for as a block; those of every second keep the replicas asking. */
const BLOCK: readonly PlannedJob[] = Array.from({ length: 8 }, (_, index) => {
  return { id: `block-${index}`, interval: 4000, duration: 20, options: { lock: { ttl: TTL } } }
})

interface Deployed {
  readonly verdict: Verdict
  /** How long a replica took to close at most, in milliseconds. */
  readonly longest: number
  /** That no run was cut short, and that all replicas that were to end have done so by themselves. */
  readonly ends: NonNullable<Expectation['also']>
}

/** Replaces the replicas of a fleet one after another, each when the new one is there. */
async function rollingDeploy(fleet: Fleet, settings: FleetSettings, scale: Scale): Promise<Deployed> {
  let longest = 0
  for (let count = 0; count < scaled(scale, 3, 12); count++) {
    await fleet.start(planOf(settings, 3 + count))
    longest = Math.max(longest, await (fleet.replicas[count] as Replica).terminate())
  }
  fleet.healed()
  const verdict = await fleet.finish(scaled(scale, 500, 3000))
  const cut = Object.keys(verdict.outcomes).filter((outcome) => outcome !== 'success')
  const codes = fleet.replicas.filter(({ exitCode }) => exitCode !== 0).map(({ plan }) => plan.name)
  const ends = [
    [cut.length === 0, `runs ended as ${cut}`],
    [codes.length === 0, `${codes} did not end by themselves`]
  ] as const
  return { verdict, longest, ends }
}

export const deploys: readonly Scenario[] = [
  {
    name: 'Replicas close, one after another, while what they have asked for is answered',
    promise: 'A claim that is handed back is run by another replica, and again, however many jobs come due with it',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url, jobs: [...SECONDS.slice(0, 2), ...BLOCK] }
        return withReplicas(settings, async (fleet) => {
          redis.proxy.delayReplies(300)
          const rounds = scaled(scale, 3, 8)
          // Which replica is granted a tick is chance: on until one was that closes.
          const isHandedBack = (): boolean => fleet.skips.some(({ reason }) => reason === 'shutdown')
          for (let count = 0; count < rounds || (!isHandedBack() && count < 4 * rounds); count++) {
            await fleet.start(planOf(settings, 3 + count))
            // Their tick is claimed by then, and nobody knows of it yet.
            await sleep(4000 - (Date.now() % 4000) + 150)
            await (fleet.replicas[count] as Replica).terminate()
          }
          redis.proxy.heal()
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 5000, 9000))
          const unrun = verdict.unrun.filter(({ interval }) => interval === 4000)
          return compare(fleet, verdict, {
            missed: 'any',
            reasons: ['shutdown'],
            recovery: 1500,
            also: [[unrun.length === 0, `${unrun.length} ticks of the block did not run`]]
          })
        })
      })
  },
  {
    name: 'A rolling deploy of three replicas',
    promise: 'Every tick runs, and no run is cut short: each new replica is there before an old one goes',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          const { verdict, ends } = await rollingDeploy(fleet, settings, scale)
          return compare(fleet, verdict, {
            everyTickRuns: true,
            recovery: 1500,
            also: ends
          })
        })
      })
  },
  {
    name: 'A rolling deploy of apps with requests in flight, some of which wait for a run',
    promise: 'Closing begins with the runs, and neither a request nor a run keeps the other from its end',
    run: ({ scale }) =>
      withSingle((redis) => {
        const jobs = JOBS.filter(({ id }) => id !== 'long')
        const settings = { redis: redis.proxy.url, jobs, each: () => ({ isApp: true, closeTimeout: 1000 }) }
        return withReplicas(settings, async (fleet) => {
          const { verdict, longest, ends } = await rollingDeploy(fleet, settings, scale)
          return compare(fleet, verdict, {
            everyTickRuns: true,
            recovery: 1500,
            also: [
              ...ends,
              // closeTimeout for the run that waits, what requests take, and the process' own end.
              [longest < 1000 + 300 + 1500, `a replica took ${longest} ms to close`]
            ]
          })
        })
      })
  },
  {
    name: 'Replicas close while runs take longer than closeTimeout',
    promise:
      'Closing ends in bounded time, and the locks of what was aborted are free at once, of the rest by their TTL',
    run: ({ scale }) =>
      withSingle((redis) => {
        const jobs = [...SECONDS, ...ENDLESS]
        const settings = { redis: redis.proxy.url, jobs, each: () => ({ closeTimeout: 500 }) }
        return withReplicas(settings, async (fleet) => {
          let longest = 0
          const rounds = scaled(scale, 1, 5)
          for (let count = 0; count < rounds; count++) {
            for (const { id } of ENDLESS) {
              const run = await fleet.awaitRun(({ jobId, endedAt }) => jobId === id && endedAt === null)
              const holder = fleet.replicas.find(({ plan }) => plan.name === run.replica) as Replica
              await fleet.start(planOf(settings, fleet.replicas.length))
              fleet.healed(({ jobId }) => jobId === id)
              longest = Math.max(longest, await holder.terminate())
              await fleet.recovered()
            }
          }
          const verdict = await fleet.finish(scaled(scale, 500, 3000))
          return compare(fleet, verdict, {
            outcomes: ['cancelled', 'abandoned'],
            reasons: ['overlap'],
            // closeTimeout, a second for handlers to heed their signal, the TTL, and the next tick.
            recovery: 500 + 1000 + 1500 + 1500,
            // The process' own end comes on top.
            also: [[longest < 500 + 1000 + 1500, `a replica took ${longest} ms to close`]]
          })
        })
      })
  },
  {
    name: 'A job is paused during a rolling deploy',
    promise: 'A pause holds for the fleet, and outlives the replica that asked for it',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          await fleet.replicas[0]?.tell({ type: 'pause', jobId: 'second-1' })
          const pausedAt = trueNow()
          for (let count = 0; count < 3; count++) {
            await fleet.start(planOf(settings, 3 + count))
            await (fleet.replicas[count] as Replica).terminate()
          }
          await sleep(scaled(scale, 500, 10_000))
          const resumedAt = trueNow()
          fleet.healed(({ jobId }) => jobId === 'second-1')
          await fleet.replicas[4]?.tell({ type: 'resume', jobId: 'second-1' })
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 500, 8000))
          const meanwhile = fleet.runs.filter(
            ({ jobId, startedAt }) => jobId === 'second-1' && startedAt > pausedAt + 50 && startedAt < resumedAt
          )
          return compare(fleet, verdict, {
            reasons: ['paused'],
            recovery: 1500,
            also: [[meanwhile.length === 0, `it ran ${meanwhile.length} times while it was paused`]]
          })
        })
      })
  },
  {
    name: 'All replicas are down for 3 s',
    promise: 'The ticks of a downtime are counted once for the fleet by the first replica to start',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          await Promise.all(fleet.replicas.map((replica) => replica.terminate()))
          const downFrom = trueNow()
          await sleep(scaled(scale, 2000, 10_000))
          const downUntil = trueNow()
          await fleet.start(planOf(settings, 3), planOf(settings, 4), planOf(settings, 5))
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const down = ticksBetween(JOBS, downFrom + 50, downUntil - 1000)
          const silent = down.filter(
            (tick) =>
              !fleet.skips.some(({ jobId, scheduledTime }) => jobId === tick.jobId && scheduledTime === tick.time)
          )
          return compare(fleet, verdict, {
            missed: 'some',
            recovery: 2500,
            also: [[silent.length === 0, `${silent.length} of ${down.length} ticks of the downtime were not counted`]]
          })
        })
      })
  },
  {
    name: 'All replicas are killed, and come back after 3 s',
    promise: 'The ticks after a crash of all are counted once for the fleet',
    run: ({ scale }) =>
      withSingle((redis) => {
        const settings = { redis: redis.proxy.url }
        return withReplicas(settings, async (fleet) => {
          await Promise.all(fleet.replicas.map((replica) => replica.kill()))
          const killedAt = trueNow()
          await sleep(scaled(scale, 2000, 10_000))
          await fleet.start(planOf(settings, 3), planOf(settings, 4), planOf(settings, 5))
          fleet.healed()
          await fleet.recovered()
          // Claimed by one of the dead, which had not yet begun or told of it.
          const lost = openAt(killedAt)
          const verdict = await fleet.finish(scaled(scale, 1500, 8000), lost)
          return compare(fleet, verdict, {
            missed: 'some',
            lost,
            recovery: 2500
          })
        })
      })
  },
  {
    name: 'All replicas are down over the first tick of a job',
    promise:
      'The first tick of a job is accounted for like any other: it runs within its grace, else it is counted once',
    run: ({ scale }) =>
      withSingle((redis) => {
        // The grid of an interval begins at the epoch: this is its thousandth tick, and no other is near.
        const interval = Math.ceil((trueNow() + scaled(scale, 10_000, 20_000)) / 1000)
        const tick = interval * 1000
        const jobs: readonly PlannedJob[] = [
          { id: 'in-time', interval, duration: 50 },
          { id: 'too-late', interval, duration: 50, options: { misfireGraceTime: 500 } },
          { id: 'all', interval, duration: 50, options: { coalesce: 'all', misfireGraceTime: 60_000 } }
        ]
        const settings = { redis: redis.proxy.url, jobs }
        return withFleet(jobs, async (fleet) => {
          await fleet.start(planOf(settings, 0), planOf(settings, 1), planOf(settings, 2))
          await Promise.all(
            fleet.replicas.map((replica, index) => (index === 0 ? replica.kill() : replica.terminate()))
          )
          const isDown = trueNow() < tick
          await sleep(Math.max(0, tick + 1500 - trueNow()))
          await fleet.start(planOf(settings, 3), planOf(settings, 4), planOf(settings, 5))
          await fleet.awaitRun(({ jobId }) => jobId === 'in-time')
          const verdict = await fleet.finish(scaled(scale, 500, 5000))
          const ran = fleet.runs.map(({ jobId, trigger }) => `${jobId} (${trigger})`).sort()
          const counted = fleet.skips.filter(({ type }) => type === 'missed').map(({ jobId }) => jobId)
          return compare(fleet, verdict, {
            missed: 'some',
            also: [
              [isDown, 'the replicas were up at the tick'],
              [`${ran}` === 'all (catch-up),in-time (catch-up)', `what ran: ${ran}`],
              [`${counted}` === 'too-late', `what was missed: ${counted}`]
            ]
          })
        })
      })
  },
  {
    name: 'Redis is down for a while, and missed ticks are counted',
    promise: 'A tick that the fleet has missed is counted once, and not by each replica',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          redis.proxy.refuse()
          await sleep(scaled(scale, 2500, 10_000))
          redis.proxy.heal()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 2000, 8000))
          return compare(fleet, verdict, { missed: 'some', recovery: 4500 })
        })
      )
  },
  {
    name: "A replica dies, and its runs are to be run again (recovery: 'rerun')",
    promise: 'At least once: another replica takes the tick over within the TTL and a second, with a larger token',
    run: ({ scale }) =>
      withSingle((redis) => {
        const rerun: PlannedJob = {
          id: 'rerun',
          interval: 5000,
          duration: 1500,
          options: { lock: { ttl: TTL }, recovery: 'rerun', misfireGraceTime: 30_000 }
        }
        const settings = { redis: redis.proxy.url, jobs: [...SECONDS, rerun] }
        return withReplicas(settings, async (fleet) => {
          const failures: string[] = []
          const crashes: number[] = []
          for (let count = 0; count < scaled(scale, 1, 4); count++) {
            const since = crashes.at(-1) ?? 0
            const run = await fleet.awaitRun(
              (one) => one.jobId === 'rerun' && one.attempt === 1 && one.endedAt === null && one.startedAt > since
            )
            await fleet.replicas.find(({ plan }) => plan.name === run.replica)?.kill()
            const killedAt = trueNow()
            crashes.push(killedAt)
            const again = await fleet.awaitRun(
              (one) => one.scheduledTime === run.scheduledTime && one.jobId === 'rerun' && one.attempt === 2,
              10_000
            )
            fleet.healed(() => false)
            if (again.startedAt - killedAt > TTL + 1000) failures.push(`after ${again.startedAt - killedAt} ms`)
            if (again.trigger !== 'recovery') failures.push(`by the trigger ${again.trigger}`)
            if (Number(again.fencingToken) <= Number(run.fencingToken)) failures.push('with a smaller token')
            await fleet.start(planOf(settings, fleet.replicas.length))
          }
          // Of the other jobs, what the dead had claimed and not begun.
          const lost = (tick: Tick): boolean => tick.jobId !== 'rerun' && crashes.some((crash) => openAt(crash)(tick))
          const verdict = await fleet.finish(1500, lost)
          return compare(fleet, verdict, {
            lost,
            also: [[failures.length === 0, `it was taken over ${failures.join(', ')}`]]
          })
        })
      })
  },
  {
    name: "Redis is down, and a job is to run all the same (onRedisError: 'run')",
    promise: 'Where twice is better than never, no tick is without a run',
    run: ({ scale }) =>
      withSingle((redis) => {
        const eager: PlannedJob = { id: 'eager', interval: 1000, duration: 100, options: { onRedisError: 'run' } }
        return withReplicas({ redis: redis.proxy.url, jobs: [...SECONDS, eager] }, async (fleet) => {
          const since = trueNow()
          await redis.kill()
          await sleep(scaled(scale, 3000, 10_000))
          await redis.restart()
          const until = trueNow()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 2000, 8000))
          const unrun = ticksBetween([eager], since - 1000, until).filter(
            ({ time }) => !fleet.runs.some(({ jobId, scheduledTime }) => jobId === 'eager' && scheduledTime === time)
          )
          return compare(fleet, verdict, {
            missed: 'any',
            // That is what was asked for; and Redis has come back empty.
            doubled: (tick) => (tick.jobId === 'eager' && tick.time > since - 1000) || openAt(until)(tick),
            overlapping: Number.POSITIVE_INFINITY,
            recovery: 4500,
            also: [[unrun.length === 0, `${unrun.length} ticks had no run`]]
          })
        })
      })
  }
]
