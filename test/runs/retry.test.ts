import t from 'tap'
import { createScheduler, type Run } from '../../lib/index.js'
import { resolveDefaults } from '../../lib/jobs/options.js'
import { retryDelay } from '../../lib/runs/retry-delay.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** The waits of a handler that always fails. */
async function waitsOf(retry: object | number, count: number): Promise<number[]> {
  const calls: number[] = []
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const fail = (): void => {
      calls.push(clock.now())
      throw new Error('broken')
    }
    scheduler.add({ id: 'a', trigger: { interval: '365d' }, handler: fail, retry: retry as number })
    await scheduler.start()
    await scheduler.trigger('a')
    await clock.advance(5 * 60 * MINUTE)
  })
  t.equal(calls.length, count + 1)
  return calls.slice(1).map((call, index) => call - (calls[index] as number))
}

t.test('the default of maxDelay never cuts a delay that was given', async (t) => {
  t.same(await waitsOf({ limit: 2, delay: '10m' }, 2), [10 * MINUTE, 10 * MINUTE])
  t.same(await waitsOf({ limit: 3, delay: '45s' }, 3), [45 * SECOND, MINUTE, MINUTE])
  t.same(await waitsOf({ limit: 2, delay: '61s', factor: 5 }, 2), [61 * SECOND, 61 * SECOND])
  t.same(await waitsOf({ limit: 2, delay: '10m', maxDelay: '15m' }, 2), [10 * MINUTE, 15 * MINUTE])
  t.same(await waitsOf({ limit: 2, maxDelay: '300ms' }, 2), [300, 300], 'nor does that of delay stretch a maxDelay')
})

t.test('jitter stays at the cap, and below it', async (t) => {
  const delays = (retry: object, attempt: number): number[] => {
    const resolved = resolveDefaults({ retry: retry as never }).retry
    return Array.from({ length: 500 }, (_, index) => retryDelay(resolved as never, `run-${index}`, attempt))
  }
  for (const [retry, attempt, least, most] of [
    [{ limit: 9, delay: '1s', jitter: true }, 1, SECOND, 2 * SECOND],
    [{ limit: 9, delay: '1s', jitter: true }, 8, MINUTE / 2, MINUTE],
    [{ limit: 9, delay: '5s', maxDelay: '5s', jitter: true }, 3, 2500, 5000],
    [{ limit: 2, delay: '10m', jitter: true }, 1, 10 * MINUTE, 20 * MINUTE],
    [{ limit: 2, delay: '10m', jitter: true }, 2, 10 * MINUTE, 20 * MINUTE],
    [{ limit: 2, delay: '40s', jitter: true }, 1, 40 * SECOND, 80 * SECOND]
  ] as const) {
    const all = delays(retry, attempt)
    const name = `${JSON.stringify(retry)}, attempt ${attempt}`
    t.ok(Math.min(...all) >= least && Math.max(...all) <= most, name)
    t.ok(Math.max(...all) - Math.min(...all) > 0.9 * (most - least), `${name}: all over its range`)
  }
})

t.test('retry: 3 is three further calls; 0 is none', async (t) => {
  t.same(await waitsOf(3, 3), [SECOND, 2 * SECOND, 4 * SECOND])
  t.same(await waitsOf(0, 0), [])
  const scheduler = createScheduler({ defaults: { retry: 2 } })
  scheduler.add({ id: 'a', trigger: '@hourly', handler: () => {} })
  scheduler.modify('a', { retry: 5 })
  scheduler.modify('a', { retry: false })
  await scheduler.close()
})

t.test('a failed attempt that is retried is told: event, and log with the error', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events, lines }) => {
    const errors = [new Error('first'), undefined, 'a string']
    const seen: unknown[] = []
    scheduler.on('retried', ({ run, error, delay }) => void seen.push([run.attempt, run.outcome, error, delay]))
    scheduler.interval(
      'a',
      '1h',
      async () => {
        if (errors.length > 0) throw errors.shift()
        return 'done'
      },
      { retry: { limit: 5, delay: '2s', factor: 3 } }
    )
    await scheduler.start()
    const run = (await scheduler.trigger('a')) as Run
    await clock.advance(2 * MINUTE)
    t.match(run, { outcome: 'success', attempt: 4 })
    t.match(seen, [
      [1, null, { message: 'first' }, 2000],
      [2, null, undefined, 6000],
      [3, null, 'a string', 18_000]
    ])
    const told = lines.filter(({ level }) => level === 'warn')
    t.match(told, [
      {
        message: /an attempt failed.*2000 ms/,
        fields: { jobId: 'a', runId: run.id, attempt: 1, err: { message: 'first' } }
      },
      { fields: { attempt: 2, delay: 6000, err: 'undefined' } },
      { fields: { attempt: 3, delay: 18_000, err: 'a string' } }
    ])
    t.equal(events.filter(({ name }) => name === 'retried').length, 3)
    t.equal(events.filter(({ name }) => name === 'error').length, 0)
  })
)

t.test('the last failure is no retry', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const fail = (): never => {
      throw new Error('broken')
    }
    scheduler.add({ id: 'a', trigger: { interval: '1h' }, handler: fail, retry: 1 })
    await scheduler.start()
    await scheduler.trigger('a')
    await clock.advance(MINUTE)
    t.same(
      events.map(({ name }) => name).filter((name) => name === 'retried' || name === 'error'),
      ['retried', 'error']
    )
  })
)

t.test("lock: '1m' and lock: 60_000 are its ttl", (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const extended = async (): Promise<number> => {
        const text = (await scheduler.register?.metrics()) as string
        return Number(/redis_lock_extended_total{job_id="a".*} (\d+)/.exec(text)?.[1])
      }
      scheduler.add({ id: 'a', trigger: { interval: '1d' }, handler: () => clock.sleep(10 * MINUTE), lock: '90s' })
      await scheduler.start()
      await scheduler.trigger('a')
      await clock.advance(31 * SECOND)
      t.equal(await extended(), 1, 'a third of 90 s later')
      await clock.advance(10 * MINUTE)
      scheduler.modify('a', { lock: 6000 })
      const before = await extended()
      await scheduler.trigger('a')
      await clock.advance(3 * SECOND)
      t.equal((await extended()) - before, 1)
    },
    { defaults: { lock: '2m' } }
  )
)

t.test('a string is a cron expression, wherever a trigger is one', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    const runs: number[] = []
    const job = scheduler.add({
      id: 'a',
      trigger: '*/5 * * * *',
      handler: ({ run }) => void runs.push(run.scheduledTime)
    })
    t.same(job.trigger, { cron: '*/5 * * * *' })
    t.same(scheduler.preview('*/5 * * * *', { count: 3 }), scheduler.preview({ cron: '*/5 * * * *' }, { count: 3 }))
    t.same(
      scheduler.preview({ any: ['0 * * * *', '30 * * * *'] }, { count: 3 }),
      scheduler.preview('0,30 * * * *', { count: 3 })
    )
    await scheduler.start()
    await clock.advance(11 * MINUTE)
    t.equal(runs.length, 2)
    t.same(scheduler.reschedule('a', '* * * * *').trigger, { cron: '* * * * *' })
    await clock.advance(5 * MINUTE)
    t.equal(runs.length, 7)
  })
)
