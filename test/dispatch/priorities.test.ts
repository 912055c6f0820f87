import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { DueQueue } from '../../lib/dispatch/due-queue.js'
import type { JobOptions, Priority, SchedulerOptions } from '../../lib/index.js'
import { Blocks } from '../../lib/jobs/blocks.js'
import type { JobRecord } from '../../lib/jobs/job.js'
import { resolveDefaults } from '../../lib/jobs/options.js'
import { JobRegistry } from '../../lib/jobs/registry.js'
import { createStats } from '../../lib/jobs/stats.js'
import { eventLoop } from '../../lib/runs/executors/event-loop.js'
import { type DueTick, Timetable } from '../../lib/timetable/timetable.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

// Lanes: of the ticks that wait for room those of a higher priority are requested first, and one in ten of a lower one.

const SECOND = 1000
const MINUTE = 60 * SECOND
const ALL = ['high', 'normal', 'low'] as const satisfies readonly Priority[]

/** The jobs of a process; `high-0`, `normal-3` and so on, so many of each priority. */
function registry(counts: Partial<Record<Priority, number>>, isShared: boolean, changes: Partial<JobOptions> = {}) {
  const timetable = new Timetable<JobRecord>({
    clock: systemClock,
    now: () => 0,
    onDue() {},
    onWoken() {},
    maxSleep: 1000
  })
  const blocks = new Blocks<JobRecord>(isShared)
  const own = new JobRegistry(
    resolveDefaults(undefined),
    (work) => ({ executor: eventLoop, work }),
    'UTC',
    createStats([1], true).newStats,
    timetable,
    blocks,
    () => {}
  )
  const add = (priority: Priority, index: number): JobRecord =>
    own.add({ id: `${priority}-${index}`, trigger: { interval: '1s' }, priority, handler() {}, ...changes })
  const records = ALL.flatMap((each) => Array.from({ length: counts[each] ?? 0 }, (_, index) => add(each, index)))
  return { own, blocks, records, add }
}

function tickAt(scheduledTime: number): DueTick {
  const single = { scheduledTime, dueTime: scheduledTime, firstLate: scheduledTime }
  return { ...single, following: scheduledTime + 1000, preceding: null, caughtUp: false }
}

/** Empties a queue, `limit` jobs at a time; the priorities in the order in which they were taken, by their first letter. */
function drain(queue: DueQueue, limit: number): string {
  let order = ''
  while (queue.size > 0)
    for (const { jobs } of queue.takeNext(limit)) for (const { id } of jobs) order += id[0] as string
  return order
}

/** The longest time that ticks of a priority were passed over while some of it waited. */
function longestPassed(order: string, letter: string, higher: string): number {
  let [passed, longest] = [0, 0]
  for (const each of order.slice(0, order.lastIndexOf(letter) + 1)) {
    if (each === letter) passed = 0
    else if (higher.includes(each)) longest = Math.max(longest, ++passed)
  }
  return longest
}

for (const limit of [1, 3, 64]) {
  t.test(`the higher lane first, and one in ten of a lower one, ${limit} at a time`, async (t) => {
    const apart = { recovery: 'rerun' } as const
    const { records } = registry({ high: 200, normal: 100, low: 50 }, false, apart)
    const queue = new DueQueue(null)
    for (const record of records.toReversed()) queue.push(record)
    const order = drain(queue, limit)
    t.equal(order.length, 350, 'each once')
    t.equal(order.slice(0, 20), 'hhhhhhhhhlnhhhhhhhhl', 'the lowest whose turn it is first')
    t.equal(longestPassed(order, 'l', 'hn'), 9)
    t.equal(longestPassed(order, 'n', 'h'), 9)
    t.match(order, /^[hnl]+n+l+$/, 'with nothing higher, the rest in its order')
  })
}

t.test('of one priority the order is that of arrival, and nothing is counted', async (t) => {
  for (const priority of ALL) {
    const { records } = registry({ [priority]: 30 }, false, { recovery: 'rerun' })
    const queue = new DueQueue(null)
    for (const record of records) queue.push(record)
    const taken = [...queue.takeNext(10), ...queue.takeNext(100)].flatMap(({ jobs }) => jobs)
    t.same(
      taken.map(({ id }) => id),
      records.slice(0, taken.length).map(({ id }) => id)
    )
  }
})

t.test('a lane that comes and goes waits for nine at most each time', async (t) => {
  const { records, add } = registry({ high: 300 }, false, { recovery: 'rerun' })
  const queue = new DueQueue(null)
  for (const record of records) queue.push(record)
  for (let round = 0; round < 10; round++) {
    queue.push(add('low', round))
    let waited = 0
    while (queue.takeNext(1)[0]?.jobs[0]?.lane !== 2) waited++
    t.ok(waited <= 9, `waited for ${waited}`)
  }
})

