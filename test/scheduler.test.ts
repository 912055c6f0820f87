import { inspect } from 'node:util'
import t from 'tap'
import { createScheduler, type Job, type JobOptions, type TriggerInput } from '../lib/index.js'
import { withVirtualScheduler } from './fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000
const noop = (): void => {}

t.test('console.log shows what a job and a scheduler are', async (t) => {
  const own = createScheduler({ replicaId: 'one' })
  own.interval('a', '1h', noop, { data: { table: 'orders' }, name: 'The first' })
  for (const shown of [inspect(own.get('a')), inspect(own.list()), inspect(own), inspect({ deep: own.get('a') })]) {
    t.match(shown, /id: 'a'/)
    t.match(shown, /name: 'The first'/)
    t.match(shown, /paused: false/)
    t.match(shown, /table: 'orders'|data: \[Object\]/)
  }
  t.match(inspect(own), /replicaId: 'one'/)
  own.remove('a')
  t.match(inspect(own), /jobs: \[\]/)
  await own.close()
})

t.test('add, get and list show a live view of each job', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const first = scheduler.add({
      id: 'one',
      name: 'The first',
      trigger: { interval: '10s' },
      handler: noop,
      data: { a: 1 }
    })
    const second = scheduler.add({ id: 'two', trigger: { interval: '1m' }, handler: noop })
    t.equal(scheduler.get('one'), first)
    t.equal(scheduler.get('none'), undefined)
    t.same(
      scheduler.list().map(({ id }) => id),
      ['one', 'two'],
      'in the order they were added'
    )
    t.equal(second.name, 'two', 'the name is the id when none is given')
    t.equal(first.nextRun, START + 10 * SECOND, 'the fleet has a next tick also where this process has none')
    t.same(
      events.map(({ name, event }) => [name, (event.job as Job).id]),
      [
        ['added', 'one'],
        ['added', 'two']
      ]
    )

    await scheduler.start()
    t.equal(first.nextRun, START + 10 * SECOND)
    await clock.advance(10 * SECOND)
    const wanted = {
      id: 'one',
      name: 'The first',
      trigger: { interval: '10s' },
      data: { a: 1 },
      group: null,
      description: null,
      paused: false,
      pauses: [],
      override: null,
      running: 0,
      nextRun: START + 20 * SECOND,
      lastRun: START + 10 * SECOND,
      lastSuccess: START + 10 * SECOND
    }
    t.same(JSON.parse(JSON.stringify(first)), wanted)
  })
})

t.test('cron, interval and date are shorthands of add', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const runs: string[] = []
    const handler = ({ job, data }: { job: Job; data: unknown }): void => void runs.push(`${job.id} ${data}`)
    scheduler.cron('cron', '30 2 * * *', handler, { timezone: 'Europe/Vienna', data: 1, name: 'Nightly' })
    scheduler.interval('interval', { hours: 1 }, handler, { data: 2 })
    scheduler.date('date', new Date(START + 90 * 60 * SECOND), handler, { data: 3 })
    t.equal(scheduler.get('cron')?.name, 'Nightly')
    t.same(scheduler.get('cron')?.trigger, { cron: '30 2 * * *', timezone: 'Europe/Vienna' })
    await scheduler.start()
    await clock.advance(2 * 3600 * SECOND)
    // 02:30 in Vienna is 01:30 UTC; which of two jobs of one time is first is not said.
    t.same([runs[0], ...runs.slice(1, 3).sort(), runs[3]], ['interval 2', 'cron 1', 'date 3', 'interval 2'])
    t.equal(runs.length, 4)
    t.equal(scheduler.get('date'), undefined, 'a date is over after its tick')
  })
})

