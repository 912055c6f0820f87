import { setTimeout as sleep } from 'node:timers/promises'
import { type Fleet, withFleet } from '../fixtures/fleet.js'
import { judge, type RunFacts } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { type SingleRedis, withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scenario } from '../scenario.js'
import { PREFIX, scaled, TTL } from './common.js'
import { PREVIOUS_BUILD } from './mixed-builds.js'

// Deploys that change how many slots jobs have: from a build that knows none, and from one number to another.

const INTERVAL = 500

/** What the measurement of a start or an end may be off by, on a machine that is busy. */
const INEXACT = 100

/** One kind of replicas. */
interface Kind {
  readonly name: string
  readonly jobs: readonly PlannedJob[]
  readonly library?: string
}

/** Jobs of each `overlap` whose runs take longer than the time to their next tick; with one lock and no more where `slots` is `null`. */
function jobsWith(slots: number | null, duration: number): readonly PlannedJob[] {
  return (['skip', 'wait', 'replace'] as const).flatMap((overlap) =>
    Array.from({ length: 4 }, (_, index) => ({
      id: `${overlap}-${index}`,
      interval: INTERVAL,
      offset: 100 * index,
      duration,
      options: { lock: { ttl: TTL }, ...(slots === null ? {} : { maxInstances: slots, overlap }) }
    }))
  )
}

async function start(fleet: Fleet, redis: SingleRedis, { name, jobs, library }: Kind, count = 1): Promise<void> {
  const first = fleet.replicas.length
  const plans = Array.from({ length: count }, (_, index) => ({
    name: `${name}-${first + index}`,
    redis: redis.proxy.url,
    prefix: PREFIX,
    jobs,
    closeTimeout: 5000,
    ...(library === undefined ? {} : { library })
  }))
  await fleet.start(...plans)
}

/** Replaces the replicas one by one. */
async function deploy(fleet: Fleet, redis: SingleRedis, kind: Kind, calm: number): Promise<void> {
  for (const replica of fleet.replicas.filter(({ alive }) => alive)) {
    await start(fleet, redis, kind)
    await sleep(calm)
    await replica.terminate()
  }
  await sleep(calm)
}

function isOf({ name }: Kind): (run: RunFacts) => boolean {
  return ({ replica }) => replica.startsWith(`${name}-`)
}

/** Whether a run went on at a moment, and for a while before and after it. */
function goesOnAt({ startedAt, endedAt }: RunFacts, at: number): boolean {
  return startedAt < at - INEXACT && (endedAt ?? Number.POSITIVE_INFINITY) > at + INEXACT
}

/** For each run how many others of its job went on when it began. */
function besideEach(runs: readonly RunFacts[]): { readonly run: RunFacts; readonly beside: readonly RunFacts[] }[] {
  return runs.map((run) => ({
    run,
    beside: runs.filter((other) => other !== run && other.jobId === run.jobId && goesOnAt(other, run.startedAt))
  }))
}

function tell({ jobId, scheduledTime, replica }: RunFacts): string {
  return `${jobId} @ ${scheduledTime} on ${replica}`
}

/** Notes which runs hold the first slot of their job, until `stop`. */
function watchFirstSlots(redis: SingleRedis, jobs: readonly PlannedJob[]): { runIds: Set<string>; stop(): void } {
  const runIds = new Set<string>()
  const keys = jobs.map(({ id }) => `rls:{${PREFIX}}:lock:${id}`)
  const timer = setInterval(async () => {
    for (const runId of await redis.client.mget(...keys).catch(() => [])) if (runId !== null) runIds.add(runId)
  }, 40)
  return { runIds, stop: () => clearInterval(timer) }
}