t.test('jobs of one trigger are in blocks of their priority', async (t) => {
  const { own, blocks, records } = registry({ high: 40, normal: 40, low: 10 }, true)
  const all = (): JobRecord[][] => {
    const found: JobRecord[][] = []
    for (let set = blocks.of(records[0]!.trigger) ?? null; set !== null; set = set.other)
      for (const block of set.blocks) found.push([...block.jobs])
    return found
  }
  t.equal(all().flat().length, 90)
  for (const jobs of all()) t.equal(new Set(jobs.map(({ lane }) => lane)).size, 1)
  for (const { block, lane } of records) t.equal(block?.lane, lane)
  const [first] = records
  own.modify('high-0', { priority: 'low' })
  t.equal(first!.lane, 2)
  t.equal(first!.block, records.at(-1)!.block)
  for (const { id, lane } of records.slice(1)) if (lane === 0) own.remove(id)
  t.equal(all().flat().length, 51)
  for (const { id, lane } of records) if (lane === 1) own.remove(id)
  t.equal(all().flat().length, 11)
  for (const { id } of [...own.values()]) own.remove(id)
  t.same(all(), [], 'nothing is left of them')
})

t.test('blocks that others have too are taken whole, in their order, and what that is more is counted', async (t) => {
  const { blocks, records } = registry({ high: 600, low: 60 }, true)
  const queue = new DueQueue(() => {})
  for (let set = blocks.of(records[0]!.trigger) ?? null; set !== null; set = set.other)
    for (const block of set.blocks) if (block.jobs.length > 0) queue.pushBlock(block, tickAt(SECOND))
  const groups: string[] = []
  const taken = { high: 0, low: 0 }
  while (queue.size > 0) {
    const call = queue.takeNext(64)
    t.ok(
      call.slice(1).every(({ block }) => block?.lane === call[0]!.block?.lane),
      'one priority in a call'
    )
    for (const { block, jobs } of call) {
      const which = block!.lane === 2 ? 'low' : 'high'
      t.equal(jobs.length, block!.jobs.length, 'whole')
      if (which === 'low') t.ok(taken.high >= 9 * taken.low, `${taken.high} before, and ${taken.low} of low priority`)
      taken[which] += jobs.length
      groups.push(which)
    }
  }
  t.same(taken, { high: 600, low: 60 })
  t.equal(groups[0], 'high')
  t.ok(groups.indexOf('low') < 4, 'its turn comes soon all the same')
})

t.test('a busy process of one place: no tick of a lower priority starves', async (t) => {
  const order: string[] = []
  await withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      for (const priority of ALL.toReversed()) {
        for (let index = 0; index < 100; index++) {
          const handler = (): Promise<void> => {
            order.push(priority[0] as string)
            return clock.sleep(100)
          }
          scheduler.add({ id: `${priority}-${index}`, trigger: { interval: '1h' }, priority, handler })
        }
      }
      await scheduler.start()
      await clock.advance(60 * MINUTE + 31 * SECOND)
      t.equal(order.length, 300)
      t.equal(order.slice(0, 9).join(''), 'hhhhhhhhh')
      t.equal(longestPassed(order.join(''), 'l', 'hn'), 9)
      t.equal(longestPassed(order.join(''), 'n', 'h'), 9)
      t.equal(events.filter(({ name }) => name === 'missed').length, 0)
    },
    { concurrency: 1, defaults: { misfireGraceTime: '10m' } },
    '2027-01-01T00:00:00.000Z'
  )
})

t.test('what waits beyond its grace is counted, whatever its priority', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      const ran: string[] = []
      const add = (id: string, priority: Priority, work: number): void => {
        const handler = (): Promise<void> => {
          ran.push(id)
          return clock.sleep(work)
        }
        scheduler.add({ id, trigger: { interval: '1h' }, priority, handler, misfireGraceTime: '2s' })
      }
      for (let index = 0; index < 4; index++) add(`low-${index}`, 'low', 10)
      for (let index = 0; index < 4; index++) add(`high-${index}`, 'high', SECOND)
      await scheduler.start()
      await clock.advance(61 * MINUTE)
      t.same(ran, ['high-0', 'high-1', 'high-2'])
      const missed = events.filter(({ name }) => name === 'missed').map(({ event }) => (event.job as { id: string }).id)
      t.same(missed.sort(), ['high-3', 'low-0', 'low-1', 'low-2', 'low-3'])
    },
    { concurrency: 1 },
    '2027-01-01T00:00:00.000Z'
  )
})