t.test('shorthands refuse what has a parameter of its own', async (t) => {
  const scheduler = createScheduler()
  for (const key of ['id', 'trigger', 'handler']) {
    const options = { [key]: 'x' } as never
    t.throws(() => scheduler.cron('a', '* * * * *', noop, options), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    t.throws(() => scheduler.interval('a', 5, noop, options), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    t.throws(() => scheduler.date('a', 5, noop, options), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  }
  t.same(scheduler.list(), [])
  await scheduler.close()
})

t.test('remove forgets a job, and its id can be used again', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const runs: number[] = []
    scheduler.interval('a', '1s', () => void runs.push(1))
    await scheduler.start()
    await clock.advance(2 * SECOND)
    const view = scheduler.get('a')
    t.equal(scheduler.remove('a'), true)
    t.equal(scheduler.remove('a'), false)
    t.equal(scheduler.get('a'), undefined)
    t.equal(view?.nextRun, null)
    await clock.advance(5 * SECOND)
    t.equal(runs.length, 2)
    t.equal(events.filter(({ name }) => name === 'removed').length, 1)
    scheduler.interval('a', '1s', () => void runs.push(2))
    await clock.advance(SECOND)
    t.same(runs, [1, 1, 2])
  })
})

t.test('a run of a removed job goes on to its end', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    scheduler.interval('a', '1s', () => clock.sleep(500))
    await scheduler.start()
    await clock.advance(1200)
    scheduler.remove('a')
    await clock.advance(5 * SECOND)
    const names = events.map(({ name }) => name)
    t.equal(names.filter((name) => name === 'submitted').length, 1)
    t.equal(names.filter((name) => name === 'executed').length, 1)
  })
})

t.test('modify and reschedule change a job from its next tick on', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const runs: string[] = []
    scheduler.interval('a', '10s', ({ data }) => void runs.push(`old ${data}`), { data: 1, name: 'A' })
    await scheduler.start()
    await clock.advance(10 * SECOND)
    scheduler.modify('a', { data: 2 })
    await clock.advance(10 * SECOND)
    scheduler.modify('a', { handler: ({ data }) => void runs.push(`new ${data}`) })
    t.equal(scheduler.get('a')?.name, 'A', 'what is not changed stays')
    const job = scheduler.reschedule('a', { interval: '3s' })
    t.equal(job.nextRun, START + 21 * SECOND)
    await clock.advance(SECOND)
    t.same(runs, ['old 1', 'old 2', 'new 2'])
    t.same(
      events.filter(({ name }) => name === 'modified').map(({ event }) => (event.job as Job).id),
      ['a', 'a', 'a']
    )
    scheduler.modify('a', { trigger: { date: START + 60 * SECOND } })
    await clock.advance(120 * SECOND)
    t.equal(runs.length, 4)
  })
})

t.test('an add or a modify that is refused changes nothing', async (t) => {
  const calls: string[] = []
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const options: JobOptions<undefined> = {
      id: 'a',
      name: 'A',
      trigger: { interval: '10s' },
      data: 1,
      handler: ({ data }) => void calls.push(String(data))
    }
    const job = scheduler.add(options)
    await scheduler.start()
    await clock.advance(10 * SECOND)
    const before = JSON.stringify(job)
    events.length = 0
    const wrong: object[] = [
      { trigger: { cron: '61 * * * *' } },
      { trigger: { interval: '-5m' } },
      { data: 2, lock: { ttl: 1 } },
      { handler: 'none' },
      { name: '' },
      { timeout: -1, data: 2 },
      { retry: { limit: -1 }, name: 'B' },
      { id: 'b' },
      { paused: true },
      { handlr: noop }
    ]
    for (const changes of wrong) {
      t.throws(() => scheduler.modify('a', changes), { code: /^FST_ERR_RLS_/ }, JSON.stringify(changes))
      t.equal(JSON.stringify(job), before)
    }
    t.throws(() => scheduler.modify('b', {}), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    t.throws(() => scheduler.reschedule('b', { interval: 5 }), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    for (const changes of [{}, { id: 'c', trigger: {} }, { id: 'c', trigger: { cron: 'x' } }, { id: '' }]) {
      t.throws(() => scheduler.add({ ...options, ...(changes as { trigger: TriggerInput }) }), {
        code: /^FST_ERR_RLS_/
      })
    }
    t.throws(() => scheduler.add(options), { code: 'FST_ERR_RLS_JOB_DUPLICATE', message: /'a'/ })
    t.same(scheduler.list(), [job])
    t.same(events, [], 'no event tells of a change that was refused')
    await clock.advance(10 * SECOND)
    t.same(calls, ['1', '1'])
  })
})

