import { setTimeout as sleep } from 'node:timers/promises'
import type { RunFacts } from '../fixtures/judge.js'
import { type SingleRedis, withMasters } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scale, type Scenario } from '../scenario.js'
import { JOBS, openBetween, scaled, withReplicas } from './common.js'

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

/** How long after its lock was given a run may begin, on a machine that is busy. */
const BEGINS_WITHIN = 100

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

/** Whatever becomes of a minority: every tick of every second runs, and no lock is lost but by what is forgotten. */
function minority({ name, promise, masters: count, fault, repair }: MastersFault): Scenario {
  return {
    name,
    promise,
    run: ({ scale }) =>
      withMasters(count, (servers) =>
        withReplicas({ redis: servers.map(({ proxy }) => proxy.url) }, async (fleet) => {
          fleet.healed()
          const forgotten: number[] = []
          await fault(servers, scale, () => void forgotten.push(trueNow()))
          await sleep(scaled(scale, 2500, 10_000))
          await repair?.(servers)
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const lost = fleet.runs.filter(
            (run) => run.outcome === 'lock_lost' && !forgotten.some((at) => isForgotten(run, at))
          )
          return compare(fleet, verdict, {
            everyTickRuns: true,
            recovery: 1500,
            also: [[lost.length === 0, `lost their lock: ${lost.map(tell).join(', ')}; forgotten at ${forgotten}`]]
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
