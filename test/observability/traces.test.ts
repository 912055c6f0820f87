// What the tracing channels say of claims, runs and attempts, in which async contexts, and what subscribers can and cannot do.
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import plugin, {
  type AttemptTrace,
  type ClaimTrace,
  createScheduler,
  type Job,
  type JobOptions,
  type Run,
  type RunTrace
} from '../../lib/index.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { run as runProcess } from '../fixtures/package/outside-tap.js'
import { job, withFleet } from '../fixtures/simulated-fleet.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

const NAME = 'fastify-redlock-scheduler'
const SECOND = 1000

interface Message {
  readonly channel: 'claim' | 'run' | 'attempt'
  readonly event: 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'
  readonly message: ClaimTrace & RunTrace & AttemptTrace
}

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

/** Keeps all messages until the test ends. */
function listen(t: Test): Message[] {
  const heard: Message[] = []
  for (const channel of ['claim', 'run', 'attempt'] as const) {
    const tracing = tracingChannel<unknown, Message['message']>(`${NAME}:${channel}`)
    const on = (event: Message['event']) => (message: unknown) =>
      void heard.push({ channel, event, message: message as Message['message'] })
    const subscribers = {
      start: on('start'),
      end: on('end'),
      asyncStart: on('asyncStart'),
      asyncEnd: on('asyncEnd'),
      error: on('error')
    }
    tracing.subscribe(subscribers)
    t.teardown(() => void tracing.unsubscribe(subscribers))
  }
  return heard
}

/** The messages on a channel, each once. */
function messagesOf(heard: readonly Message[], name: Message['channel']): Message['message'][] {
  return [...new Set(heard.filter(({ channel }) => channel === name).map(({ message }) => message))]
}

/** What came, in order. */
const orderOf = (heard: readonly Message[]): string[] => heard.map(({ channel, event }) => `${channel} ${event}`)

/** A store whose value in a handler says where it is: what is bound to each channel is its parent's value and its own. */
function bindPath(t: Test): AsyncLocalStorage<string> {
  const store = new AsyncLocalStorage<string>()
  for (const name of ['claim', 'run', 'attempt'] as const) {
    const { start } = tracingChannel<string, Message['message']>(`${NAME}:${name}`)
    start.bindStore(store, ({ attempt = '' }) => `${store.getStore() ?? ''}/${name}${attempt}`)
    t.teardown(() => void start.unbindStore(store))
  }
  return store
}

t.test('a claim, the run that it grants, and its attempts', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const heard = listen(t)
    const broken = new Error('not yet')
    let calls = 0
    scheduler.add({
      id: 'job',
      trigger: { interval: '1m' },
      retry: { limit: 1, delay: '5s' },
      handler: async () => {
        await clock.sleep(SECOND)
        if (++calls === 1) throw broken
        return 'done'
      }
    })
    await scheduler.start()
    await clock.advance(70 * SECOND)
    t.strictSame(orderOf(heard), [
      'claim start',
      'claim end',
      'claim asyncStart',
      'claim asyncEnd',
      'run start',
      'run end',
      'attempt start',
      'attempt end',
      'attempt error',
      'attempt asyncStart',
      'attempt asyncEnd',
      'attempt start',
      'attempt end',
      'attempt asyncStart',
      'attempt asyncEnd',
      'run asyncStart',
      'run asyncEnd'
    ])
    const [claim] = messagesOf(heard, 'claim')
    const [run, ...others] = messagesOf(heard, 'run')
    const [first, second] = messagesOf(heard, 'attempt')
    t.equal(others.length, 0)
    const view = scheduler.get('job')
    const { run: ran } = run as Message['message']
    t.match(ran, { jobId: 'job', attempt: 2, outcome: 'success', trigger: 'schedule', result: 'done' })
    t.equal(run?.job, view)
    t.equal(run?.claim, claim, 'the very message of its claim')
    t.strictSame(claim, {
      replicaId: scheduler.replicaId,
      requests: [{ jobId: 'job', runId: ran.id, kind: 'tick', scheduledTime: ran.scheduledTime }],
      granted: [ran.id],
      result: undefined
    })
    t.equal(first?.run, ran)
    t.equal(second?.run, ran, 'the same object')
    t.strictSame([first?.attempt, first?.error, second?.attempt, second?.result], [1, broken, 2, 'done'])
    t.notOk(run !== undefined && 'error' in run)
  })
})