t.test('jitter, several late ticks and completion intervals have their lanes too', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      const ran: string[] = []
      const add = (id: string, options: Partial<JobOptions<undefined>>): void => {
        const handler = (): Promise<void> => {
          ran.push(id)
          return clock.sleep(500)
        }
        scheduler.add({ id, trigger: { interval: '1m' }, handler, ...options } as JobOptions<undefined>)
      }
      const late = { misfireGraceTime: '1h', coalesce: 'all' } as const
      add('all', { ...late, priority: 'low' })
      add('jitter', { jitter: '100ms', priority: 'normal' })
      add('completion', { trigger: { interval: '1m', after: 'completion' }, priority: 'normal' })
      add('first', { ...late, priority: 'high' })
      add('block', { trigger: { date: clock.now() + 59_900 }, priority: 'high' })
      scheduler.modify('block', {
        handler: () => clock.sleep(140_100),
        lock: '10m'
      })
      await scheduler.start()
      await clock.advance(215 * SECOND)
      const rest = ran.filter((id) => id !== 'first' && id !== 'all')
      t.equal(ran[0], 'first')
      t.equal(ran.filter((id) => id === 'first').length, 3, 'each of its late ticks')
      t.same(rest.sort(), ['completion', 'jitter'], 'and of the others the latest')
      t.same(ran.slice(-3), ['all', 'all', 'all'])
      const missed = events.filter(({ name }) => name === 'missed').map(({ event }) => (event.job as { id: string }).id)
      t.same(missed, ['jitter', 'jitter'], 'what waited for too long is counted')
    },
    { concurrency: 1 },
    '2027-01-01T00:00:00.000Z'
  )
})

t.test('`defaults` has a priority, a job its own, and a change counts from the next tick', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      let ran: string[] = []
      const handler = ({ run }: { run: { jobId: string } }): Promise<void> => {
        ran.push(run.jobId)
        return clock.sleep(100)
      }
      for (const id of ['a', 'b', 'c']) scheduler.interval(id, '1m', handler)
      scheduler.interval('d', '1m', handler, { priority: 'high' })
      await scheduler.start()
      await clock.advance(MINUTE + SECOND)
      t.same(ran, ['d', 'a', 'b', 'c'])
      ran = []
      scheduler.modify('c', { priority: 'normal' })
      await clock.advance(MINUTE)
      t.same(ran, ['d', 'c', 'a', 'b'])
      ran = []
      scheduler.modify('c', { timeout: '1m' })
      await clock.advance(MINUTE)
      t.same(ran, ['d', 'c', 'a', 'b'], 'a change of something else leaves it')
    },
    { concurrency: 1, defaults: { priority: 'low' } },
    '2027-01-01T00:00:00.000Z'
  )
})

t.test('replicas with little room: every tick once, those of high priority first', (t) =>
  withFleet(async ({ simulation, join, runs, missed }) => {
    const define = ({ scheduler, replica }: Member): void => {
      for (const priority of ALL) {
        for (let index = 0; index < 60; index++)
          scheduler.interval(`${priority}-${index}`, '1m', () => replica.sleep(200), { priority })
      }
    }
    const options: SchedulerOptions<undefined> = { concurrency: 4 }
    for (let count = 0; count < 3; count++) await join(define, options)
    await simulation.advance(3 * MINUTE + 20 * SECOND)
    const ticks = runs().map(({ jobId, scheduledTime }) => `${jobId} ${scheduledTime}`)
    t.equal(ticks.length, 540)
    t.equal(new Set(ticks).size, 540)
    t.same(missed(), [])
    const order = runs()
      .slice(0, 180)
      .map(({ jobId }) => jobId[0])
      .join('')
    const mean = (letter: string): number =>
      [...order].reduce((sum, each, place) => sum + (each === letter ? place : 0), 0) / 60
    t.ok(mean('h') < mean('n') - 30 && mean('n') < mean('l') - 30, order)
  })
)

t.test('a run to take over and ticks take turns where there is room for one', (t) =>
  withFleet(async ({ simulation, join }) => {
    const options = { recovery: 'rerun', lock: '2s' } as const
    const ids = ['a', 'b', 'c']
    const first = await join(({ scheduler, replica }) => {
      for (const id of ids) scheduler.interval(id, '1h', () => replica.sleep('1h'), options)
    })
    await simulation.advance(60 * MINUTE + SECOND)
    const second = await join(
      ({ scheduler, replica }) => {
        const order = { a: 'low', b: 'normal', c: 'high' } as const
        for (const id of ids)
          scheduler.interval(id, '1h', () => replica.sleep(100), {
            ...options,
            priority: order[id as keyof typeof order]
          })
        // More than there is time for: there is always one that waits.
        for (let index = 0; index < 200; index++)
          scheduler.interval(`busy-${index}`, '5s', () => replica.sleep(100), { priority: 'high' })
      },
      { concurrency: 1 }
    )
    await simulation.advance(10 * SECOND)
    const before = second.runs.length
    t.ok(before > 50)
    first.replica.crash()
    await simulation.advance(5 * SECOND)
    const since = second.runs.slice(before).map(({ trigger, jobId }) => (trigger === 'recovery' ? jobId : '.'))
    t.match(since.join(''), /^\.+c\.+b\.+a\.+$/)
  })
)
