import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { MINUTE } from '../../lib/base/duration.js'
import { DueQueue } from '../../lib/dispatch/due-queue.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { Blocks } from '../../lib/jobs/blocks.js'
import type { JobRecord } from '../../lib/jobs/job.js'
import { resolveDefaults } from '../../lib/jobs/options.js'
import { JobRegistry } from '../../lib/jobs/registry.js'
import { createStats } from '../../lib/jobs/stats.js'
import { eventLoop } from '../../lib/runs/executors/event-loop.js'
import { Simulation } from '../../lib/testing/index.js'
import { type DueTick, Timetable } from '../../lib/timetable/timetable.js'
import type { ClaimBlocks, Coordination } from '../../types/coordination.js'
import type { JobOptions } from '../../types/job-options.js'
import type { JobHandler } from '../../types/run.js'
import type { MetricsOptions } from '../../types/scheduler-options.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const JOBS = 400

/** What replicas with many jobs have done and asked for in a simulated minute. */
interface Minute {
  readonly runs: Map<string, number>
  readonly missed: number
  /** How many requests there were, and how often a waiting block was taken. */
  readonly requests: number
  readonly taken: number
  /** How many ticks the replicas' metrics say that another has taken. */
  readonly elsewhere: number
}

interface MinuteOptions {
  readonly replicas?: number
  /** Replaces what a replica asks with. */
  readonly change?: (blocks: ClaimBlocks) => ClaimBlocks | undefined
  readonly job?: Partial<JobOptions>
  readonly metrics?: MetricsOptions
  /** Called half way. */
  readonly meanwhile?: (schedulers: readonly Scheduler[], simulation: Simulation) => Promise<void> | void
}

