import t from 'tap'
import { createScheduler, type Run } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { type VirtualScheduler, withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// A timeout is told when it passes, whether or not the handler ever ends.

const SECOND = 1000
const CODE = 'FST_ERR_RLS_RUN_TIMEOUT'

async function sampleOf({ scheduler }: VirtualScheduler, metric: string, id: string): Promise<number> {
  const text = (await scheduler.register?.metrics()) ?? ''
  const line = text.split('\n').find((each) => each.startsWith(`apscheduler_${metric}{job_id="${id}"`))
  return Number(line?.split(' ').at(-1))
}

t.test('the timeout of a handler that hangs is told when it passes, and its run is counted once', (t) =>
  withVirtualScheduler(async (parts) => {
    const { clock, scheduler, events, lines } = parts
    let end: (() => void) | undefined
    scheduler.interval('hung', '1h', () => new Promise<void>((resolve) => (end = resolve)), { timeout: '7s' })
    const errors = (): unknown[] => events.filter(({ name }) => name === 'error')
    const failures = (): unknown[] => lines.filter(({ level }) => level === 'error')
    await scheduler.start()
    const run = (await scheduler.trigger('hung')) as Run
    await clock.advance(7 * SECOND - 1)
    t.same([errors().length, failures().length, run.outcome], [0, 0, null])
    await clock.advance(1)
    t.match(errors(), [
      { event: { job: { id: 'hung' }, run: { id: run.id, outcome: 'timeout' }, error: { code: CODE } } }
    ])
    t.match(failures(), [
      { message: /^a run failed: its handler goes on/, fields: { jobId: 'hung', runId: run.id, outcome: 'timeout' } }
    ])
    t.match(run, { outcome: 'timeout', finishedAt: run.startedAt + 7 * SECOND, error: { code: CODE } })
    t.equal(await sampleOf(parts, 'job_failure_total', 'hung'), 1)
    t.equal(await sampleOf(parts, 'job_running', 'hung'), 1, 'it goes on')
    t.equal(await sampleOf(parts, 'redis_lock_released_total', 'hung'), 0)
    t.equal(await scheduler.trigger('hung'), null, 'under its lock')

    await clock.advance(3600 * SECOND)
    t.equal(await scheduler.trigger('hung'), null, 'an hour later too')
    end?.()
    await clock.settle()
    t.equal(errors().length, 1)
    t.equal(failures().length, 1)
    t.match(lines.at(-1), { level: 'info', fields: { jobId: 'hung', runId: run.id, outcome: 'timeout' } })
    for (const [metric, value] of [
      ['job_failure_total', 1],
      ['job_success_total', 0],
      ['jobs_fired_total', 1],
      ['job_running', 0],
      ['redis_lock_released_total', 1],
      ['schedule_delay_seconds_count', 1]
    ] as const) {
      t.equal(await sampleOf(parts, metric, 'hung'), value, metric)
    }
    t.match(await scheduler.trigger('hung'), { outcome: null }, 'and the lock is free')
  })
)

t.test('a lock that is lost before the timeout passes is told as lost once, also where closing leaves the run', (t) =>
  withVirtualScheduler(async (parts) => {
    const { clock, scheduler, events, lines } = parts
    const lost = (): unknown[] => [
      events.filter(({ name }) => name === 'lockLost').length,
      lines.filter(({ message }) => /lost its lock/.test(message)).length
    ]
    scheduler.interval('hung', '1h', () => new Promise(() => {}), { lock: '1s', timeout: '20s' })
    await scheduler.start()
    await scheduler.trigger('hung')
    await clock.freeze(5 * SECOND)
    await clock.advance(100)
    t.same(lost(), [1, 1])
    await clock.advance(20 * SECOND)
    t.same(lost(), [1, 1], 'after its timeout')
    t.equal(await sampleOf(parts, 'redis_lock_lost_total', 'hung'), 1)
    const closed = scheduler.close()
    await clock.advance(20 * SECOND)
    await closed
    t.same(lost(), [1, 1], 'after closing')
  })
)

t.test('who waits for a run by hand that hangs hears of its timeout', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.interval('hung', '1h', () => new Promise(() => {}), { timeout: '3s', lock: false })
    await scheduler.start()
    const waiting = scheduler.trigger('hung', { wait: true })
    await clock.advance(3 * SECOND)
    t.match(await waiting, { outcome: 'timeout', error: { code: CODE } })
  })
)

