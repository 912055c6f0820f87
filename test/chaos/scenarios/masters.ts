import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet } from '../fixtures/fleet.js'
import type { RunFacts, Tick } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { type SingleRedis, withMasters } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, isSlow, type Scale, type Scenario } from '../scenario.js'
import { JOBS, openAt, openBetween, scaled, withReplicas } from './common.js'

/** What is done to a minority of the masters of a quorum, and how it is undone. */
interface MastersFault {
  readonly name: string
  readonly promise: string
  readonly masters: number
  /** @param forget to be called as masters lose what they know */
  fault(masters: SingleRedis[], scale: Scale, forget: () => void): unknown
  repair?(masters: SingleRedis[]): unknown
}

const MINORITIES: readonly MastersFault[] = [
  {
    name: 'One of three masters is killed, and comes back empty',
    promise: 'A minority of masters down changes nothing',
    masters: 3,
    fault: ([one], _scale, forget) => {
      forget()
      return one?.kill()
    },
    repair: ([one]) => one?.restart()
  },
  {
    name: 'One of three masters hangs',
    promise: 'A minority of masters that does not answer delays ticks, and no more',
    masters: 3,
    fault: ([one]) => one?.hang(),
    repair: ([one]) => one?.resume()
  },
  {
    name: 'One of three masters is wiped, again and again',
    promise: 'What a minority has forgotten, the majority remembers',
    masters: 3,
    fault: async ([one], scale, forget) => {
      for (let count = 0; count < scaled(scale, 5, 30); count++) {
        forget()
        await one?.client.flushall()
        await sleep(300)
      }
    }
  },
  {
    name: 'One of three masters is cut off',
    promise: 'A minority that cannot be reached changes nothing',
    masters: 3,
    fault: ([one]) => one?.proxy.blackhole(),
    repair: ([one]) => one?.proxy.heal()
  },
  {
    name: 'Two of five masters are killed, and come back empty',
    promise: 'A minority of two masters down changes nothing',
    masters: 5,
    fault: ([one, two], _scale, forget) => {
      forget()
      return Promise.all([one?.kill(), two?.kill()])
    },
    repair: ([one, two]) => Promise.all([one?.restart(), two?.restart()])
  }
]

/**
 * Jobs for a machine that has no time for three replicas and five masters: where each step of a claim takes some hundred
 * milliseconds, locks of a second are lost and runs overlap the next tick though nothing is wrong. The long ones go on beyond
 * their lock's TTL, so that a majority must extend it while the minority is in trouble.
 */
const PATIENT: readonly PlannedJob[] = [
  ...[50, 200, 400].flatMap((duration, index): PlannedJob[] =>
    [0, 1000].map((offset) => {
      return { id: `short-${index}-${offset}`, interval: 2000, offset, duration, options: { lock: { ttl: 3000 } } }
    })
  ),
  ...[0, 1000, 2000].map((offset): PlannedJob => {
    return { id: `long-${offset}`, interval: 3000, offset, duration: 1800, options: { lock: { ttl: 1200 } } }
  }),
  ...JOBS.filter((job) => job.interval < 1000)
]

/** How long after its lock was given a run may begin, on a machine that is busy. */
const BEGINS_WITHIN = 500

/** Which part of the ticks may be neither run nor counted: see `minority`. */
const UNCOUNTED = 0.1

/**
 * For which part of their time replicas stand still on a machine of which nothing can be asked that is about time: their locks are
 * lost before any fault. That no two runs do the same work is asked of each machine.
 */
const STARVED = 0.3

function isStarved(fleet: Fleet): boolean {
  const stoodStill = fleet.record.stalls.reduce((sum, { from, until }) => sum + until - from, 0)
  return stoodStill > STARVED * fleet.replicas.length * (trueNow() - fleet.from)
}

/**
 * Whether a run was under way when masters forgot, and lost its lock since: a lock that a bare majority gave, as the votes were
 * split, is gone when one of these forgets it (docs/guarantees.md). The run is told, and nothing runs beside it unawares.
 */