async function playMinute({
  replicas = 3,
  job = {},
  metrics = {},
  change,
  meanwhile
}: MinuteOptions = {}): Promise<Minute> {
  const simulation = new Simulation()
  const runs = new Map<string, number>()
  let [missed, requests, taken] = [0, 0, 0]
  const schedulers = Array.from({ length: replicas }, () => {
    const { options } = simulation.replica()
    const coordination: typeof options.coordination = (parts) => {
      const target = options.coordination(parts)
      const claim: Coordination['claim'] = (asked, callId, blocks) => {
        requests += asked.length
        const given = blocks && {
          ...blocks,
          onTaken: (name: string) => {
            taken++
            blocks.onTaken(name)
          }
        }
        return target.claim(asked, callId, given && change ? change(given) : given)
      }
      return new Proxy(target, {
        get(_, property) {
          if (property === 'claim') return claim
          const value: unknown = Reflect.get(target, property, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
      })
    }
    const scheduler = createScheduler({ ...options, coordination, metrics })
    scheduler.on('missed', () => void missed++)
    for (let index = 0; index < JOBS; index++) {
      const handler: JobHandler<undefined> = ({ run }) => {
        const tick = `${run.jobId} ${run.scheduledTime}`
        runs.set(tick, (runs.get(tick) ?? 0) + 1)
      }
      scheduler.add({ ...job, id: `job-${index}`, trigger: { cron: '* * * * * *' }, handler } as JobOptions<undefined>)
    }
    return scheduler
  })
  for (const scheduler of schedulers) await scheduler.start()
  await simulation.advance('30s')
  await meanwhile?.(schedulers, simulation)
  await simulation.advance('30400ms')
  let elsewhere = 0
  for (const { register } of schedulers) {
    const reason = /^apscheduler_run_skipped_total\{reason="claimed_elsewhere".*\} (\d+)$/gm
    for (const [, count] of (await register!.metrics()).matchAll(reason)) elsewhere += Number(count)
  }
  const closing = schedulers.map((scheduler) => scheduler.close())
  await simulation.advance('10s')
  await Promise.all(closing)
  return { runs, missed, requests, taken, elsewhere }
}

function isOnceEach({ runs }: Minute): boolean {
  return [...runs.values()].every((count) => count === 1)
}

t.test('replicas with the same jobs ask for most ticks once in the fleet, and run each once', async (t) => {
  const minute = await playMinute()
  t.ok(isOnceEach(minute))
  t.ok(minute.runs.size >= 59 * JOBS, `${minute.runs.size} ticks ran`)
  t.equal(minute.missed, 0)
  t.ok(minute.taken > 100, `${minute.taken} blocks were found taken`)
  t.ok(minute.requests < 2 * minute.runs.size, `${minute.requests} requests for ${minute.runs.size} runs`)
  t.equal(minute.elsewhere, 2 * minute.runs.size, 'each tick is counted by the two replicas that have not run it')
})

t.test('ticks of whole blocks are counted where all jobs are counted together', async (t) => {
  const minute = await playMinute({ metrics: { perJob: false } })
  t.equal(minute.elsewhere, 2 * minute.runs.size)
})

t.test('control: without blocks each replica asks for every tick', async (t) => {
  const minute = await playMinute({ change: () => undefined })
  t.ok(isOnceEach(minute))
  t.ok(minute.requests > 2.9 * minute.runs.size, `${minute.requests} requests for ${minute.runs.size} runs`)
})

t.test('control: a block that is called taken too early costs ticks, and each is counted', async (t) => {
  const minute = await playMinute({
    change: (blocks) => ({
      ...blocks,
      get waiting() {
        for (const name of blocks.waiting) blocks.onTaken(name)
        return []
      }
    })
  })
  t.ok(isOnceEach(minute))
  t.ok(minute.missed > 100, `${minute.missed} missed`)
})

t.test('jobs that are added, changed, paused and removed on one replica only', async (t) => {
  const minute = await playMinute({
    meanwhile: async ([first, second]) => {
      first!.add({ id: 'added', trigger: { cron: '* * * * * *' }, handler() {} })
      second!.remove('job-7')
      second!.modify('job-8', { lock: { ttl: '1m' } })
      first!.reschedule('job-9', { interval: '2s' })
      void first!.pause('job-10')
    }
  })
  t.ok(isOnceEach(minute))
  t.equal(minute.missed, 0)
  const ticksOf = (id: string): number => [...minute.runs.keys()].filter((tick) => tick.startsWith(`${id} `)).length
  for (const id of ['job-6', 'job-7', 'job-8', 'job-9']) t.ok(ticksOf(id) >= 59, `${id} ran ${ticksOf(id)} times`)
  t.ok(ticksOf('job-10') <= 31, `${ticksOf('job-10')} runs of the paused job`)
})

t.test('of the ticks that waited while the store was down the latest runs', async (t) => {
  let [from, until] = [0, 0]
  const { runs, missed } = await playMinute({
    job: { misfireGraceTime: '1m' },
    meanwhile: async (_schedulers, simulation) => {
      const [store] = simulation.stores
      from = simulation.now
      store!.kill()
      await simulation.advance('3500ms')
      store!.start()
      await simulation.advance('450ms')
      until = simulation.now
    }
  })
  const during = [...runs].filter(([tick]) => {
    const scheduledTime = Number(tick.split(' ')[1])
    return scheduledTime > from && scheduledTime < until
  })
  const latest = Math.floor(until / 1000) * 1000
  t.equal(during.length, JOBS, 'one tick of each job')
  t.ok(during.every(([tick, count]) => count === 1 && tick.endsWith(` ${latest}`)))
  t.equal(missed, 0)
})

t.test('jobs that leave a block that waits take its tick along', async (t) => {
  const { own, records } = registry(many(10))
  const queue = new DueQueue(null)
  const [first, second] = records
  queue.pushBlock(first!.block!, tickAt(1000))
  t.equal(queue.size, 10)
  own.learnPaused(first!, true, 1)
  t.equal(first!.pending?.scheduledTime, 1000, 'who leaves the block takes its tick along')
  t.equal(second!.pending?.scheduledTime, 1000)
  const taken = queue.takeNext(64).flatMap(({ jobs }) => jobs)
  t.same(new Set(taken), new Set(own.values()))
  t.equal(queue.size, 0)
})

t.test('a block that waits is taken whole, where there is room for it', async (t) => {
  const taken = (limit: number): number[] => {
    const { records } = registry(many(30))
    const queue = new DueQueue(() => {})
    queue.pushBlock(records[0]!.block!, tickAt(1000))
    const sizes: number[] = []
    while (queue.size > 0) sizes.push(...queue.takeNext(limit).map(({ jobs }) => jobs.length))
    return sizes
  }
  t.same(taken(64), [30], 'more than the share of a call')
  t.same(taken(20), [20, 10])

  const { records } = registry(many(30))
  const queue = new DueQueue(null)
  queue.pushBlock(records[0]!.block!, tickAt(1000))
  queue.takeNext(20)
  t.equal(records.filter(({ pending }) => pending !== null).length, 30, 'what is left is no block')
  t.equal(records[0]!.block!.waiting, null)
})

function tickAt(scheduledTime: number): DueTick {
  const single = { scheduledTime, dueTime: scheduledTime, firstLate: scheduledTime }
  return { ...single, following: scheduledTime + 1000, preceding: null, caughtUp: false }
}

/** The jobs of a process, in blocks. */
function registry(jobs: readonly JobOptions[], isShared = true): { own: JobRegistry; records: readonly JobRecord[] } {
  const timetable = new Timetable<JobRecord>({
    clock: systemClock,
    now: () => 0,
    onDue() {},
    onWoken() {},
    maxSleep: 1000
  })
  const own = new JobRegistry(
    resolveDefaults(undefined),
    (work) => ({ executor: eventLoop, work }),
    'UTC',
    createStats([1], true).newStats,
    timetable,
    new Blocks(isShared),
    () => {}
  )
  return { own, records: jobs.map((job) => own.add(job)) }
}

/** What can be compared in a moment, and told when it differs. */
function idsOf(jobs: readonly JobRecord[]): string[] {
  return jobs.map(({ id }) => id)
}

function namesOf(jobs: readonly JobOptions[]): Set<string | null> {
  return new Set(registry(jobs).records.map(({ block }) => block?.name ?? null))
}

function many(count: number, changes: Partial<JobOptions> = {}): JobOptions[] {
  return Array.from({ length: count }, (_, index) => {
    return { id: `job-${index}`, trigger: { cron: '* * * * * *' }, handler() {}, ...changes }
  })
}

t.test('what is taken of a whole block is known of each of its jobs, until it is handed back', async (t) => {
  const { own, records } = registry(many(8), true)
  const [first, second, third] = records as [JobRecord, JobRecord, JobRecord]
  const { block } = first
  third.noteTaken(5000)
  block!.noteTaken(3000)
  block!.noteTaken(2000)
  t.same(
    records.map(({ takenUntil }) => takenUntil),
    [3000, 3000, 5000, 3000, 3000, 3000, 3000, 3000]
  )
  block!.noteTaken(4000)
  t.ok(second.noteHandedBack(4000, 'run', 1))
  t.same([first.takenUntil, second.takenUntil, third.takenUntil], [4000, 3999, 5000])
  block!.noteTaken(6000)
  own.remove('job-0')
  t.same([first.takenUntil, second.takenUntil], [6000, 6000], 'also of one that leaves')
})

t.test('where nobody else asks, all jobs of a trigger are one block, taken in parts', async (t) => {
  const { own, records } = registry(many(1000), false)
  const [first] = records
  t.equal(new Set(records.map(({ block }) => block)).size, 1)
  t.equal(first!.block!.name, null)
  const queue = new DueQueue(null)
  const waiting = (): number => records.filter(({ pending }) => pending !== null).length
  const take = (limit: number): JobRecord[] => {
    const jobs = queue.takeNext(limit).flatMap((taken) => taken.jobs)
    t.ok(jobs.every(({ removed, pending, queued }) => removed || (pending?.scheduledTime === 1000 && queued)))
    return jobs
  }
  queue.pushBlock(first!.block!, tickAt(1000))
  const taken = [...take(64), ...take(5000)]
  t.equal(taken.length, 64 + 117)
  t.equal(waiting(), taken.length)
  t.equal(queue.size, 1000 - taken.length)
  t.notOk(first!.block!.isFree, 'a later tick comes to each job by itself')
  own.remove('job-500')
  t.equal(waiting(), 999, 'the others take their tick along')
  while (queue.size > 0) taken.push(...take(100))
  t.same(idsOf(taken), idsOf(records), 'in their order, each once')
  for (const job of records) job.takeDue()
  t.ok(records[1]!.block!.isFree)
  queue.pushBlock(records[1]!.block!, tickAt(1000))
  t.equal(take(100).length, 100)
  t.equal(queue.clear().length, 999 - 100)
  for (const job of records) job.takeDue()
  t.ok(records[1]!.block!.isFree)
  t.equal(queue.size, 0)
})

t.test('where nobody else asks, who comes first is asked for first, alone or in a block', async (t) => {
  const apart = (id: string): JobOptions => ({ ...many(1, { recovery: 'rerun' })[0]!, id })
  const { records } = registry([apart('first'), ...many(300), apart('last')], false)
  const queue = new DueQueue(null)
  const [first, second] = records
  const last = records.at(-1)!
  queue.push(first!)
  queue.pushBlock(second!.block!, tickAt(1000))
  queue.push(last)
  const taken: JobRecord[] = []
  const sizes: number[] = []
  while (queue.size > 0) {
    const jobs = queue.takeNext(1000).flatMap((each) => each.jobs)
    taken.push(...jobs)
    sizes.push(jobs.length)
  }
  t.same(idsOf(taken), idsOf(records))
  t.equal(sizes[0], 38, 'a share of them in each call')
})

t.test('jobs leave a block in any order', async (t) => {
  const { own, records } = registry(many(20), false)
  const { block } = records[0]!
  const left = new Set(records)
  for (const index of [19, 0, 7, 18, 1]) {
    own.remove(`job-${index}`)
    left.delete(records[index]!)
    t.same(idsOf(block!.jobs).sort(), idsOf([...left]).sort())
    t.ok(block!.jobs.every((job, place) => job.blockIndex === place && job.block === block))
    t.equal(records[index]!.block, null)
  }
})

t.test('jobs in memory that are added, changed, paused and removed while a tick is handed out', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      const ticks = new Map<string, number[]>()
      const note: JobHandler<undefined> = ({ run }) => {
        ticks.set(run.jobId, [...(ticks.get(run.jobId) ?? []), run.scheduledTime % MINUTE])
      }
      const change: JobHandler<undefined> = async (context) => {
        await note(context)
        scheduler.remove('job-100')
        await scheduler.pause('job-101')
        scheduler.reschedule('job-102', { interval: '2s' })
        scheduler.modify('job-103', { retry: { limit: 2 } })
        if (scheduler.get('added') === undefined) scheduler.cron('added', '* * * * * *', note)
      }
      for (let index = 0; index < 300; index++) {
        scheduler.cron(`job-${index}`, '* * * * * *', index === 20 ? change : note)
      }
      await scheduler.start()
      await clock.advance(3400)
      const seconds = [1000, 2000, 3000]
      const changed = ['job-100', 'job-101', 'job-102', 'added']
      for (let index = 0; index < 300; index++) {
        const id = `job-${index}`
        if (!changed.includes(id)) t.same(ticks.get(id), seconds, id)
      }
      t.equal(ticks.get('job-100'), undefined, 'removed before its tick')
      t.equal(ticks.get('job-101'), undefined, 'paused before its tick')
      t.same(ticks.get('added'), [2000, 3000])
      t.ok(ticks.has('job-102'))
      t.equal(events.filter(({ name }) => name === 'missed').length, 0)
    },
    { concurrency: 8 },
    '2026-01-01T00:00:00.500Z'
  )
})