t.test('start, stop and close can be called again; what needs a running scheduler says so', async (t) => {
  const scheduler = createScheduler()
  scheduler.interval('a', '1h', noop)
  const code = 'FST_ERR_RLS_NOT_RUNNING'
  await t.rejects(scheduler.trigger('a'), { code, message: /has not been started/ })
  t.equal(scheduler.start(), scheduler.start())
  await scheduler.start()
  scheduler.stop()
  scheduler.stop()
  t.equal(scheduler.close(), scheduler.close())
  await scheduler.close()
  scheduler.stop()
  await t.rejects(scheduler.trigger('a'), { code, message: /is closed/ })
  await t.rejects(
    scheduler.withLock('x', {}, () => t.fail('called')),
    { code }
  )
  t.throws(() => scheduler.interval('b', '1h', noop), { code })
  t.same(
    scheduler.list().map(({ id }) => id),
    ['a']
  )

  const closed = createScheduler()
  await closed.close()
  await t.rejects(closed.start(), { code }, 'one that was closed first cannot be started')
})

t.test('a job added after the start is due at its next tick', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    await scheduler.start()
    await clock.advance(12_345)
    const times: number[] = []
    scheduler.interval('a', '10s', ({ run }) => void times.push(run.scheduledTime - START))
    await clock.advance(20_000)
    t.same(times, [20_000, 30_000])
  })
})

t.test('pause and resume', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    let runs = 0
    const job = scheduler.interval('a', '1s', () => void runs++)
    const waiting = scheduler.interval('b', '1s', () => void runs++, { paused: true })
    await scheduler.start()
    await scheduler.pause('a', 'database migration')
    t.equal(job.paused, true)
    t.equal(waiting.paused, true)
    await clock.advance(3 * SECOND)
    t.equal(runs, 0)
    t.equal((await scheduler.trigger('a'))?.trigger, 'manual', 'runs by hand are still possible')
    t.equal(runs, 1)
    await scheduler.resume('a')
    await scheduler.resume('b')
    t.equal(job.paused, false)
    await clock.advance(2 * SECOND)
    t.equal(runs, 5)
    t.same(
      events
        .filter(({ name }) => name === 'paused' || name === 'resumed')
        .map(({ name, event }) => [name, (event.job as Job).id]),
      [
        ['paused', 'a'],
        ['resumed', 'a'],
        ['resumed', 'b']
      ]
    )
    t.same(
      events.filter(({ name }) => name === 'skipped').map(({ event }) => event.reason),
      Array(6).fill('paused')
    )
    for (const note of ['x'.repeat(501), 5]) {
      await t.rejects(scheduler.pause('a', note as string), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    }
    await t.rejects(scheduler.pause('c'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    await t.rejects(scheduler.resume('c'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    t.equal(job.paused, false)
  })
})

t.test('preview lists what a trigger will do', async (t) => {
  await withVirtualScheduler(
    async ({ scheduler }) => {
      const hour = 3600 * SECOND
      t.same(scheduler.preview({ cron: '0 6 * * *' }, { count: 2 }), [START + 5 * hour, START + 29 * hour])
      t.same(scheduler.preview({ interval: '1h' }, { count: 1, from: START + 1 }), [START + hour])
      t.same(scheduler.preview({ date: START - 1 }), [])
      t.equal(scheduler.preview({ interval: 1 }).length, 5)
      for (const options of [{ count: 0 }, { count: 10_001 }, { count: '5' }, { from: 'soon' }, { cuont: 1 }]) {
        t.throws(() => scheduler.preview({ interval: 1 }, options as object), { code: /^FST_ERR_RLS_/ })
      }
    },
    { timezone: 'Europe/Vienna' }
  )
})
