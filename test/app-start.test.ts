import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, { type PluginOptions, type Run } from '../lib/index.js'
import { Simulation } from '../lib/testing/index.js'
import { logLines } from './fixtures/log-lines.js'
import { NEVER_DUE } from './fixtures/never-due.js'
import { nextEvent } from './fixtures/next-event.js'
import { withRedis } from './fixtures/with-redis.js'

const noop = (): void => {}

/** Some ticks of the jobs below. */
const A_WHILE = 60

/** Jobs whose ticks come all the time, here and through the store. */
function ticking(ran: string[]): PluginOptions['jobs'] {
  return [
    { id: 'locked', trigger: { interval: 5 }, handler: () => void ran.push('locked') },
    { id: 'unlocked', trigger: { interval: 5 }, lock: false, handler: () => void ran.push('unlocked') }
  ]
}

t.test('ticks begin after the onReady of every plugin, however slow, and runs by hand with our own', async (t) => {
  const ran: string[] = []
  const order: string[] = []
  const app = Fastify()
  app.addHook('onReady', async () => {
    await t.rejects(app.jobs.trigger('hand'), { code: 'FST_ERR_RLS_NOT_RUNNING' }, 'not before our onReady')
  })
  app.register(scheduler, { jobs: ticking(ran) ?? [] })
  app.register(async (child) => {
    child.jobs.interval('hand', NEVER_DUE, () => 'by hand')
    child.addHook('onReady', async () => {
      const run = (await child.jobs.trigger('hand', { wait: true })) as Run
      t.equal(run.result, 'by hand')
      await sleep(A_WHILE)
      order.push(`child, ${ran.length} ran`)
    })
  })
  app.after(() => {
    app.addHook('onReady', async () => {
      await sleep(A_WHILE)
      order.push(`later, ${ran.length} ran`)
    })
  })
  await app.ready()
  t.same(order, ['later, 0 ran', 'child, 0 ran'])
  t.type(app.jobs.get('hand')?.nextRun, 'number', 'the next tick is known when ready() resolves')
  for (const id of ['locked', 'unlocked']) await nextEvent(app.jobs, 'executed', ({ job }) => job.id === id)
  await app.close()
})

t.test('registered in a child, its ticks begin after the hooks of its siblings and theirs', async (t) => {
  const ran: string[] = []
  const app = Fastify()
  let seen = -1
  app.register(async (first) => {
    await first.register(scheduler, { jobs: ticking(ran) ?? [] })
  })
  for (let count = 0; count < 3; count++) {
    app.register(async (sibling) => {
      sibling.addHook('onReady', () => sleep(A_WHILE))
      sibling.register(async (inner) => {
        inner.addHook('onReady', async () => {
          await sleep(A_WHILE)
          seen = ran.length
        })
      })
    })
  }
  await app.ready()
  t.equal(seen, 0)
  while (ran.length === 0) await sleep(1)
  await app.close()
})

t.test('an error of ready() that nobody handles is still thrown', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  app.register(async (child) => {
    child.addHook('onReady', async () => {
      throw new Error('nobody handles this')
    })
  })
  const thrown = once(process, 'unhandledRejection')
  const others = process.listeners('unhandledRejection').slice(0, -1)
  for (const other of others) process.off('unhandledRejection', other as never)
  void app.ready()
  t.equal(((await thrown)[0] as Error).message, 'nobody handles this')
  for (const other of others) process.on('unhandledRejection', other as never)
  await app.close()
})

t.test('ticks do not begin when an onReady hook fails', async (t) => {
  for (const place of ['before', 'after', 'child', 'grandchild', 'last child', 'slow'] as const) {
    const { lines, logger } = logLines()
    const ran: string[] = []
    const app = Fastify({ loggerInstance: logger, pluginTimeout: 1100 })
    const fail = async (): Promise<void> => {
      if (place === 'slow') await sleep(1300)
      else throw new Error(`no database ${place}`)
    }
    if (place === 'before') app.addHook('onReady', fail)
    await app.register(scheduler, { jobs: ticking(ran) ?? [], closeTimeout: 0, metrics: false })
    if (place === 'child') app.register(async (child) => child.addHook('onReady', fail))
    else if (place === 'grandchild' || place === 'last child') {
      for (let count = 0; count < 3; count++) {
        app.register(async (child) => {
          child.addHook('onReady', () => sleep(A_WHILE / 6))
          child.register(async (grandchild) => {
            grandchild.addHook('onReady', async () => {})
            if (place === 'grandchild' && count === 1) grandchild.addHook('onReady', fail)
          })
          if (place === 'last child' && count === 2) child.addHook('onReady', fail)
        })
      }
    } else if (place !== 'before') app.addHook('onReady', fail)
    await t.rejects(async () => void (await app.ready()), place)
    await sleep(A_WHILE)
    t.same(ran, [], place)
    const said = lines.filter(({ message }) => /the app is not ready/.test(message))
    t.equal(said.length, place === 'before' ? 0 : 1, 'it is told, once we could know')
    await app.close()
  }
})

