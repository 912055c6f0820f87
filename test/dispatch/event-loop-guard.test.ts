import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EventLoopGuard } from '../../lib/dispatch/event-loop-guard.js'
import type { JobOptions, Priority, Scheduler } from '../../lib/index.js'
import type { Journal } from '../../lib/observability/journal.js'
import type { EventLoopLateness } from '../../lib/observability/journal-listener.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { forkPlainly } from '../fixtures/plain-process.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

// `maxEventLoopDelay`: while the event loop is late, ticks of low priority wait, each for half of its grace at most.

const SECOND = 1000
const MINUTE = 60 * SECOND
const START = '2027-01-01T00:00:00.000Z'

function guarded(maxDelay: number) {
  const clock = new VirtualClock(START)
  const told: (EventLoopLateness | number)[] = []
  const calls: string[] = []
  const journal = {
    eventLoopLate: (lateness: EventLoopLateness) => void told.push(lateness),
    eventLoopOnTime: (duration: number) => void told.push(duration)
  } as Journal
  const onLate = (): number => calls.push('late')
  const guard = new EventLoopGuard({ clock, maxDelay, journal, onLate, onTime: () => void calls.push('on time') })
  return { clock, guard, told, calls }
}

/** The event loop is late by up to `turn` milliseconds again and again. */
async function overload(clock: VirtualClock, duration: number, turn: number): Promise<void> {
  for (let passed = 0; passed < duration; passed += turn) await clock.freeze(turn)
}

t.test('the delay rises with turns of the event loop that are long, and falls within seconds', async (t) => {
  const { clock, guard, told, calls } = guarded(200)
  guard.start()
  await clock.advance(10 * SECOND)
  t.equal(guard.delay, 0)
  await clock.freeze(400)
  t.ok(guard.delay > 0)
  t.notOk(guard.isLate, 'a single one is no reason to wait')
  await clock.advance(5 * SECOND)
  t.ok(guard.delay < 5)
  await overload(clock, 10 * SECOND, 900)
  t.ok(guard.isLate)
  t.ok(guard.delay > 200 && guard.delay < 900, `${guard.delay} ms`)
  t.match(told, [{ maxDelay: 200, waiting: 1 }])
  const until = clock.monotonic()
  while (guard.isLate && clock.monotonic() < until + 10 * SECOND) await clock.advance(50)
  t.ok(clock.monotonic() - until < 3 * SECOND)
  t.same(calls, ['late', 'on time'])
  t.ok((told[1] as number) > 8 * SECOND)
  guard.stop()
  t.equal(clock.pending, 0)
})

t.test('turns of every length count, also those that fit into the time of its timer', async (t) => {
  for (const turn of [60, 100, 125, 250, 500]) {
    const { clock, guard } = guarded(10)
    guard.start()
    let [sum, count] = [0, 0]
    for (let passed = 0; passed < MINUTE; passed += turn) {
      await clock.freeze(turn)
      sum += guard.delay
      count++
    }
    t.ok(sum / count > turn / 5, `${sum / count} ms on average with turns of ${turn} ms`)
    guard.stop()
  }
})

t.test('it tells of it once a minute at most, and of no end whose beginning it did not tell of', async (t) => {
  const { clock, guard, told, calls } = guarded(200)
  guard.start()
  for (let round = 0; round < 4; round++) {
    await overload(clock, 5 * SECOND, 900)
    await clock.advance(10 * SECOND)
  }
  t.equal(calls.length, 8)
  t.equal(told.length, 2)
  await clock.advance(MINUTE)
  await overload(clock, 5 * SECOND, 900)
  await clock.advance(10 * SECOND)
  t.equal(told.length, 4)
  guard.stop()
})

t.test('it measures nothing when it is off, and begins anew after a stop', async (t) => {
  const off = guarded(0)
  off.guard.start()
  t.equal(off.clock.pending, 0)
  const { clock, guard, told, calls } = guarded(200)
  guard.start()
  guard.start()
  t.equal(clock.pending, 1)
  await overload(clock, 5 * SECOND, 900)
  t.ok(guard.isLate)
  guard.stop()
  t.same([guard.isLate, guard.delay, clock.pending], [false, 0, 0])
  t.same(calls, ['late', 'on time'])
  t.equal(told.length, 1, 'that it was stopped is no end to tell of')
  guard.start()
  await clock.advance(SECOND)
  t.notOk(guard.isLate)
  guard.stop()
})

t.test('its timer keeps no process alive', async (t) => {
  const { clock, guard } = guarded(200)
  let unreffed = 0
  const set = clock.setTimeout.bind(clock)
  clock.setTimeout = (callback, delay) => Object.assign(set(callback, delay), { unref: () => unreffed++ })
  guard.start()
  await clock.advance(SECOND)
  t.ok(unreffed >= 2)
  guard.stop()
})

interface Started {
  readonly id: string
  readonly at: number
}

