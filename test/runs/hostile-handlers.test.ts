import t from 'tap'
import { createScheduler, type Run } from '../../lib/index.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// Handlers that do what they should not: each costs its own run, and nothing else.

const SECOND = 1000

t.test('a handler that never settles: its job overlaps, the others go on, and closing does not wait for ever', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events }) => {
    let others = 0
    scheduler.interval('stuck', '1s', () => new Promise(() => {}), { timeout: '500ms' })
    scheduler.interval('other', '1s', () => void others++)
    await scheduler.start()
    await clock.advance(5 * SECOND)
    t.equal(others, 5)
    const closed = scheduler.close()
    await clock.advance(20 * SECOND)
    await closed
    const ended = events.filter(({ name }) => name === 'error').map(({ event }) => (event.run as Run).outcome)
    t.same(ended, ['timeout'], 'told when its timeout passed, and not again')
    const overlaps = events.filter(({ name, event }) => name === 'skipped' && event.reason === 'overlap')
    t.equal(overlaps.length, 4)
  })
)

t.test('a handler that throws after it was aborted has timed out, once', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events }) => {
    scheduler.interval(
      'job',
      '10s',
      async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        await clock.sleep(100)
        throw new Error('too late to matter')
      },
      { timeout: '1s', retry: { limit: 3 } }
    )
    await scheduler.start()
    await clock.advance(15 * SECOND)
    const ended = events.filter(({ name }) => name === 'error').map(({ event }) => (event.run as Run).outcome)
    t.same(ended, ['timeout'])
  })
)

t.test('a handler that closes the scheduler it runs in ends it, and itself', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    let closed: Promise<void> | null = null
    scheduler.interval('job', '1s', async () => {
      closed = scheduler.close()
      await closed
    })
    await scheduler.start()
    await clock.advance(SECOND)
    await clock.advance(20 * SECOND)
    t.resolves(closed as unknown as Promise<void>)
  })
)

t.test('a handler that removes, reschedules, pauses and adds jobs', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const ran: string[] = []
    scheduler.interval('removes-itself', '1s', ({ job }) => {
      ran.push(job.id)
      scheduler.remove(job.id)
    })
    scheduler.interval('reschedules-itself', '1s', ({ job }) => {
      ran.push(job.id)
      scheduler.reschedule(job.id, { interval: '3s' })
    })
    scheduler.interval('pauses-itself', '1s', async ({ job }) => {
      ran.push(job.id)
      await scheduler.pause(job.id)
    })
    scheduler.interval('adds', '1s', () => {
      if (scheduler.get('added') === undefined) scheduler.interval('added', '1s', () => void ran.push('added'))
    })
    await scheduler.start()
    await clock.advance(7 * SECOND)
    const count = (id: string): number => ran.filter((each) => each === id).length
    t.equal(count('removes-itself'), 1)
    t.equal(count('reschedules-itself'), 3, 'at 1, 3 and 6 s')
    t.equal(count('pauses-itself'), 1)
    t.equal(count('added'), 6)
    t.same(
      events.filter(({ name }) => name === 'error'),
      []
    )
  })
)

t.test('a handler that triggers itself is refused, and one that triggers another waits for it', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    const answers: unknown[] = []
    scheduler.date('other', '2099-01-01T00:00:00Z', () => clock.sleep(SECOND))
    scheduler.interval('job', '1m', async ({ job }) => {
      answers.push(await scheduler.trigger(job.id, { wait: true }))
      answers.push((await scheduler.trigger('other', { wait: true }))?.outcome)
    })
    await scheduler.start()
    await clock.advance(62 * SECOND)
    t.same(answers, [null, 'success'])
  })
)

t.test(
  'a promise that a handler leaves behind and that rejects later is the app its own to catch, not ours',
  async (t) => {
    const scheduler = createScheduler()
    const rejected: unknown[] = []
    const listeners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (reason) => void rejected.push(reason))
    try {
      scheduler.interval('job', '1h', () => void Promise.reject(new Error('left behind')))
      await scheduler.start()
      const run = await scheduler.trigger('job', { wait: true })
      await new Promise((resolve) => setTimeout(resolve, 20))
      t.equal(run?.outcome, 'success')
      t.match(rejected, [{ message: 'left behind' }], 'it is reported as any other, and to nobody twice')
    } finally {
      process.removeAllListeners('unhandledRejection')
      for (const listener of listeners) process.on('unhandledRejection', listener)
      await scheduler.close()
    }
  }
)

t.test('a handler that blocks the event loop beyond its TTL has lost its lock, and its successor keeps it', (t) =>
  withRedis(async ({ url, client }) => {
    const blocking = createScheduler({ redis: url, prefix: 'app' })
    const at = { date: '2099-01-01T00:00:00Z' }
    const block = (): void => {
      const end = performance.now() + 5000
      while (performance.now() < end);
    }
    blocking.add({ id: 'job', trigger: at, handler: block, lock: { ttl: '1s' } })
    await blocking.start()
    const running = blocking.trigger('job', { wait: true })
    const run = await running
    t.equal(run?.outcome, 'lock_lost')
    t.match(run?.error, { code: 'FST_ERR_RLS_LOCK_LOST' })
    t.equal(await client.exists('rls:{app}:lock:job'), 0)
    await client.set('rls:{app}:lock:job', 'successor', 'PX', 10_000)
    t.equal(await blocking.trigger('job'), null)
    await blocking.close()
    t.equal(await client.get('rls:{app}:lock:job'), 'successor')
  })
)
