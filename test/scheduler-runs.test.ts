import t from 'tap'
import { createScheduler, type Run, type RunContext } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import { logLines } from './fixtures/log-lines.js'
import { type VirtualScheduler, withVirtualScheduler } from './fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000

t.test('a handler is told all about its run', async (t) => {
  const app = { name: 'the app' }
  const clock = new VirtualClock()
  const { logger, lines } = logLines()
  const scheduler = createScheduler({ clock, app, logger, replicaId: 'replica-1' })
  const contexts: RunContext<typeof app, unknown>[] = []
  scheduler.interval('a', '10s', (context) => {
    context.log.info('hello')
    contexts.push(context)
    return 'the result'
  })
  await scheduler.start()
  await clock.advance(10 * SECOND)
  const [{ app: given, job, run, data, signal, fencingToken }] = contexts as [RunContext<typeof app>]
  t.equal(given, app)
  t.equal(job, scheduler.get('a'))
  t.equal(data, undefined)
  t.equal(signal.aborted, false)
  t.equal(fencingToken, run.fencingToken)
  t.match(run, {
    id: /./,
    jobId: 'a',
    scheduledTime: START + 10 * SECOND,
    startedAt: START + 10 * SECOND,
    attempt: 1,
    trigger: 'schedule',
    replicaId: 'replica-1',
    outcome: 'success',
    finishedAt: START + 10 * SECOND,
    result: 'the result'
  })
  t.same(
    lines.filter(({ message }) => message === 'hello').map(({ fields }) => fields),
    [{ jobId: 'a', runId: run.id }]
  )
  await clock.advance(10 * SECOND)
  const tokens = contexts.map((context) => context.fencingToken as number)
  t.ok((tokens[1] as number) > (tokens[0] as number), 'fencing tokens increase')
  t.not(contexts[1]?.run.id, run.id)
  await scheduler.close()
})

t.test('trigger runs a job under its lock, and hands out data', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const seen: unknown[] = []
    scheduler.interval(
      'a',
      '1h',
      async ({ data }) => {
        seen.push(data)
        await clock.sleep(100)
        return data
      },
      { data: 'own' }
    )
    await scheduler.start()
    const run = (await scheduler.trigger('a')) as Run
    t.equal(run.outcome, null, 'it resolves when the run has started')
    t.equal(run.trigger, 'manual')
    t.equal(run.scheduledTime, START)
    t.equal(scheduler.get('a')?.running, 1)
    t.equal(await scheduler.trigger('a'), null, 'another run of the job holds the lock')
    await clock.advance(100)
    t.equal(run.outcome, 'success')

    const waited = scheduler.trigger('a', { data: { given: 1 }, wait: true })
    await clock.advance(100)
    const ended = (await waited) as Run
    t.equal(ended.outcome, 'success')
    t.same(ended.result, { given: 1 })
    t.equal(ended.finishedAt, START + 200)
    await scheduler.trigger('a', { data: null })
    await scheduler.trigger('a', { data: undefined })
    t.same(seen, ['own', { given: 1 }, null], 'null is data')
    await t.rejects(scheduler.trigger('b'), { code: 'FST_ERR_RLS_JOB_UNKNOWN', statusCode: 404 })
    await t.rejects(scheduler.trigger('a', { wait: 1 } as object), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    await t.rejects(scheduler.trigger('a', { wiat: true } as object), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
  })
})

t.test('a run by hand that waits resolves with the failed run', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.interval('a', '1h', () => {
      throw new Error('broken')
    })
    await scheduler.start()
    const waiting = scheduler.trigger('a', { wait: true })
    await clock.settle()
    t.match(await waiting, { outcome: 'error', error: { message: 'broken' } })
  })
})

const revoked = Proxy.revocable({}, {})
revoked.revoke()
const hostile = new Proxy(
  {},
  Object.fromEntries(
    Object.getOwnPropertyNames(Reflect).map((trap) => [
      trap,
      () => {
        throw new Error(`trap ${trap}`)
      }
    ])
  )
)

const throwing: Record<string, () => unknown> = {
  'throws undefined': () => {
    throw undefined
  },
  'throws null': () => {
    throw null
  },
  'throws a string': () => {
    throw 'text'
  },
  'throws an error whose getters throw': () => {
    const error = new Error('x')
    for (const key of ['message', 'stack', 'name', 'code', 'cause']) {
      Object.defineProperty(error, key, {
        get() {
          throw new Error('getter')
        }
      })
    }
    throw error
  },
  'throws a Proxy that throws on everything': () => {
    throw hostile
  },
  'throws a revoked Proxy': () => {
    throw revoked.proxy
  },
  'rejects with undefined': () => Promise.reject(undefined),
  'rejects with such a Proxy': () => Promise.reject(hostile),
  'returns such a Proxy': () => hostile,
  'returns a thenable whose `then` throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    then() {
      throw new Error('then')
    }
  }),
  'returns a thenable whose `then` is a getter that throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    get then() {
      throw new Error('getter')
    }
  }),
  'returns a promise whose constructor throws': () =>
    Object.defineProperty(Promise.resolve(), 'constructor', {
      get() {
        throw new Error('constructor')
      }
    })
}