t.test('a tick that comes while the one before is handed out goes to each job by itself', async (t) => {
  const jobs = 130_000
  await withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      let [first, later] = [0, 0]
      const base = clock.now() + 500
      const handler: JobHandler<undefined> = ({ run }) => {
        if (run.scheduledTime !== base) later++
        else first++
        return run.scheduledTime === base ? clock.sleep(1500) : undefined
      }
      for (let index = 0; index < jobs; index++) scheduler.cron(`job-${index}`, '* * * * * *', handler)
      await scheduler.start()
      await clock.advance(600)
      t.equal(first, 1000, 'as many as there is room for')
      await clock.advance(1500)
      // Those that waited run the later tick; of those that ran most still hold their lock when it is asked for.
      const overlaps = events.filter(({ name, event }) => name === 'skipped' && event.reason === 'overlap').length
      t.same([first, later + overlaps], [1000, jobs])
      t.ok(later >= jobs - 1000, `${later} ran`)
    },
    { concurrency: 1000, metrics: false, defaults: { misfireGraceTime: '1m' } },
    '2026-01-01T00:00:00.500Z'
  )
})

t.test('a block is called the same wherever the same jobs are, in whatever order they came', async (t) => {
  t.same([...namesOf(many(200))].sort(), [...namesOf(many(200).reverse())].sort())
  t.equal(namesOf(many(3)).size, 1)
  t.ok(namesOf(many(3)).has(null), 'few jobs are worth no name')
  t.not([...namesOf(many(20))][0], [...namesOf(many(20, { lock: { ttl: '1m' } }))][0], 'another definition')
  t.not([...namesOf(many(20))][0], [...namesOf(many(21))][0], 'another job')
})