function isForgotten({ startedAt, lostAt }: RunFacts, forgotAt: number): boolean {
  return startedAt <= forgotAt + BEGINS_WITHIN && lostAt !== null && lostAt >= forgotAt
}

function tell({ jobId, runId, startedAt, lostAt }: RunFacts): string {
  return `${jobId} (${runId}) from ${startedAt}, told at ${lostAt ?? 'no time'}`
}

/**
 * Whatever becomes of a minority: every tick of every other second runs, and no lock is lost but by what is forgotten. A tick
 * may be left uncounted if the next one is granted between the two steps of its claim (docs/guarantees.md, "The limits of
 * several masters"): on a busy machine two steps take as long as it is to the next tick of every 200 ms, and for these alone.
 */
function minority({ name, promise, masters: count, fault, repair }: MastersFault): Scenario {
  return {
    name,
    promise,
    run: ({ scale }) =>
      withMasters(count, (servers) =>
        withReplicas({ redis: servers.map(({ proxy }) => proxy.url), jobs: PATIENT }, async (fleet) => {
          fleet.healed()
          const faultAt = trueNow()
          const forgotten: number[] = []
          await fault(servers, scale, () => void forgotten.push(trueNow()))
          await sleep(scaled(scale, 2500, 10_000))
          await repair?.(servers)
          const mayBeLost = (tick: Tick): boolean => !isSlow(tick) && tick.time + tick.interval >= faultAt
          const verdict = await fleet.finish(scaled(scale, 1500, 8000), mayBeLost)
          const starved = isStarved(fleet)
          const uncounted = verdict.lost.filter(mayBeLost).length
          const lost = fleet.runs.filter(
            (run) =>
              run.outcome === 'lock_lost' &&
              (run.lostAt ?? faultAt) >= faultAt &&
              !forgotten.some((at) => isForgotten(run, at))
          )
          return compare(fleet, verdict, {
            missed: starved ? 'any' : 'none',
            everyTickRuns: !starved,
            lost: mayBeLost,
            // A master that had granted its claim was wiped before the others knew of it: docs/guarantees.md, the same.
            counted: (tick) => forgotten.some((at) => openAt(at)(tick)),
            recovery: starved ? 5000 : 1500,
            also: [
              [
                starved || lost.length === 0,
                `lost their lock: ${lost.map(tell).join(', ')}; forgotten at ${forgotten}`
              ],
              [
                starved || uncounted <= UNCOUNTED * verdict.ticks,
                `neither run nor counted: ${uncounted} of ${verdict.ticks} ticks`
              ]
            ]
          })
        })
      )
  }
}

export const masters: readonly Scenario[] = [
  ...MINORITIES.map(minority),
  {
    name: 'Two of three masters are killed, and come back empty',
    promise: 'Without a majority nothing is claimed; afterwards it goes on',
    run: ({ scale }) =>
      withMasters(3, (servers) =>
        withReplicas({ redis: servers.map(({ proxy }) => proxy.url) }, async (fleet) => {
          const dead = servers.slice(0, 2)
          const killedAt = trueNow()
          await Promise.all(dead.map((server) => server.kill()))
          const since = trueNow()
          await sleep(scaled(scale, 2500, 10_000))
          // From the first of them on there is a majority again.
          const back = trueNow()
          await Promise.all(dead.map((server) => server.restart()))
          const allBack = trueNow()
          fleet.healed()
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const alone = fleet.runs.filter(({ startedAt }) => startedAt > since + 100 && startedAt < back)
          return compare(fleet, verdict, {
            missed: 'some',
            // The majority has forgotten its claims: that is a Redis which has lost its data.
            doubled: openBetween(back, allBack),
            counted: openBetween(killedAt - 1000, since),
            overlapping: JOBS.length,
            recovery: 6000,
            also: [[alone.length === 0, `${alone.length} runs began without a majority`]]
          })
        })
      )
  }
]
