import { setTimeout as sleep } from 'node:timers/promises'
import type { PlannedJob } from '../fixtures/protocol.js'
import { withProxies } from '../fixtures/tcp-proxy.js'
import { withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, isSlow, type Scenario } from '../scenario.js'
import { JOBS, SECONDS, scaled, TTL, withReplicas } from './common.js'
import { outage, RECONNECTS } from './redis-outages.js'

/** Slower than this a lock with a TTL of 450 ms cannot be held. */
const PATIENT: readonly PlannedJob[] = JOBS.map((job) => ({ ...job, options: { lock: { ttl: 5000 } } }))

export const redisNetwork: readonly Scenario[] = [
  {
    name: 'The network is slow by 200 ms each way',
    promise: 'Slowness delays runs, and doubles or loses none',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs: PATIENT }, async (fleet) => {
          redis.proxy.delay(200)
          await sleep(scaled(scale, 3000, 15_000))
          // A tick of every 200 ms is over before its claim is back.
          const before = fleet.runs.length
          redis.proxy.heal()
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const missed = verdict.missed.filter(isSlow)
          return compare(fleet, verdict, {
            missed: 'any',
            recovery: 1500,
            also: [
              [before > 0, 'nothing ran while it was slow'],
              [missed.length === 0, `${missed.length} ticks of every second were missed`]
            ]
          })
        })
      )
  },
  {
    name: 'Connections are cut every 300 ms',
    promise: 'A lost reply costs nothing: the claim is asked for again, by the same name',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          // Every second cut falls on a tick whose replies are on their way.
          redis.proxy.delayReplies(20)
          const until = trueNow() + scaled(scale, 3500, 15_000)
          while (trueNow() < until) {
            await sleep(300 - ((trueNow() - 12) % 300))
            redis.proxy.cut()
          }
          redis.proxy.heal()
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          return compare(fleet, verdict, { missed: 'any', recovery: RECONNECTS })
        })
      )
  },
  {
    name: 'Connections are refused',
    promise: 'Replicas try to connect until they can, and then go on at once',
    run: ({ scale }) =>
      outage(
        scale,
        ({ proxy }) => proxy.refuse(),
        ({ proxy }) => proxy.heal(),
        [2000, 12_000],
        { missed: 'some', recovery: RECONNECTS }
      )
  },
  {
    name: 'The network swallows everything',
    promise: 'A Redis that answers nothing hangs nobody: ticks are missed, and then it goes on',
    run: ({ scale }) =>
      outage(
        scale,
        ({ proxy }) => proxy.blackhole(),
        ({ proxy }) => proxy.heal(),
        [2500, 12_000],
        { missed: 'some', recovery: RECONNECTS }
      )
  },
  {
    name: 'Replies are swallowed for 2 s',
    promise: 'A claim that took effect without an answer is neither run twice nor forgotten',
    run: ({ scale }) =>
      outage(
        scale,
        ({ proxy }) => proxy.swallowReplies(),
        ({ proxy }) => proxy.heal(),
        [2000, 2000],
        { missed: 'any', recovery: RECONNECTS }
      )
  },
  {
    name: 'The connections there are die silently',
    promise: 'A connection that is dead without anybody saying so is replaced by a new one',
    run: ({ scale }) =>
      outage(
        scale,
        ({ proxy }) => proxy.forget(),
        () => {},
        [0, 0],
        // Two exchanges of 2 s without an answer, and the new connection.
        { missed: 'any', recovery: 6000 }
      )
  },
  {
    name: 'Replies are slower than the TTL of the lock',
    promise: 'Nothing runs under a lock that had run out before its holder knew of it',
    run: ({ scale }) => {
      const jobs = SECONDS.map((job) => ({ ...job, duration: 250, options: { lock: { ttl: 200 } } }))
      return withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs }, async (fleet) => {
          redis.proxy.delayReplies(400)
          const slowFrom = trueNow()
          await sleep(scaled(scale, 3000, 12_000))
          redis.proxy.heal()
          const slowUntil = trueNow()
          fleet.healed()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const believed = fleet.runs.filter(
            ({ startedAt, outcome }) =>
              startedAt > slowFrom + 900 && startedAt < slowUntil - 500 && outcome === 'success'
          )
          const lockless = fleet.runs.filter(({ startedAt, lostAt }) => lostAt !== null && lostAt - startedAt < 20)
          return compare(fleet, verdict, {
            missed: 'any',
            recovery: 2000,
            also: [
              [believed.length === 0, `${believed.length} runs without a lock ended as a success`],
              [lockless.length === 0, `${lockless.length} handlers were called when their lock had run out`]
            ]
          })
        })
      )
    }
  },
  {
    name: 'One of three replicas is cut off',
    promise: 'The others run every tick; the one without Redis runs nothing',
    run: ({ scale }) =>
      withSingle((redis) =>
        withProxies([redis.port], ([own]) =>
          withReplicas({ redis: (index) => (index === 0 ? own : redis.proxy)?.url as string }, async (fleet) => {
            own?.blackhole()
            const since = trueNow()
            await sleep(scaled(scale, 3000, 15_000))
            own?.heal()
            const back = trueNow()
            fleet.healed(({ replica }) => replica === 'replica-0')
            await fleet.recovered()
            const verdict = await fleet.finish(scaled(scale, 1500, 8000))
            const alone = fleet.runs.filter(
              ({ replica, startedAt }) => replica === 'replica-0' && startedAt > since + TTL && startedAt < back
            )
            // What it claimed with its last request may be missed, as nobody else may run it.
            const cut = verdict.ticks - verdict.ran
            return compare(fleet, verdict, {
              missed: 'any',
              recovery: RECONNECTS,
              also: [
                [alone.length === 0, `${alone.length} runs on a replica without Redis`],
                [cut <= JOBS.length * 4, `${cut} ticks had no run`]
              ]
            })
          })
        )
      )
  }
]
