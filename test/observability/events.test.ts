import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { createScheduler, type Run, type SchedulerOptions } from '../../lib/index.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { logLines } from '../fixtures/log-lines.js'
import { parsePrometheus } from '../fixtures/prometheus-text.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000

t.test('each event of a run has its payload, in order', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const failure = new Error('broken')
    let fail = false
    const job = scheduler.interval('a', '10s', async () => {
      await clock.sleep(12 * SECOND)
      if (fail) throw failure
    })
    await scheduler.start()
    events.length = 0
    await clock.advance(25 * SECOND)
    fail = true
    await clock.advance(20 * SECOND)
    t.ok(events.every(({ event }) => event.job === job))
    const told = events.map(({ name, event: { run, scheduledTime, reason, error } }) => {
      const tick = ((run as Run | undefined)?.scheduledTime ?? (scheduledTime as number)) - START
      return [name, tick / SECOND, error ?? reason ?? null]
    })
    t.same(told, [
      ['lockAcquired', 10, null],
      ['submitted', 10, null],
      ['lockFailed', 20, 'held'],
      ['skipped', 20, 'overlap'],
      ['executed', 10, null],
      ['lockAcquired', 30, null],
      ['submitted', 30, null],
      ['lockFailed', 40, 'held'],
      ['skipped', 40, 'overlap'],
      ['error', 30, failure]
    ])
    const runs = events.flatMap(({ event }) => (event.run === undefined ? [] : [event.run as Run]))
    t.equal(new Set(runs).size, 2, 'the events of a run carry the same run')
  })
})

t.test('on, once and off', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const heard: string[] = []
    const on = (): void => void heard.push('on')
    const both = (): void => void heard.push('both')
    t.equal(scheduler.on('executed', on), scheduler)
    t.equal(
      scheduler.once('executed', () => void heard.push('once')),
      scheduler
    )
    scheduler.on('executed', both).once('executed', both)
    scheduler.interval('a', '1s', () => {})
    await scheduler.start()
    await clock.advance(SECOND)
    t.same(heard, ['on', 'once', 'both', 'both'])
    heard.length = 0
    await clock.advance(2 * SECOND)
    t.same(heard, ['on', 'both', 'on', 'both'], '`once` removes itself and not the same listener given to `on`')
    heard.length = 0
    t.equal(scheduler.off('executed', on), scheduler)
    scheduler.off('executed', on)
    scheduler.off('missed', both)
    await clock.advance(SECOND)
    t.same(heard, ['both'])
    t.throws(() => scheduler.on('nonsense' as 'executed', on), {
      code: 'FST_ERR_RLS_OPTION_INVALID',
      message: /nonsense/
    })
    t.throws(() => scheduler.on('toString' as 'executed', on), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    t.throws(() => scheduler.on('executed', 5 as never), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  })
})

t.test('a listener that throws or rejects is logged, and stops nothing', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, lines }) => {
    const heard: string[] = []
    const wrong: (() => unknown)[] = [
      () => {
        throw new Error('thrown')
      },
      () => {
        throw undefined
      },
      () => Promise.reject(new Error('rejected'))
    ]
    for (const listener of wrong) {
      for (const name of ['added', 'lockAcquired', 'submitted', 'executed', 'error'] as const) {
        scheduler.on(name, listener as () => void)
      }
    }
    scheduler.on('submitted', () => void heard.push('submitted'))
    scheduler.on('executed', () => void heard.push('executed'))
    let calls = 0
    scheduler.interval('a', '1s', () => {
      if (++calls > 1) throw new Error('handler')
    })
    await scheduler.start()
    await clock.advance(2 * SECOND)
    t.same(heard, ['submitted', 'executed', 'submitted'])
    t.equal(scheduler.get('a')?.running, 0)
    const failures = lines.filter(({ message }) => message === 'a listener of the scheduler failed')
    t.same(
      failures.map(({ level, fields }) => `${level} ${fields.event}`).sort(),
      ['added', 'error', 'executed', 'lockAcquired', 'lockAcquired', 'submitted', 'submitted']
        .flatMap((name) => Array(3).fill(`error ${name}`))
        .sort()
    )
  })
})

t.test('the event error without a listener is no exception', async (t) => {
  const clock = new VirtualClock()
  const { logger, lines } = logLines()
  const scheduler = createScheduler({ clock, logger })
  scheduler.interval('a', '1s', () => {
    throw new Error('broken')
  })
  await scheduler.start()
  await clock.advance(2 * SECOND)
  const failed = lines.filter(({ level }) => level === 'error')
  t.match(failed, Array(2).fill({ message: 'a run failed', fields: { jobId: 'a', err: { message: 'broken' } } }))
  await scheduler.close()
})

t.test('without Redis it says once that jobs are coordinated in memory', async (t) => {
  const before = process.env.NODE_ENV
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  })
  for (const [environment, options, level] of [
    ['test', {}, 'info'],
    ['production', {}, 'warn'],
    // Redis was meant: a variable that is not set, or an `app.redis` that was read too early.
    ['test', { redis: undefined, prefix: 'billing' }, 'warn']
  ] as const) {
    process.env.NODE_ENV = environment
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ ...options, logger } as SchedulerOptions)
    await scheduler.start()
    await scheduler.start()
    await scheduler.close()
    const told = lines.filter(({ message }) => /in memory/.test(message))
    t.match(told, [{ level }])
    t.equal(told.length, 1)
  }
})

