import { AsyncLocalStorage } from 'node:async_hooks'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import plugin, { createScheduler, type Scheduler, type SchedulerOptions } from '../../lib/index.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { EVENT_NAMES } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

const storage = new AsyncLocalStorage<string>()
const inContext = (): string => storage.getStore() ?? 'none'

const enterAndResolve = (resolve: () => void): void => {
  storage.enterWith('thenable')
  resolve()
}

let prefixes = 0

type Body = (t: Test, create: (options?: SchedulerOptions<undefined>) => Scheduler<undefined>) => Promise<void>

/** Runs a test in memory, and over a Redis. */
function inBoth(name: string, body: Body): void {
  t.test(`${name}, in memory`, (t) => body(t, (options) => createScheduler(options)))
  t.test(`${name}, over Redis`, async (t) => {
    await withRedis(async ({ url }) => {
      const prefix = `context-${prefixes++}`
      await body(t, (options) => createScheduler({ redis: url, prefix, ...options }))
    })
  })
}

/** Hears of every event in what context its listener was called. */
function listenToAll(scheduler: Scheduler<undefined>): Set<string> {
  const seen = new Set<string>()
  for (const name of EVENT_NAMES) scheduler.on(name, () => void seen.add(`${name}: ${inContext()}`))
  return seen
}

inBoth('no scheduled run and no listener has the context of whoever called in', async (t, create) => {
  const scheduler = create()
  const heard = listenToAll(scheduler)
  const runs: string[] = []
  const note = (what: string) => async (): Promise<void> => {
    runs.push(`${what}: ${inContext()}`)
    await null
    runs.push(`${what}, later: ${inContext()}`)
  }
  scheduler.interval('before', 60, note('before'))
  scheduler.interval('moved', NEVER_DUE, note('moved'))
  scheduler.interval('changed', NEVER_DUE, note('changed'))
  scheduler.interval('overridden', NEVER_DUE, note('overridden'))
  scheduler.interval('resumed', 70, note('resumed'), { paused: true })
  scheduler.interval('hand', NEVER_DUE, () => {})
  await storage.run('start', () => scheduler.start())
  await storage.run('request', async () => {
    scheduler.interval('added', 50, note('added'))
    scheduler.interval('unlocked', 50, note('unlocked'), { lock: false })
    scheduler.date('past', Date.now() - 10, note('past'))
    scheduler.date('past-unlocked', Date.now() - 10, note('past-unlocked'), { lock: false })
    scheduler.interval('after', { milliseconds: 40 }, note('after'))
    scheduler.add({ id: 'completion', trigger: { interval: 50, after: 'completion' }, handler: note('completion') })
    scheduler.reschedule('moved', { interval: 80 })
    scheduler.modify('changed', { trigger: { interval: 90 } })
    await scheduler.override('overridden', { trigger: { interval: 80 } })
    await scheduler.pause('before')
    await scheduler.resume('before')
    await scheduler.resume('resumed')
    await scheduler.trigger('hand')
    scheduler.remove('after')
  })
  const wanted = [
    'before',
    'moved',
    'changed',
    'overridden',
    'resumed',
    'added',
    'unlocked',
    'past',
    'past-unlocked',
    'completion'
  ]
  for (const id of wanted) {
    if (!runs.some((run) => run.startsWith(`${id}, later`)))
      await nextEvent(scheduler, 'executed', ({ job }) => job.id === id)
  }
  await storage.run('close', () => scheduler.close())
  t.same(
    [...new Set(runs)].filter((run) => !run.endsWith(': none')),
    []
  )
  t.same(
    [...heard].filter((each) => !each.endsWith(': none')),
    []
  )
  t.ok(heard.has('added: none'), 'the listeners did hear')
})

inBoth('a retry of a scheduled run is called in no context', async (t, create) => {
  const scheduler = create({ defaults: { retry: { limit: 2, delay: 5 } } })
  await scheduler.start()
  const calls: string[] = []
  storage.run('request', () => {
    scheduler.interval('a', 50, async () => {
      calls.push(inContext())
      await null
      throw new Error('broken')
    })
  })
  await nextEvent(scheduler, 'error')
  await scheduler.close()
  t.same([...new Set(calls)], ['none'])
  t.ok(calls.length >= 3)
})

inBoth('an attempt does not see what the one before has entered', async (t, create) => {
  const scheduler = create({ defaults: { retry: { limit: 2, delay: 5 } } })
  await scheduler.start()
  const calls: string[] = []
  const handler = (): never => {
    calls.push(inContext())
    storage.enterWith('an attempt')
    throw new Error('broken')
  }
  scheduler.date('scheduled', Date.now() + 20, handler)
  await nextEvent(scheduler, 'error')
  t.same(calls, ['none', 'none', 'none'])
  calls.length = 0
  scheduler.interval('by hand', NEVER_DUE, handler)
  await storage.run('caller', () => scheduler.trigger('by hand', { wait: true }))
  t.same(calls, ['caller', 'caller', 'caller'])
  await scheduler.close()
})

