import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { MemoryCoordination } from '../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../lib/coordination/memory/store.js'
import plugin, { createScheduler, type Run, type Scheduler, type SchedulerOptions } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import type { Coordination } from '../types/coordination.js'
import { logLines } from './fixtures/log-lines.js'

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

t.test('a run that takes a lock after closing began is aborted with the others', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, closeTimeout: '3s' })
  scheduler.interval('a', '1h', async () => {
    await clock.sleep(SECOND)
    await scheduler.withLock('table', { ttl: '10s' }, ({ signal }) => once(signal, 'abort'))
  })
  await scheduler.start()
  const run = await scheduler.trigger('a')
  const closed = scheduler.close()
  await clock.advance(4 * SECOND)
  await closed
  t.equal(run?.outcome, 'cancelled', 'also where it heeds the signal of its lock alone')
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

t.test('a function under withLock that does not heed its signal is given up a second after closeTimeout', async (t) => {
  for (const inApp of [false, true]) {
    const clock = new VirtualClock()
    const options = { clock, closeTimeout: '3s' } as const
    const app = Fastify()
    await app.register(plugin, { ...options, autostart: false })
    await app.ready()
    const scheduler = inApp ? app.jobs : createScheduler(options)
    const work = scheduler.withLock('table', { ttl: '10s' }, () => new Promise<void>(() => {}))
    await clock.advance(10)
    let isClosed = false
    const closed = (inApp ? app.close() : scheduler.close()).then(() => {
      isClosed = true
    })
    for (let passed = 0; passed < 4000; passed += 100) {
      await clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
      if (passed < 3800) t.equal(isClosed, false, `after ${passed} ms`)
    }
    await clock.advance(50)
    await Promise.race([closed, sleep(5000, undefined, { ref: false })])
    t.equal(isClosed, true)
    void work.catch(() => {})
    if (!inApp) await app.close()
  }
})

/** A scheduler in memory whose store answers otherwise, or later. */
function withStore(
  clock: VirtualClock,
  options: SchedulerOptions<undefined>,
  change: (target: Coordination) => Partial<Coordination>
): Scheduler<undefined> {
  return createScheduler({
    clock,
    coordination: ({ maxClockSkew, listener }) => {
      const target = new MemoryCoordination(clock, new MemoryStore(), maxClockSkew, listener)
      const state = { kind: 'redis', up: true, skew: 0 } as const
      return Object.assign(Object.create(target) as Coordination, bound(target), { state }, change(target))
    },
    ...options
  })
}

/** The methods of an object, which are its own wherever they are called from. */
function bound(target: Coordination): Partial<Coordination> {
  const names = Object.getOwnPropertyNames(MemoryCoordination.prototype) as (keyof Coordination)[]
  const methods = names.filter((name) => name !== 'state' && typeof target[name] === 'function')
  return Object.fromEntries(methods.map((name) => [name, (target[name] as () => unknown).bind(target)]))
}

t.test('nothing begins without a claim once closing has begun, and a tick is not counted beside its run', async (t) => {
  for (const closeTimeout of ['300ms', '8s']) {
    const clock = new VirtualClock('2027-01-01T00:00:00.500Z')
    let asked = 0
    const scheduler = withStore(clock, { closeTimeout }, () => ({
      claim: async (requests) => {
        asked++
        await clock.sleep(2 * SECOND)
        return requests.map(() => ({ status: 'unavailable', error: new Error('silent'), maybe: true }))
      }
    }))
    const begun: number[] = []
    const reasons: string[] = []
    scheduler.interval('job', '1s', ({ run }) => void begun.push(run.scheduledTime), {
      onRedisError: 'run',
      misfireGraceTime: '100ms'
    })
    scheduler.on('skipped', ({ scheduledTime, reason }) => void reasons.push(`${scheduledTime} ${reason}`))
    await scheduler.start()
    await clock.advance(SECOND)
    t.equal(asked, 1)
    const closed = scheduler.close()
    await clock.advance(30 * SECOND)
    await closed
    t.same(begun, [])
    t.equal(new Set(reasons).size, reasons.length)
    t.equal(reasons.length, 1)
  }
})

t.test('an answer that comes after the runs were given up is told all the same', async (t) => {
  for (const answer of ['lost', 'abandoned', 'released'] as const) {
    const clock = new VirtualClock()
    const { logger, lines } = logLines()
    const scheduler = withStore(clock, { closeTimeout: '200ms', logger }, (target) => ({
      finish: async (endings) => {
        await target.finish(endings)
        await clock.sleep(1500)
        return endings.map(() => answer)
      }
    }))
    const told: (string | null)[] = []
    let lost = 0
    scheduler.on('executed', ({ run }) => void told.push(run.outcome))
    scheduler.on('error', ({ run }) => void told.push(run.outcome))
    scheduler.on('lockLost', () => void lost++)
    scheduler.interval('job', '1h', () => clock.sleep(100))
    await scheduler.start()
    await scheduler.trigger('job')
    const drained = scheduler.drain()
    await clock.advance(1200)
    await drained
    t.same(told, ['success'], 'who listens is told while the app is there')
    await clock.advance(5 * SECOND)
    t.same(told, ['success'])
    t.equal(lost, answer === 'released' ? 0 : 1)
    const warnings = lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    const expected = {
      lost: [/has lost its lock/],
      abandoned: [/has lost its lock/, /was recorded as abandoned/],
      released: []
    }
    t.match(warnings, expected[answer])
    t.equal(warnings.length, expected[answer].length)
    const metrics = (await scheduler.register?.metrics()) as string
    t.match(metrics, new RegExp(`redis_lock_released_total\\{.*\\} ${answer === 'released' ? 1 : 0}\n`))
    const closed = scheduler.close()
    await clock.advance(10 * SECOND)
    await closed
  }
})

t.test('missed ticks that are not told yet keep no process alive after close', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, logger: logLines().logger })
  scheduler.interval('job', '1s', () => {})
  await scheduler.start()
  await clock.advance(SECOND)
  await clock.freeze(60 * SECOND)
  const closed = scheduler.close()
  await clock.advance(100)
  await closed
  t.equal(clock.pending, 0)
})