t.test('ticks do not begin when listen() fails, and do when another one succeeds', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const how: Record<string, (app: FastifyInstance) => Promise<unknown>> = {
    'a promise': (app) => app.listen({ port, host: '127.0.0.1' }),
    localhost: (app) => app.listen({ port }),
    'a callback': (app) =>
      new Promise((_, reject) => app.listen({ port, host: '127.0.0.1' }, (error) => error && reject(error))),
    'after ready()': async (app) => {
      await app.ready()
      await app.listen({ port, host: '127.0.0.1' })
    },
    'a wrong port': (app) => app.listen({ port: 70_000, host: '127.0.0.1' }),
    'an unknown host': (app) => app.listen({ port: 0, host: 'nowhere.invalid' })
  }
  for (const [what, listen] of Object.entries(how)) {
    const ran: string[] = []
    const app = Fastify()
    await app.register(scheduler, { jobs: ticking(ran) ?? [] })
    await t.rejects(async () => void (await listen(app)), what)
    await sleep(A_WHILE)
    t.same(ran, [], what)
    app.jobs.interval('hand', NEVER_DUE, noop)
    t.equal((await app.jobs.trigger('hand', { wait: true }))?.outcome, 'success', 'runs by hand go on')
    if (what !== 'a wrong port') {
      await app.listen({ port: 0, host: '127.0.0.1' })
      await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'locked')
    }
    await app.close()
  }
  taken.close()
})

t.test('ticks that have begun end when listen() fails later, and begin again when one succeeds', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const ran: string[] = []
  const app = Fastify()
  await app.register(scheduler, { jobs: ticking(ran) ?? [] })
  await app.ready()
  await nextEvent(app.jobs, 'executed')
  await t.rejects(async () => void (await app.listen({ port, host: '127.0.0.1' })), { code: 'EADDRINUSE' })
  const { length } = ran
  await sleep(A_WHILE)
  t.equal(ran.length, length)
  await app.listen({ port: 0, host: '127.0.0.1' })
  for (const id of ['locked', 'unlocked']) await nextEvent(app.jobs, 'executed', ({ job }) => job.id === id)

  app.jobs.stop()
  await sleep(A_WHILE)
  const stopped = ran.length
  await sleep(A_WHILE)
  t.equal(ran.length, stopped)
  await app.jobs.start()
  await nextEvent(app.jobs, 'executed')
  await app.close()
  taken.close()
})

t.test('what listens for the server in its onReady does not put off the ticks', async (t) => {
  const app = Fastify()
  await app.register(scheduler, { jobs: ticking([]) ?? [] })
  app.addHook('onReady', async () => {
    app.server.on('listening', noop)
    app.server.on('error', noop)
  })
  await app.ready()
  await nextEvent(app.jobs, 'executed')
  await app.close()
  t.equal(app.server.listenerCount('error'), 1, 'the listener of the app alone is left')
})

t.test('a stop before the app is ready holds, and so does a start', async (t) => {
  const ran: string[] = []
  const app = Fastify()
  await app.register(scheduler, { jobs: ticking(ran) ?? [] })
  app.addHook('onReady', async () => app.jobs.stop())
  await app.listen({ port: 0, host: '127.0.0.1' })
  await sleep(A_WHILE)
  t.same(ran, [])
  await app.jobs.start()
  await nextEvent(app.jobs, 'executed')
  await app.close()

  const early = Fastify()
  await early.register(scheduler, { jobs: ticking(ran) ?? [], autostart: false })
  early.addHook('onReady', async () => early.jobs.start())
  early.addHook('onReady', async () => void (await nextEvent(early.jobs, 'executed')))
  await early.ready()
  await early.close()
})