t.test('every outcome but success is an error of the run, once it is known', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const heard = listen(t)
    const failure = new Error('broken')
    scheduler.add({ id: 'error', trigger: { interval: '1m' }, handler: () => Promise.reject(failure) })
    scheduler.add({ id: 'sync', trigger: { interval: '1m' }, handler: () => assertFails(failure) })
    scheduler.add({
      id: 'timeout',
      trigger: { interval: '1m' },
      timeout: '5s',
      handler: () => clock.sleep(30 * SECOND)
    })
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const outcomes = (): unknown[] =>
      heard.flatMap(({ channel, event, message }) =>
        channel === 'run' && event === 'error' ? [[message.run.jobId, message.run.outcome, message.error]] : []
      )
    t.strictSame(outcomes().sort(), [
      ['error', 'error', failure],
      ['sync', 'error', failure]
    ])
    await clock.advance(5 * SECOND)
    t.match(outcomes()[2], ['timeout', 'timeout', { code: 'FST_ERR_RLS_RUN_TIMEOUT' }])
    const ends = (): string[] => orderOf(heard.filter(({ message }) => message.run?.jobId === 'timeout')).slice(-1)
    t.strictSame(ends(), ['run asyncEnd'], 'its attempt goes on')
    await clock.advance(30 * SECOND)
    t.strictSame(ends(), ['attempt asyncEnd'])
    t.equal(outcomes().length, 3)
  })
})

function assertFails(error: Error): never {
  throw error
}

t.test('ticks without a run have none, and the claim says so', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const heard = listen(t)
    scheduler.add({ id: 'asked', trigger: { interval: '1m' }, when: () => false, handler: () => {} })
    scheduler.add({ id: 'paused', trigger: { interval: '1m' }, paused: true, handler: () => {} })
    scheduler.add({ id: 'after', trigger: { interval: '40s', after: 'completion' }, handler: () => {} })
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const claims = messagesOf(heard, 'claim')
    const asked = claims.flatMap(({ requests }) => requests)
    const granted = claims.flatMap(({ granted }) => granted).map((id) => asked.find(({ runId }) => runId === id)?.jobId)
    t.strictSame(granted, ['after', 'asked'])
    t.equal(asked.find(({ jobId }) => jobId === 'after')?.scheduledTime, null, 'the store says when')
    t.strictSame(
      messagesOf(heard, 'run').map(({ run }) => run.jobId),
      ['after']
    )
  })
})

t.test('a tick that is claimed to be counted only has no run', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler: () => {} })
    await scheduler.start()
    await clock.advance(59 * SECOND)
    const heard = listen(t)
    await clock.freeze(40 * SECOND)
    t.equal(events.filter(({ name }) => name === 'missed').length, 1)
    const [claim] = messagesOf(heard, 'claim')
    t.match(claim, { requests: [{ kind: 'miss' }], granted: [] })
    t.notOk(claim !== undefined && 'error' in claim)
    t.strictSame(messagesOf(heard, 'run'), [])
  })
})

t.test('runs by hand have a claim of their own, those without a lock have none', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const heard = listen(t)
    scheduler.add({ id: 'locked', handler: () => {} })
    scheduler.add({ id: 'free', lock: false, handler: () => {} })
    await scheduler.start()
    for (const id of ['locked', 'free']) await Promise.all([scheduler.trigger(id, { wait: true }), clock.advance(1)])
    const [locked, free] = messagesOf(heard, 'run')
    t.match(locked?.claim, { requests: [{ jobId: 'locked', kind: 'manual', runId: locked?.run.id }] })
    t.equal(free?.claim, null)
  })
})

t.test('a claim is for many jobs, and each of their runs leads back to it', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    for (const id of ['a', 'b', 'c']) scheduler.add({ id, trigger: { interval: '1m' }, handler: () => {} })
    const heard = listen(t)
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const [claim, ...more] = messagesOf(heard, 'claim').filter(({ granted }) => granted.length > 0)
    t.equal(more.length, 0)
    t.equal(claim?.requests.length, 3)
    for (const run of messagesOf(heard, 'run')) t.equal(run.claim, claim)
  })
})

t.test('a takeover, and what has waited, lead back to their claims', async (t) => {
  await withFleet(async ({ simulation, join: joinFleet }) => {
    const heard = listen(t)
    const stuck = { recovery: 'rerun', lock: { ttl: '10s' } } as const
    const one = await joinFleet(job({ ...stuck, handler: () => new Promise(() => {}) }))
    await simulation.advance('1m')
    t.equal(one.runs.length, 1)
    await joinFleet(job(stuck))
    one.replica.crash()
    await simulation.advance('30s')
    const taken = messagesOf(heard, 'run').find(({ run }) => run.trigger === 'recovery')
    t.match(taken?.claim?.requests, [{ kind: 'recover', scheduledTime: null, runId: taken?.run.id }])
    t.strictSame(taken?.claim?.granted, [taken?.run.id])
  })
})

