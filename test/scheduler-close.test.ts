import t from 'tap'
import { createScheduler, type Run } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'

const SECOND = 1000

t.test('close waits for running handlers', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock })
  scheduler.interval('a', '1h', () => clock.sleep(5000))
  await scheduler.start()
  const run = (await scheduler.trigger('a')) as Run
  let closed = false
  const closing = scheduler.close().then(() => {
    closed = true
  })
  await clock.advance(4999)
  t.equal(closed, false)
  await clock.advance(1)
  await closing
  t.equal(run.outcome, 'success')
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('close aborts what is not over after closeTimeout', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, closeTimeout: '3s' })
  let reason: unknown
  scheduler.interval('a', '1h', async ({ signal }) => {
    signal.addEventListener('abort', () => {
      reason = signal.reason
    })
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  })
  await scheduler.start()
  const run = (await scheduler.trigger('a')) as Run
  const closing = scheduler.close()
  await clock.advance(2999)
  t.equal(run.outcome, null)
  await clock.advance(1)
  await closing
  t.match(reason, { code: 'FST_ERR_RLS_RUN_CANCELLED', message: /'?a'? .*3000 ms/ })
  t.equal(run.outcome, 'cancelled')
  t.equal(run.error, reason)
})

t.test('a handler that never settles does not keep close from ending', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, closeTimeout: '3s' })
  let settle = (): void => {}
  scheduler.interval('a', '1h', () => new Promise<void>((resolve) => (settle = resolve)))
  await scheduler.start()
  const run = (await scheduler.trigger('a')) as Run
  const closing = scheduler.close()
  await clock.advance(5 * SECOND)
  await closing
  t.equal(run.outcome, 'abandoned')
  settle()
  await clock.advance(SECOND)
  t.equal(run.outcome, 'abandoned', 'its late end changes nothing')
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('a run that waits for its next attempt is cancelled', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, closeTimeout: '3s' })
  let calls = 0
  const retry = { limit: 5, delay: '1m' } as const
  const handler = (): never => {
    calls++
    throw new Error('broken')
  }
  scheduler.interval('a', '1h', handler, { retry })
  await scheduler.start()
  const run = (await scheduler.trigger('a')) as Run
  const closing = scheduler.close()
  await clock.advance(3 * SECOND)
  await closing
  t.equal(run.outcome, 'cancelled')
  await clock.advance(120 * SECOND)
  t.equal(calls, 1)
})

t.test('no tick runs after stop', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock })
  let runs = 0
  scheduler.interval('a', '1s', () => void runs++)
  scheduler.interval('unlocked', '1s', () => void runs++, { lock: false })
  await scheduler.start()
  await clock.advance(SECOND)
  t.equal(runs, 2)
  scheduler.stop()
  await clock.advance(60 * SECOND)
  t.equal(runs, 2)
  await scheduler.close()
  t.equal(clock.pending, 0)
})

t.test('close waits for withLock, then aborts it', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, closeTimeout: '3s' })
  await scheduler.start()
  let reason: unknown
  const result = scheduler.withLock('report', { ttl: '10s' }, ({ signal }) => {
    return new Promise<string>((resolve) =>
      signal.addEventListener('abort', () => {
        reason = signal.reason
        resolve('aborted')
      })
    )
  })
  await clock.settle()
  const closing = scheduler.close()
  await clock.advance(4 * SECOND)
  await closing
  t.match(reason, { code: 'FST_ERR_RLS_RUN_CANCELLED' })
  t.same(await result, { acquired: true, value: 'aborted' })
  t.equal(clock.pending, 0)
})

t.test('what waits for a free place at stop is left to other replicas, and counted', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, concurrency: 1 })
  const skipped: string[] = []
  scheduler.on('skipped', ({ job, reason }) => void skipped.push(`${job.id} ${reason}`))
  const ran: string[] = []
  for (const id of ['a', 'b', 'c']) {
    scheduler.interval(id, '10s', async () => {
      ran.push(id)
      await clock.sleep(SECOND)
    })
  }
  await scheduler.start()
  await clock.advance(10 * SECOND)
  t.equal(ran.length, 1)
  const closing = scheduler.close()
  await clock.advance(SECOND)
  await closing
  t.equal(ran.length, 1)
  t.equal(skipped.length, 2)
  t.ok(skipped.every((each) => each.endsWith(' shutdown')))
})
