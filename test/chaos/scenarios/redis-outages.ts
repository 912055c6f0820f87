import { setTimeout as sleep } from 'node:timers/promises'
import { withFleet } from '../fixtures/fleet.js'
import { type SingleRedis, withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Expectation, type Result, type Scale, type Scenario } from '../scenario.js'
import { JOBS, openAt, openBetween, planOf, SECONDS, scaled, withReplicas } from './common.js'

/** A fault of the one Redis, for as long as it lasts, on three replicas at work; then all is well again. */
export function outage(
  scale: Scale,
  fault: (redis: SingleRedis) => unknown,
  repair: (redis: SingleRedis) => unknown,
  lasting: readonly [short: number, long: number],
  expected: Expectation | ((at: { readonly fault: number; readonly healed: number }) => Expectation),
  args: readonly string[] = []
): Promise<Result> {
  return withSingle(
    (redis) =>
      withReplicas({ redis: redis.proxy.url }, async (fleet) => {
        const faultAt = trueNow()
        await fault(redis)
        await sleep(scaled(scale, ...lasting))
        await repair(redis)
        const healedAt = trueNow()
        fleet.healed()
        await fleet.recovered()
        const verdict = await fleet.finish(scaled(scale, 1500, 8000))
        return compare(
          fleet,
          verdict,
          typeof expected === 'function' ? expected({ fault: faultAt, healed: healedAt }) : expected
        )
      }),
    args
  )
}

/** The longest wait before a replica asks again: 2 s for its connection, 2 s for its claims, and then for the next tick. */
export const RECONNECTS = 4500

export const redisOutages: readonly Scenario[] = [
  {
    name: 'Redis is down at the start',
    promise: 'The service starts without Redis, and its jobs begin when Redis comes',
    run: ({ scale }) =>
      withSingle(async (redis) => {
        await redis.kill()
        return withFleet(JOBS, async (fleet) => {
          const settings = { redis: redis.proxy.url }
          await fleet.start(planOf(settings, 0), planOf(settings, 1), planOf(settings, 2))
          await sleep(scaled(scale, 1500, 10_000))
          await redis.restart()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          return compare(fleet, verdict, { missed: 'some', reasons: ['redis_error'], recovery: RECONNECTS })
        })
      })
  },
  {
    name: 'Redis is killed and comes back empty',
    promise: 'A lost claim can cost one second run of one tick a job, and nothing beyond that',
    run: ({ scale }) =>
      outage(
        scale,
        (redis) => redis.kill(),
        (redis) => redis.restart(),
        [1500, 8000],
        // docs/guarantees.md: a tick can run twice if a replica comes to it within its grace after the loss; those that ran last
        // before it are counted as missed by a replica that comes back before who ran them, which tells Redis of them.
        ({ fault, healed }) => ({
          missed: 'some',
          doubled: openAt(healed),
          counted: openBetween(fault - 1000, fault),
          recovery: RECONNECTS
        })
      )
  },
  {
    name: 'Redis is killed and at once started empty',
    promise: 'A lost claim can cost one second run of one tick a job; a lost lock, one overlap a job',
    run: ({ scale }) =>
      outage(
        scale,
        (redis) => redis.kill(),
        (redis) => redis.restart(),
        [0, 0],
        // docs/guarantees.md: a run can start beside the one that goes on, which finds out at its next extension or at its end.
        ({ fault, healed }) => ({
          missed: 'any',
          doubled: openAt(healed),
          counted: openBetween(fault - 1000, fault),
          overlapping: JOBS.length,
          recovery: RECONNECTS
        })
      )
  },
  {
    name: 'Redis is killed and comes back with its data',
    promise: 'At most one claim per tick, over a restart of Redis with persistence',
    run: ({ scale }) =>
      outage(
        scale,
        (redis) => redis.kill(),
        (redis) => redis.restart(),
        [500, 8000],
        { missed: 'any', recovery: RECONNECTS },
        ['--appendonly', 'yes', '--appendfsync', 'always']
      )
  },
  {
    name: 'Redis hangs for 3 s',
    promise: 'A claim that was executed but not answered runs once, or not at all',
    run: ({ scale }) =>
      outage(
        scale,
        (redis) => redis.hang(),
        (redis) => redis.resume(),
        [3000, 3000],
        { missed: 'some', recovery: RECONNECTS }
      )
  },
  {
    name: 'Redis hangs for longer than the grace',
    promise: 'A tick that comes too late to run is missed, and never run late',
    run: ({ scale }) => {
      const jobs = SECONDS.map((job) => ({ ...job, options: { ...job.options, misfireGraceTime: 300 } }))
      return withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs }, async (fleet) => {
          redis.hang()
          await sleep(scaled(scale, 2500, 12_000))
          redis.resume()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          return compare(fleet, verdict, { missed: 'some', recovery: RECONNECTS })
        })
      )
    }
  },
  {
    name: 'Redis is busy for 2 s',
    promise: 'A slow command of somebody else delays or misses ticks, and doubles or loses none',
    run: ({ scale }) =>
      outage(
        scale,
        (redis) => redis.client.call('DEBUG', 'SLEEP', scaled(scale, 2, 5)),
        () => {},
        [0, 0],
        { missed: 'any', recovery: RECONNECTS },
        ['--enable-debug-command', 'yes']
      )
  }
]