/** Adds a job that notes when its runs begin. */
function add(
  scheduler: Scheduler<undefined>,
  clock: { now(): number },
  started: Started[],
  id: string,
  priority: Priority,
  options: Partial<JobOptions<undefined>> = {}
): void {
  const handler = (): void => void started.push({ id, at: clock.now() - Date.parse(START) })
  scheduler.add({ id, trigger: { interval: '1m' }, handler, priority, ...options } as JobOptions<undefined>)
}

const on = { maxEventLoopDelay: 200 } as const
const within = (at: number | undefined, from: number, until: number): boolean =>
  at !== undefined && at >= from && at <= until

t.test('ticks of low priority wait until the event loop is on time again, others do not', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, lines, events }) => {
      const started: Started[] = []
      for (let index = 0; index < 20; index++) add(scheduler, clock, started, `low-${index}`, 'low')
      add(scheduler, clock, started, 'jitter', 'low', { jitter: '1s' })
      add(scheduler, clock, started, 'normal', 'normal')
      add(scheduler, clock, started, 'high', 'high')
      await scheduler.start()
      await clock.advance(55 * SECOND)
      await overload(clock, 9 * SECOND, 900)
      t.same(started.map(({ id }) => id).sort(), ['high', 'normal'])
      t.match(await scheduler.register?.metrics(), /^apscheduler_throttled 1$/m)
      t.match(await scheduler.register?.metrics(), /^apscheduler_event_loop_delay_seconds 0\.[2-9]\d*$/m)
      t.match(await scheduler.register?.metrics(), /^apscheduler_backlog_size 21$/m)
      t.match(scheduler.health(), { status: 'degraded', redisUp: true, reason: null, backlog: 21 })
      await clock.advance(3 * SECOND)
      t.equal(started.length, 23)
      for (const { id, at } of started)
        if (/low|jitter/.test(id)) t.ok(within(at, 64 * SECOND, 67 * SECOND), `${id} ${at}`)
      t.match(await scheduler.register?.metrics(), /^apscheduler_throttled 0$/m)
      await clock.advance(MINUTE)
      t.equal(started.length, 46)
      const told = lines.filter(({ message }) => /event loop/.test(message))
      t.match(told, [
        { level: 'warn', message: /^the event loop is \d+ ms late, more than 200 ms: .* wait, 0 at present$/ },
        { level: 'info', message: /^the event loop is on time again after [\d.]+ s/ }
      ])
      t.equal(events.filter(({ name }) => name === 'missed' || name === 'skipped').length, 0)
    },
    on,
    START
  )
)

t.test('what waits for room already is held too, and told of', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, lines }) => {
      const started: Started[] = []
      add(scheduler, clock, started, 'long', 'high', { handler: () => clock.sleep(12 * SECOND) })
      for (let index = 0; index < 8; index++) add(scheduler, clock, started, `low-${index}`, 'low')
      add(scheduler, clock, started, 'alone', 'low', { onRedisError: 'run' })
      add(scheduler, clock, started, 'normal', 'normal')
      await scheduler.start()
      await clock.advance(62 * SECOND)
      await overload(clock, 12 * SECOND, 900)
      t.same(
        started.map(({ id }) => id),
        ['normal'],
        'there is room now'
      )
      t.match(lines.find(({ level }) => level === 'warn')?.fields, { waiting: 9 })
      t.equal(scheduler.list().length, 11)
      scheduler.remove('low-3')
      scheduler.modify('low-4', { priority: 'normal' })
      await clock.advance(5 * SECOND)
      t.equal(started.length, 9)
    },
    { ...on, concurrency: 1 },
    START
  )
)

t.test('a tick that has waited for half of its grace, or of the time to the next, is run all the same', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      const started: Started[] = []
      add(scheduler, clock, started, 'default', 'low')
      add(scheduler, clock, started, 'short', 'low', { misfireGraceTime: '10s' })
      add(scheduler, clock, started, 'long', 'low', { misfireGraceTime: '1h' })
      add(scheduler, clock, started, 'date', 'low', {
        trigger: { date: Date.parse(START) + MINUTE },
        misfireGraceTime: '3m'
      })
      add(scheduler, clock, started, 'completion', 'low', { trigger: { interval: '20s', after: 'completion' } })
      add(scheduler, clock, started, 'after', 'low', { misfireGraceTime: '40s', coalesce: 'all' })
      for (let index = 0; index < 5; index++) add(scheduler, clock, started, `block-${index}`, 'low')
      await scheduler.start()
      await clock.advance(50 * SECOND)
      started.length = 0
      await overload(clock, 130 * SECOND, SECOND)
      const first = (id: string): number | undefined => started.find((each) => each.id === id)?.at
      const slack = 1100
      for (const [id, at] of [
        ['default', 75_000],
        ['short', 65_000],
        ['long', 90_000],
        ['date', 150_000],
        ['after', 80_000],
        ['block-0', 75_000],
        ['block-4', 75_000]
      ] as const)
        t.ok(within(first(id), at, at + slack), `${id} began at ${first(id)}`)
      const intervals = started.filter(({ id }) => id === 'completion').map(({ at }) => at)
      t.ok(intervals.length >= 3, intervals.join(' '))
      for (const [index, at] of intervals.slice(1).entries()) {
        const since = at - (intervals[index] as number)
        t.ok(within(since, 30_000, 30_000 + 2 * slack), `the interval and half of it: ${since}`)
      }
      t.equal(events.filter(({ name }) => name === 'missed' || name === 'skipped').length, 0)
    },
    on,
    START
  )
)