t.test('a store that does not answer is an error of the claim', async (t) => {
  await withRedis(async (redis) => {
    const scheduler = createScheduler({ redis: redis.url, prefix: 'traces', logger: false })
    scheduler.add({ id: 'job', handler: () => {} })
    await scheduler.start()
    const heard = listen(t)
    await scheduler.trigger('job', { wait: true })
    t.equal(messagesOf(heard, 'run')[0]?.claim, messagesOf(heard, 'claim')[0])
    heard.length = 0
    await redis.kill()
    await t.rejects(scheduler.trigger('job'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    t.strictSame(orderOf(heard), ['claim start', 'claim end', 'claim error', 'claim asyncStart', 'claim asyncEnd'])
    t.match(messagesOf(heard, 'claim'), [{ granted: [], error: { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' } }])
    // A tick waits for the store, as without a trace.
    const failed = nextEvent(scheduler, 'lockFailed', ({ job }) => job.id === 'tick')
    scheduler.add({ id: 'tick', trigger: { interval: '1s' }, handler: () => {} })
    t.equal((await failed).reason, 'error')
    await scheduler.close()
  })
})

t.test('a handler is within its attempt, that within its run, and a run by hand within its caller', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const store = bindPath(t)
    const seen: unknown[] = []
    const options: Omit<JobOptions<undefined>, 'id'> = {
      retry: { limit: 1, delay: '5s' },
      handler: async ({ run }) => {
        const here = store.getStore()
        store.enterWith('entered by an attempt')
        await clock.sleep(1)
        seen.push([run.jobId, here, store.getStore()])
        if (run.attempt === 1) throw new Error('again')
      }
    }
    store.run('a request', () => scheduler.add({ ...options, id: 'tick', trigger: { interval: '1m' } }))
    scheduler.add({ ...options, id: 'by-hand' })
    await store.run('the start', () => scheduler.start())
    await clock.advance(70 * SECOND)
    t.strictSame(seen, [
      ['tick', '/run/attempt1', 'entered by an attempt'],
      ['tick', '/run/attempt2', 'entered by an attempt']
    ])
    seen.length = 0
    const triggered = store.run('a request', () => scheduler.trigger('by-hand', { wait: true }))
    await clock.advance(10 * SECOND)
    await triggered
    t.strictSame(seen, [
      ['by-hand', 'a request/run/attempt1', 'entered by an attempt'],
      ['by-hand', 'a request/run/attempt2', 'entered by an attempt']
    ])
    t.equal(store.getStore(), undefined)
  })
})

t.test('who listens to the signal of a run is told within that run', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const store = bindPath(t)
    const seen: unknown[] = []
    const handler: JobOptions<undefined>['handler'] = async ({ signal }) => {
      signal.addEventListener('abort', () => seen.push(store.getStore()))
      await clock.sleep(10 * SECOND)
    }
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, timeout: '5s', handler })
    await scheduler.start()
    await clock.advance(70 * SECOND)
    t.strictSame(seen, ['/run'])
  })
})

t.test('what is armed beside runs is in no context, also while everything is traced', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const store = bindPath(t)
    const contexts = new Set<unknown>()
    for (const name of ['submitted', 'executed', 'error', 'retried'] as const) {
      scheduler.on(name, () => void contexts.add(store.getStore()))
    }
    const { setTimeout } = clock
    clock.setTimeout = function (callback, delay) {
      contexts.add(store.getStore())
      return setTimeout.call(this, callback, delay)
    }
    const handler = ({ run }: { readonly run: Run }): void => {
      if (run.attempt === 1) throw new Error('again')
    }
    const shared = { trigger: { interval: '1m' }, retry: { limit: 1, delay: '1s' }, timeout: '10s', handler } as const
    scheduler.add({ ...shared, id: 'locked' })
    scheduler.add({ ...shared, id: 'free', lock: false })
    await scheduler.start()
    await clock.advance(130 * SECOND)
    await Promise.all([store.run('a request', () => scheduler.trigger('locked', { wait: true })), clock.advance(2000)])
    t.strictSame([...contexts], [undefined])
  })
})