inBoth('a run by hand has the context of its caller, in all its attempts', async (t, create) => {
  const scheduler = create()
  const heard = listenToAll(scheduler)
  for (const [id, options] of [
    ['locked', {}],
    ['unlocked', { lock: false }]
  ] as const) {
    const calls: string[] = []
    let reason = ''
    scheduler.interval(
      id,
      NEVER_DUE,
      async ({ signal }) => {
        signal.addEventListener('abort', () => {
          reason = inContext()
        })
        calls.push(inContext())
        await null
        calls.push(inContext())
        if (calls.length < 6) throw new Error('broken')
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
      { ...options, retry: { limit: 2, delay: 5 }, timeout: 500 }
    )
    await scheduler.start()
    const run = await storage.run('caller', async () => {
      const ended = await scheduler.trigger(id, { wait: true })
      calls.push(inContext())
      return ended
    })
    t.equal(run?.outcome, 'timeout')
    t.same(calls, Array(7).fill('caller'))
    t.equal(reason, 'caller', "what the run's signal calls has it too")
  }
  await scheduler.close()
  t.same(
    [...heard].filter((each) => !each.endsWith(': none')),
    []
  )
})

inBoth('what a handler enters stays in its run', async (t, create) => {
  const scheduler = create({ closeTimeout: 50 })
  const calls: string[] = []
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const id of ids) {
    scheduler.interval(
      id,
      50,
      ({ signal }) => {
        calls.push(inContext())
        storage.enterWith(id)
        signal.addEventListener('abort', () => storage.enterWith(`abort of ${id}`))
        if (id === 'b') throw new Error('broken')
        if (id === 'c') return new Promise((resolve) => setTimeout(resolve, 5)).then(() => storage.enterWith('later'))
        // biome-ignore lint/suspicious/noThenProperty: a handler may return any thenable
        if (id === 'd') return { then: enterAndResolve }
        if (id === 'e') return new Promise(() => {})
        return undefined
      },
      id === 'e' ? { timeout: 60 } : {}
    )
  }
  const heard = listenToAll(scheduler)
  await scheduler.start()
  await nextEvent(scheduler, 'executed', ({ run }) => run.jobId === 'd')
  await nextEvent(scheduler, 'executed', ({ run }) => run.jobId === 'c')
  await nextEvent(scheduler, 'executed', ({ run }) => run.jobId === 'a')
  const done = scheduler.trigger('a', { wait: true })
  await done
  t.equal(inContext(), 'none', 'a run by hand leaves nothing with its caller')
  await scheduler.close()
  t.same([...new Set(calls)], ['none'])
  t.same(
    [...heard].filter((each) => !each.endsWith(': none')),
    []
  )
})

inBoth('what a listener enters stays with it', async (t, create) => {
  const scheduler = create()
  const calls: string[] = []
  for (const name of EVENT_NAMES) scheduler.on(name, () => storage.enterWith(`a listener of ${name}`))
  const heard = listenToAll(scheduler)
  scheduler.interval('a', 50, () => void calls.push(inContext()))
  scheduler.interval('b', 50, () => void calls.push(inContext()), { lock: false })
  t.equal(inContext(), 'none', 'nor with who added a job')
  await scheduler.start()
  await scheduler.pause('a')
  await scheduler.resume('a')
  scheduler.modify('a', { timeout: '5s' })
  t.equal(inContext(), 'none')
  const own: string[] = []
  scheduler.interval('hand', NEVER_DUE, () => void own.push(inContext()))
  await storage.run('caller', () => scheduler.trigger('hand', { wait: true }))
  t.same(own, ['caller'], 'nor with a run that begins after it')
  await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'a')
  await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'a')
  await scheduler.close()
  t.same([...new Set(calls)], ['none'])
  t.same(
    [...heard].filter((each) => !each.endsWith(': none')),
    []
  )
})

inBoth(
  'withLock calls its function in the context of its caller, and what waits for it goes on there',
  async (t, create) => {
    const scheduler = create()
    const seen: string[] = []
    await scheduler.start()
    await storage.run('caller', async () => {
      await scheduler.withLock('a', { ttl: '10s' }, async ({ signal }) => {
        seen.push(inContext())
        signal.addEventListener('abort', () => void seen.push(inContext()))
        // Something else that goes on meanwhile begins in no context.
        scheduler.interval('b', 40, () => void seen.push(`b: ${inContext()}`))
        await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'b')
        seen.push(inContext())
      })
      seen.push(inContext())
    })
    await scheduler.close()
    t.same([...new Set(seen)].sort(), ['b: none', 'caller'])
  }
)

t.test('nor has anything the context in which the connection was made, or came back', async (t) => {
  await withRedis(async ({ url, client: other }) => {
    const own = storage.run('client', () => new Redis(url))
    own.on('error', () => {})
    for (const redis of [url, own]) {
      const scheduler = createScheduler({ redis, prefix: `context-${prefixes++}` })
      const heard = listenToAll(scheduler)
      const runs = new Set<string>()
      scheduler.interval('a', 50, () => void runs.add(inContext()))
      scheduler.interval('b', 50, () => void runs.add(inContext()), { lock: false })
      await storage.run('start', () => scheduler.start())
      await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'a')
      await other.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'a')
      await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'a')
      await scheduler.close()
      t.same([...runs], ['none'])
      t.same(
        [...heard].filter((each) => !each.endsWith(': none')),
        []
      )
    }
    own.disconnect()
  })
})

t.test('jobs of an app do not see its requests', async (t) => {
  const app = Fastify()
  await app.register(plugin, { metrics: false })
  const seen: string[] = []
  // As request-context plugins do.
  app.addHook('onRequest', (_request, _reply, done) => storage.run('request', done))
  app.jobs.interval('first', 50, () => void seen.push(`first: ${inContext()}`))
  app.jobs.interval('hand', NEVER_DUE, () => void seen.push(`hand: ${inContext()}`))
  app.get('/add', async () => {
    app.jobs.interval('second', 40, () => void seen.push(`second: ${inContext()}`))
    app.jobs.reschedule('first', { interval: 30 })
    await app.jobs.trigger('hand')
    return 'ok'
  })
  await app.inject('/add')
  await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'second')
  await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'first')
  await app.close()
  t.same([...new Set(seen)].sort(), ['first: none', 'hand: request', 'second: none'])
})