for (const [what, handler] of Object.entries(throwing)) {
  for (const log of ['with a logger', 'with a logger that throws'] as const) {
    t.test(`a handler that ${what} is one failed run and nothing else, ${log}`, async (t) => {
      const body = async ({ clock, scheduler, events }: VirtualScheduler): Promise<void> => {
        let calls = 0
        scheduler.interval('a', '1s', () => {
          calls++
          return calls === 1 ? handler() : 'fine'
        })
        await scheduler.start()
        await clock.advance(2 * SECOND)
        t.equal(calls, 2, 'the job runs again')
        t.equal(scheduler.get('a')?.running, 0)
        const ends = events.filter(({ name }) => name === 'error' || name === 'executed')
        t.same(
          ends.map(({ name, event }) => [name, (event.run as Run).outcome]),
          [
            ['error', 'error'],
            ['executed', 'success']
          ]
        )
      }
      const broken = (): never => {
        throw new Error('the logger is broken')
      }
      const levels = { info: broken, warn: broken, error: broken, debug: broken, child: broken }
      await withVirtualScheduler(body, log === 'with a logger' ? {} : { logger: levels as never })
    })
  }
}

t.test('retry calls the handler again, later each time, within its run and under its lock', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const calls: number[] = []
    const attempts: number[] = []
    let failures = 2
    const job = scheduler.interval(
      'a',
      '1h',
      ({ run }) => {
        calls.push(clock.now() - START)
        attempts.push(run.attempt)
        if (failures-- > 0) throw new Error(`failure ${run.attempt}`)
      },
      { retry: { limit: 4, delay: '1s', factor: 3, maxDelay: '5s' } }
    )
    await scheduler.start()
    const run = await scheduler.trigger('a')
    await clock.advance(3999)
    t.same(calls, [0, 1000], 'a wait of 1 s, then of 3 s')
    t.equal(await scheduler.trigger('a'), null, 'the lock is held between attempts')
    t.equal(job.running, 1)
    await clock.advance(1)
    t.same(calls, [0, 1000, 4000])
    t.same(attempts, [1, 2, 3])
    t.match(run, { outcome: 'success', attempt: 3 })

    calls.length = 0
    failures = 10
    const start = clock.now() - START
    const failed = await scheduler.trigger('a')
    await clock.advance(60 * SECOND)
    t.same(
      calls.map((call) => call - start),
      [0, 1000, 4000, 9000, 14_000],
      '9 s and 27 s are capped at 5 s'
    )
    t.match(failed, { outcome: 'error', attempt: 5, error: { message: 'failure 5' } })
    t.same(events.filter(({ name }) => name === 'submitted').length, 2)
    t.same(events.filter(({ name }) => name === 'error').length, 1)
  })
})

t.test('timeout aborts the signal, and the outcome is timeout whatever the handler does then', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const reasons: unknown[] = []
    const add = (id: string, settle: (resolve: () => void, reject: (error: unknown) => void) => void): void => {
      scheduler.interval(
        id,
        '1h',
        ({ signal }) =>
          new Promise<void>((resolve, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push((signal.reason as { code: string }).code)
              settle(resolve, reject)
            })
          }),
        { timeout: '5s', retry: { limit: 3 } }
      )
    }
    add('resolves', (resolve) => resolve())
    add('rejects', (_resolve, reject) => reject(new Error('aborted')))
    add('lingers', (resolve) => void clock.sleep(3000).then(resolve))
    await scheduler.start()
    const runs = await Promise.all(['resolves', 'rejects', 'lingers'].map((id) => scheduler.trigger(id)))
    await clock.advance(4999)
    t.same(reasons, [])
    await clock.advance(1)
    t.same(reasons, Array(3).fill('FST_ERR_RLS_RUN_TIMEOUT'))
    t.match(runs, Array(3).fill({ outcome: 'timeout', error: { code: 'FST_ERR_RLS_RUN_TIMEOUT' } }))
    t.equal(await scheduler.trigger('lingers'), null, 'the lock is kept until the handler settles')
    await clock.advance(3000)
    t.equal(runs[2]?.outcome, 'timeout')
    t.equal(events.filter(({ name }) => name === 'error').length, 3, 'and it is not retried')
  })
})