t.test('of several late ticks the first decides how long they wait', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const started: Started[] = []
      add(scheduler, clock, started, 'all', 'low', { coalesce: 'all', misfireGraceTime: '100s' })
      const long = { trigger: { date: Date.parse(START) + 59_900 }, handler: () => clock.sleep(70_100), lock: '5m' }
      add(scheduler, clock, started, 'long', 'high', long)
      await scheduler.start()
      await clock.advance(121 * SECOND)
      await overload(clock, 25 * SECOND, SECOND)
      t.ok(within(started[0]?.at, 130 * SECOND, 132 * SECOND), `began at ${started[0]?.at}`)
    },
    { ...on, concurrency: 1 },
    START
  )
)

t.test('a job that makes the event loop late itself goes on', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      let runs = 0
      scheduler.interval('heavy', '5s', () => void runs++, { priority: 'low' })
      await scheduler.start()
      for (let turn = 0; turn < 60; turn++) {
        const before = runs
        await clock.advance(SECOND)
        if (runs > before) await clock.freeze(1500)
      }
      t.ok(runs >= 10, `${runs} runs`)
      t.same([...new Set(events.filter(({ name }) => name === 'missed').map(({ event }) => event.reason))], [])
    },
    on,
    START
  )
)

t.test('ticks that came too late while they waited are counted once, and what is stopped is left', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, events }) => {
      const started: Started[] = []
      for (let index = 0; index < 5; index++)
        add(scheduler, clock, started, `low-${index}`, 'low', { misfireGraceTime: '2s' })
      await scheduler.start()
      await clock.advance(55 * SECOND)
      await overload(clock, 5 * SECOND, 900)
      await clock.freeze(10 * SECOND)
      await clock.advance(5 * SECOND)
      t.same(started, [])
      const count = (name: string): number => events.filter((event) => event.name === name).length
      t.equal(count('missed'), 5)
      t.ok(events.every(({ name, event }) => name !== 'missed' || event.reason === 'misfire'))
      for (const { id } of scheduler.list()) scheduler.modify(id, { misfireGraceTime: '20s' })
      await clock.advance(35 * SECOND)
      await overload(clock, 12 * SECOND, 900)
      t.same(started, [])
      scheduler.stop()
      t.equal(events.filter(({ event }) => event.reason === 'shutdown').length, 5)
      await scheduler.start()
      await clock.advance(MINUTE)
      t.equal(new Set(started.map(({ id }) => id)).size, 5, 'the next ones come')
      t.equal(count('missed'), 10, 'whoever claims those counts the ones that nobody took')
    },
    on,
    START
  )
)

t.test('another replica takes what one that is late leaves, and each tick is accounted for once', (t) =>
  withFleet(async ({ simulation, start, join, runs, missed }) => {
    const define = ({ scheduler }: Member): void => {
      for (const priority of ['low', 'normal'] as const)
        for (let index = 0; index < 20; index++)
          scheduler.interval(`${priority}-${index}`, '10s', () => {}, { priority })
    }
    const late = await join(define, on)
    const free = await join(define, on)
    for (let turn = 0; turn < 60; turn++) {
      late.replica.freeze('900ms')
      await simulation.advance(SECOND)
    }
    await simulation.advance(15 * SECOND)
    const ticks = runs().map(({ jobId, scheduledTime }) => `${jobId} ${scheduledTime}`)
    t.equal(new Set(ticks).size, ticks.length)
    t.equal(ticks.length, 7 * 40)
    t.same(missed(), [])
    const low = (member: Member): number[] => {
      const found = member.runs.filter(({ jobId }) => /low/.test(jobId))
      return [...new Set(found.map(({ scheduledTime }) => (scheduledTime - start) / SECOND))]
    }
    t.same(low(free), [10, 20, 30, 40, 50, 60])
    t.same(low(late), [70], 'when it is on time again')
    t.equal(late.lines.filter(({ message }) => /event loop is \d+ ms late/.test(message)).length, 1)
    t.equal(free.lines.filter(({ message }) => /event loop/.test(message)).length, 0)
  })
)

t.test('a process whose event loop is really late', async (t) => {
  const child = forkPlainly(
    fileURLToPath(new URL('../fixtures/late-process.ts', import.meta.url)),
    [],
    ['--import', 'tsx']
  )
  const [{ order, warned, ended, throttled }] = (await once(child, 'message')) as [
    { order: string[]; warned: number; ended: number; throttled: boolean }
  ]
  const [code] = (await once(child, 'exit')) as [number]
  t.equal(code, 0, 'and it ends by itself')
  t.equal(warned, 1)
  t.equal(ended, 1)
  t.ok(throttled)
  t.same(order, ['normal', 'calm', 'low'])
})