t.test('a handler that ends or throws after its timeout changes nothing; one between two attempts is told once', (t) =>
  withVirtualScheduler(async (parts) => {
    const { clock, scheduler, events } = parts
    const retry = { limit: 3, delay: '10s' } as const
    scheduler.interval('throws', '1h', () => clock.sleep(5000).then(() => Promise.reject(new Error('late'))), {
      timeout: '2s',
      retry
    })
    scheduler.interval('returns', '1h', () => clock.sleep(5000).then(() => 'late'), { timeout: '2s', retry })
    const broken = (): void => {
      throw new Error('broken')
    }
    scheduler.interval('waits', '1h', broken, { timeout: '2s', retry })
    await scheduler.start()
    const runs = await Promise.all(['throws', 'returns', 'waits'].map((id) => scheduler.trigger(id)))
    await clock.advance(2 * SECOND)
    t.same(
      runs.map((run) => run?.outcome),
      Array(3).fill('timeout')
    )
    t.equal(await scheduler.trigger('throws'), null)
    t.match(await scheduler.trigger('waits'), { attempt: 1 }, 'nothing goes on, so its lock is free')
    await clock.advance(60 * SECOND)
    t.same(
      runs.map((run) => run?.outcome),
      Array(3).fill('timeout')
    )
    const told = events.filter(({ name }) => name === 'error').map(({ event }) => (event.run as Run).id)
    t.equal(told.length, 4)
    t.equal(new Set(told).size, 4)
    t.equal(await sampleOf(parts, 'job_failure_total', 'throws'), 1)
    t.equal(await sampleOf(parts, 'job_failure_total', 'returns'), 1)
    t.equal(await sampleOf(parts, 'job_success_total', 'returns'), 0)
  })
)

t.test('closing does not tell again of a run that has timed out and hangs', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events }) => {
    scheduler.interval('hung', '1h', () => new Promise(() => {}), { timeout: '1s' })
    await scheduler.start()
    const run = (await scheduler.trigger('hung')) as Run
    await clock.advance(SECOND)
    const closed = scheduler.close()
    await clock.advance(60 * SECOND)
    await closed
    t.equal(run.outcome, 'timeout')
    t.equal(events.filter(({ name }) => name === 'error').length, 1)
  })
)

t.test('over Redis the lock is kept, and extended, until the handler has ended', async (t) => {
  await withRedis(async ({ url, client }) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: url, prefix: 'timeout', logger, defaults: { lock: { ttl: 600 } } })
    let end: (() => void) | undefined
    scheduler.interval('hung', 1000, () => new Promise<void>((resolve) => (end = resolve)), { timeout: 200 })
    await scheduler.start()
    const { run, error } = await nextEvent(scheduler, 'error')
    t.match({ run, error }, { run: { outcome: 'timeout' }, error: { code: CODE } })
    t.equal(await client.get('rls:{timeout}:lock:hung'), run.id)
    await nextEvent(scheduler, 'skipped', ({ reason }) => reason === 'overlap')
    t.equal(await client.get('rls:{timeout}:lock:hung'), run.id, 'longer than its TTL')
    scheduler.remove('hung')
    end?.()
    await scheduler.close()
    t.equal(await client.exists('rls:{timeout}:lock:hung'), 0)
    t.equal(lines.filter(({ level }) => level === 'error').length, 1)
  })
})