export const slotDeploys: readonly Scenario[] = [
  {
    name: 'A rolling deploy from a build with one lock a job to this one with two slots, and a rollback',
    promise:
      "The old build's lock is the first slot: never three runs at once, two of the old build never, and no tick is lost",
    run: ({ scale }) =>
      withSingle((redis) => {
        const duration = 2.5 * INTERVAL
        const previous = { name: 'previous', jobs: jobsWith(null, duration), library: PREVIOUS_BUILD }
        const present = { name: 'this', jobs: jobsWith(2, duration) }
        return withFleet(present.jobs, async (fleet) => {
          const watched = watchFirstSlots(redis, present.jobs)
          try {
            await start(fleet, redis, previous, 2)
            await fleet.steady()
            const calm = scaled(scale, 400, 4000)
            for (let count = 0; count < scaled(scale, 1, 3); count++) {
              await deploy(fleet, redis, present, calm)
              await deploy(fleet, redis, previous, calm)
            }
            // What this build has left waiting is begun, or counted, by its next replica.
            await start(fleet, redis, present)
            const verdict = await fleet.finish(scaled(scale, 2000, 5000))
            const old = fleet.runs.filter(isOf(previous))
            const inFirst = fleet.runs.filter((run) => isOf(previous)(run) || watched.runIds.has(run.runId))
            const record = { ...fleet.record, runs: inFirst }
            const { overlapping } = judge(record, previous.jobs, fleet.from, trueNow())
            const pairs = besideEach(fleet.runs).filter(({ beside }) => beside.length === 1)
            const mixed = pairs.filter(({ run, beside }) => [run, ...beside].filter(isOf(previous)).length === 1)
            return compare(fleet, verdict, {
              reasons: ['overlap', 'coalesced'],
              outcomes: ['success', 'cancelled'],
              also: [
                [old.length > 0 && inFirst.length > old.length, 'nothing is known of the first slots'],
                [overlapping.length === 0, `at once in the first slot: ${overlapping.join(', ')}`],
                [mixed.length > 0, 'no run went on beside one of the other build'],
                [fleet.abandoned.length === 0, `${fleet.abandoned.length} runs were told as abandoned`]
              ]
            })
          } finally {
            watched.stop()
          }
        })
      })
  },
  {
    name: 'A rolling deploy from three slots to one, and back',
    promise:
      'The larger number holds until all agree: never four runs at once, and none begins beside another where one is meant',
    run: ({ scale }) =>
      withSingle((redis) => {
        const duration = 3.5 * INTERVAL
        const three = { name: 'three', jobs: jobsWith(3, duration) }
        const one = { name: 'one', jobs: jobsWith(1, duration) }
        return withFleet(three.jobs, async (fleet) => {
          await start(fleet, redis, three, 2)
          await fleet.steady()
          await sleep(duration)
          const calm = scaled(scale, 400, 4000)
          /** When all replicas had the smaller number. */
          const agreed: { from: number; until: number }[] = []
          for (let count = 0; count < scaled(scale, 1, 3); count++) {
            await deploy(fleet, redis, one, calm)
            const from = trueNow()
            await sleep(scaled(scale, 2000, 5000))
            agreed.push({ from, until: trueNow() })
            await deploy(fleet, redis, three, calm)
          }
          const verdict = await fleet.finish(duration)
          const beside = besideEach(fleet.runs)
          const wrong = beside.filter(({ run, beside }) => isOf(one)(run) && beside.length > 0)
          const together = beside.filter(({ run, beside }) =>
            agreed.some(({ from, until }) => run.startedAt >= from && run.startedAt <= until && beside.length > 0)
          )
          const full = beside.filter(({ beside }) => beside.length === 2)
          const back = full.filter(({ run }) => run.startedAt > (agreed.at(-1)?.until ?? 0))
          return compare(fleet, verdict, {
            reasons: ['overlap', 'coalesced'],
            outcomes: ['success', 'cancelled'],
            also: [
              [wrong.length === 0, `began beside others: ${wrong.map(({ run }) => tell(run)).join(', ')}`],
              [together.length === 0, `more than one at once: ${together.map(({ run }) => tell(run)).join(', ')}`],
              [full.length > back.length, 'there were no three at once before the deploy'],
              [back.length > 0, 'there were no three at once after the deploy back'],
              [fleet.abandoned.length === 0, `${fleet.abandoned.length} runs were told as abandoned`]
            ]
          })
        })
      })
  }
]