t.test('withLock calls the function under a lock of that name', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      let tokens: number[] = []
      const work = async ({ fencingToken, signal }: { fencingToken: number; signal: AbortSignal }): Promise<string> => {
        tokens = [...tokens, fencingToken]
        await clock.sleep(60 * SECOND)
        return signal.aborted ? 'aborted' : 'done'
      }
      const first = scheduler.withLock('report', { ttl: '300ms' }, work)
      await clock.advance(30 * SECOND)
      t.same(await scheduler.withLock('report', {}, work), { acquired: false }, 'extended beyond its TTL')
      t.same(await scheduler.withLock('other', {}, () => 5), { acquired: true, value: 5 })
      await clock.advance(30 * SECOND)
      t.same(await first, { acquired: true, value: 'done' })
      const failure = new Error('broken')
      await t.rejects(
        scheduler.withLock('report', {}, () => {
          throw failure
        }),
        failure
      )
      t.same(await scheduler.withLock('report', {}, ({ fencingToken }) => fencingToken > (tokens[0] as number)), {
        acquired: true,
        value: true
      })
      scheduler.interval('report', '1h', () => {})
      await scheduler.start()
      const inside = await scheduler.withLock('report', {}, () => scheduler.trigger('report'))
      t.ok(inside.acquired && inside.value !== null, "a lock's name is apart from the jobs' ids")
    },
    { defaults: { lock: { ttl: '10s' } } }
  )
})

t.test('a lock is extended at every third of its TTL, with a timeout and without', async (t) => {
  for (const timeout of [0, 20 * SECOND]) {
    await withVirtualScheduler(async ({ clock, scheduler }) => {
      const options = timeout === 0 ? {} : { timeout }
      scheduler.interval('a', '1h', () => clock.sleep(30 * SECOND), { lock: { ttl: '9s' }, ...options })
      await scheduler.start()
      const run = (await scheduler.trigger('a')) as Run
      const extended = async (): Promise<number> => {
        const metrics = parsePrometheus((await scheduler.register?.metrics()) as string)
        return metrics.value('apscheduler_redis_lock_extended_total', { job_id: 'a' })
      }
      // Valid for 8908 ms, as clocks may drift, so two thirds of the TTL are left after 2908.
      await clock.advance(2907)
      t.equal(await extended(), 0)
      await clock.advance(2)
      t.equal(await extended(), 1)
      await clock.advance(2907)
      t.equal(await extended(), 2)
      await clock.advance(30 * SECOND)
      t.equal(run.outcome, timeout === 0 ? 'success' : 'timeout')
      t.equal(run.finishedAt, run.startedAt + (timeout || 30 * SECOND))
      t.equal(await extended(), 10, 'its handler is waited for, under its lock')
    })
  }
})

t.test('a lock whose validity passed while the process stood still is lost', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    scheduler.interval('a', '1h', () => clock.sleep(30 * SECOND), { lock: { ttl: '10s' } })
    await scheduler.start()
    const lost = scheduler.withLock('report', { ttl: '10s' }, () => clock.sleep(30 * SECOND))
    lost.catch(() => {})
    const run = (await scheduler.trigger('a')) as Run
    await clock.advance(20 * SECOND)
    t.equal(run.outcome, null, 'its lock is extended')
    await clock.freeze(11 * SECOND)
    await t.rejects(lost, { code: 'FST_ERR_RLS_LOCK_LOST' })
    t.match(run, { outcome: 'lock_lost', error: { code: 'FST_ERR_RLS_LOCK_LOST' } })
    t.equal(events.filter(({ name }) => name === 'lockLost').length, 1)
    t.equal(events.filter(({ name }) => name === 'executed').length, 0)
    t.ok(await scheduler.trigger('a'), 'the next run is possible')
  })
})

t.test('each call of a handler is traced by a diagnostics channel', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const messages: string[] = []
    const failure = new Error('broken')
    const listeners = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => {
      const channel = `tracing:fastify-redlock-scheduler:attempt:${name}`
      const listener = (message: unknown): void => {
        const { job, run, error } = message as { job: unknown; run: Run; error?: unknown }
        if (job !== scheduler.get('a')) messages.push('a foreign job')
        messages.push(`${name} ${run.jobId} ${error === failure ? 'broken' : (error ?? '-')}`)
      }
      subscribe(channel, listener)
      return () => unsubscribe(channel, listener)
    })
    let fail = false
    scheduler.interval('a', '1s', async () => {
      await clock.sleep(10)
      if (fail) throw failure
    })
    await scheduler.start()
    await clock.advance(1500)
    t.same(messages, ['start a -', 'end a -', 'asyncStart a -', 'asyncEnd a -'])
    messages.length = 0
    fail = true
    await clock.advance(SECOND)
    t.same(messages, ['start a -', 'end a -', 'error a broken', 'asyncStart a broken', 'asyncEnd a broken'])
    messages.length = 0
    for (const stop of listeners) stop()
    await clock.advance(SECOND)
    t.same(messages, [])
    t.ok(scheduler.get('a')?.lastRun === START + 3 * SECOND)
  })
})