t.test('who subscribes while a run goes on sees its next attempts', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.add({
      id: 'job',
      trigger: { interval: '1m' },
      retry: { limit: 2, delay: '5s' },
      handler: () => Promise.reject(new Error('broken'))
    })
    await scheduler.start()
    await clock.advance(61 * SECOND)
    const heard = listen(t)
    await clock.advance(20 * SECOND)
    t.strictSame(
      messagesOf(heard, 'attempt').map(({ attempt }) => attempt),
      [2, 3]
    )
    t.strictSame(messagesOf(heard, 'run'), [])
  })
})

t.test('each channel can be subscribed to alone', async (t) => {
  for (const alone of ['claim', 'run', 'attempt'] as const) {
    for (const event of EVENTS.slice(0, 4)) {
      await withVirtualScheduler(async ({ clock, scheduler, events }) => {
        const heard: unknown[] = []
        const channel = tracingChannel<unknown, Message['message']>(`${NAME}:${alone}`)[event]
        const hear = (message: unknown): void => void heard.push(message)
        channel.subscribe(hear)
        scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler: () => {} })
        await scheduler.start()
        await clock.advance(60 * SECOND)
        channel.unsubscribe(hear)
        t.equal(heard.length, 1, `${alone} ${event}`)
        t.equal(events.filter(({ name }) => name === 'executed').length, 1)
      })
    }
  }
})

t.test('the history is the same whether runs are traced or not', async (t) => {
  const entries: unknown[] = []
  for (const isTraced of [false, true]) {
    if (isTraced) listen(t)
    await withVirtualScheduler(async ({ clock, scheduler }) => {
      scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler: () => {} })
      await scheduler.start()
      await clock.advance(60 * SECOND)
      const [entry] = await scheduler.history('job')
      entries.push({ ...entry, id: null, replicaId: null })
    })
  }
  t.strictSame(entries[0], entries[1])
})

// Node reports what a subscriber throws as an uncaught exception: it never comes back to whoever publishes.
for (const kind of ['subscribe', 'bindStore'] as const) {
  t.test(`what throws in ${kind} stops no run, and holds no lock; node reports it`, async (t) => {
    const { stdout, code, stderr } = await runProcess(
      process.execPath,
      ['--import', 'tsx', join(import.meta.dirname, 'fixtures', 'throwing-subscribers.ts'), kind],
      { cwd: join(import.meta.dirname, '..', '..') }
    )
    t.equal(stderr, '')
    t.equal(code, 0)
    const { outcomes, errors } = JSON.parse(stdout) as { outcomes: string[]; errors: Record<string, number> }
    t.strictSame(outcomes, ['success', 'success', 'error'])
    t.ok(Object.keys(errors).length > 0)
    t.ok(Object.keys(errors).every((message) => /^thrown by a subscriber/.test(message)))
  })
}

t.test('in an app: each call of a handler, and a store that is bound to it', async (t) => {
  const current = new AsyncLocalStorage<Run>()
  const requests = new AsyncLocalStorage<string>()
  const channel = tracingChannel<unknown, { job: Job; run: Run }>('fastify-redlock-scheduler:attempt')
  channel.start.bindStore(current, ({ run }) => run)
  const heard: string[] = []
  const note = (what: string) => (message: unknown) => {
    const { job, run } = message as { job: Job; run: Run }
    if (job.id === 'sync') heard.push(`${what} ${run.attempt}`)
  }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error')
  }
  channel.subscribe(subscribers)
  const app = Fastify()
  await app.register(plugin)
  const seen: unknown[] = []
  app.jobs.add({
    id: 'sync',
    trigger: { interval: NEVER_DUE },
    retry: { limit: 1, delay: 1 },
    handler: async ({ run }) => {
      seen.push(current.getStore()?.id === run.id, requests.getStore())
      if (run.attempt === 1) throw new Error('the first fails')
    }
  })
  requests.run('added in a request', () => app.jobs.interval('tick', 20, () => requests.getStore() ?? 'none'))
  await app.ready()
  const { run: tick } = await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'tick')
  t.equal(tick.result, 'none', 'a scheduled run has a context of its own')
  const run = await requests.run('a request', () => app.jobs.trigger('sync', { wait: true }))
  t.equal(run?.outcome, 'success')
  t.same(seen.slice(0, 2), [true, 'a request'])
  t.equal(seen[2], true)
  t.same(heard, [
    'start 1',
    'end 1',
    'error 1',
    'asyncStart 1',
    'asyncEnd 1',
    'start 2',
    'end 2',
    'asyncStart 2',
    'asyncEnd 2'
  ])
  channel.unsubscribe(subscribers)
  channel.start.unbindStore(current)
  await app.close()
})