t.test('closing during the start begins nothing', async (t) => {
  const ran: string[] = []
  const app = Fastify()
  await app.register(scheduler, { jobs: ticking(ran) ?? [] })
  app.addHook('onReady', () => sleep(A_WHILE))
  const ready = app.ready()
  await app.close()
  await ready
  await sleep(A_WHILE)
  t.same(ran, [])
})

t.test('autostart: false: no ticks, and all else works', async (t) => {
  await withRedis(async (redis) => {
    const ran: string[] = []
    const app = Fastify()
    app.register(scheduler, { redis: redis.url, prefix: 'web', jobs: ticking(ran) ?? [], autostart: false })
    app.after(() => {
      app.jobs.interval('hand', NEVER_DUE, () => 'by hand')
      app.post('/run', app.jobs.route('hand', { wait: true }))
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.equal((await app.inject({ method: 'POST', url: '/run' })).json().outcome, 'success')
    t.same(await app.jobs.withLock('a', { ttl: '1s' }, () => 1), { acquired: true, value: 1 })
    await app.jobs.pause('hand')
    await app.jobs.resume('hand')
    t.equal((await app.inject('/metrics')).statusCode, 200)
    t.type(app.jobs.get('locked')?.nextRun, 'number', 'when the other replicas run it')
    await sleep(A_WHILE)
    t.same(ran, [])
    await app.jobs.start()
    await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'locked')
    await app.close()
    await t.rejects(app.jobs.start(), { code: 'FST_ERR_RLS_NOT_RUNNING' })
  })
  const wrong = Fastify()
  wrong.register(scheduler, { autostart: 'no' as never })
  await t.rejects(async () => void (await wrong.ready()), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /autostart.*'no'/
  })
})

t.test('a mistyped autostart is told', async (t) => {
  const app = Fastify()
  app.register(scheduler, { autoStart: false } as never)
  const message = /autoStart.*did you mean `autostart`/
  await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_RLS_OPTION_UNKNOWN', message })
  await app.close()
})

t.test('a replica without ticks takes over no run', async (t) => {
  const simulation = new Simulation()
  const job = { id: 'a', trigger: { interval: '1h' }, lock: { ttl: '10s' }, recovery: 'rerun' } as const
  let calls = 0
  const [worker, web] = [simulation.replica(), simulation.replica()]
  const dying = Fastify()
  await dying.register(scheduler, { ...worker.options, jobs: [{ ...job, handler: () => worker.sleep('5m') }] })
  await dying.ready()
  await simulation.advance('1h')
  worker.crash()
  const app = Fastify()
  await app.register(scheduler, {
    ...web.options,
    autostart: false,
    jobs: [{ ...job, handler: () => void calls++ }]
  })
  await app.ready()
  t.equal(await app.jobs.trigger('a'), null, 'its lock is held by the dead')
  await simulation.advance('20m')
  t.equal(calls, 0)
  await app.jobs.start()
  await simulation.advance('1m')
  t.equal(calls, 1)
  await app.close()
})

t.test('a Redis that hangs keeps no app from being ready, however short pluginTimeout is', async (t) => {
  await withRedis(async (redis) => {
    redis.hang()
    for (const autostart of [true, false]) {
      const app = Fastify({ pluginTimeout: 1300 })
      const jobs = [{ id: 'a', trigger: { interval: 50 }, handler: noop }]
      await app.register(scheduler, { redis: redis.url, prefix: `hang-${autostart}`, jobs, closeTimeout: 0, autostart })
      await app.ready()
      await t.rejects(app.jobs.trigger('a'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
      if (autostart) {
        redis.resume()
        await nextEvent(app.jobs, 'executed')
        redis.hang()
      }
      await app.close()
    }
    redis.resume()
  })
})

t.test('wrong credentials keep the app from being ready, with autostart or without', async (t) => {
  await withRedis(
    async (redis) => {
      for (const autostart of [true, false]) {
        const app = Fastify()
        app.register(scheduler, { redis: redis.url.replace('//', '//:wrong@'), prefix: 'auth', autostart })
        await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_RLS_REDIS_AUTH' })
        await app.close()
      }
    },
    ['--requirepass', 'secret']
  )
})

t.test('registered in a child, without await, in simulated time', async (t) => {
  const simulation = new Simulation()
  const app = Fastify()
  let runs = 0
  app.register(async (child) => {
    child.register(scheduler, { ...simulation.replica().options, metrics: false })
    child.after(() => child.jobs.interval('a', '1m', () => void runs++))
  })
  await app.ready()
  await simulation.advance('10m')
  t.equal(runs, 10)
  await app.close()
})