t.test('blocks stay of a size, and jobs with ticks of their own are in none', async (t) => {
  const { own, records } = registry(many(1000))
  const count = (): number => new Set([...own.values()].map(({ block }) => block)).size
  t.equal(count(), 32)
  for (const record of records.slice(30)) own.remove(record.id)
  t.equal(count(), 1)
  const apart: Partial<JobOptions>[] = [
    { jitter: 10 },
    { coalesce: 'all' },
    { lock: false },
    { paused: true },
    { recovery: 'rerun' },
    { onRedisError: 'run' },
    { trigger: { interval: '1s', after: 'completion' } }
  ]
  for (const [index, changes] of apart.entries()) {
    t.equal(own.add({ ...many(1)[0]!, id: `apart-${index}`, ...changes }).block, null)
  }
})

t.test('a job that is paused or changed leaves its block, and comes back', async (t) => {
  const { own, records } = registry(many(10))
  const [first] = records
  const name = first!.block?.name
  own.learnPaused(first!, true, 1)
  t.equal(first!.block, null)
  t.not(records[1]!.block?.name, name)
  own.learnPaused(first!, false, 1)
  t.equal(first!.block?.name, name)
  own.modify(first!.id, { retry: { limit: 1 } })
  t.not(first!.block?.name, name)
  own.modify(first!.id, { retry: false })
  t.equal(first!.block?.name, name)
})
