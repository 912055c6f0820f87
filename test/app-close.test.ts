import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, { type PluginOptions, type Run } from '../lib/index.js'
import { NEVER_DUE } from './fixtures/never-due.js'
import { nextEvent } from './fixtures/next-event.js'
import { withRedis } from './fixtures/with-redis.js'

const noop = (): void => {}

/** Something that is waited for, and settled from outside. */
function gate(): { readonly passed: Promise<void>; pass(): void } {
  let pass = noop
  const passed = new Promise<void>((resolve) => (pass = resolve))
  return { passed, pass: () => pass() }
}

async function listening(options: PluginOptions = {}, timeout = 10_000): Promise<FastifyInstance> {
  const app = Fastify({ pluginTimeout: timeout })
  await app.register(scheduler, options)
  return app
}

function urlOf(app: FastifyInstance, path: string): string {
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${path}`
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

t.test(
  'runs are aborted closeTimeout after closing began, while a keep-alive request is still in flight',
  async (t) => {
    const app = await listening({ closeTimeout: 100 })
    const [arrived, leave, aborted] = [gate(), gate(), gate()]
    let reason: unknown
    app.jobs.interval('a', NEVER_DUE, async ({ signal }) => {
      await once(signal, 'abort')
      reason = signal.reason
      aborted.pass()
    })
    app.get('/slow', async () => {
      arrived.pass()
      await leave.passed
      return 'slow'
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const agent = new Agent({ keepAlive: true })
    const reply = once(get(urlOf(app, '/slow'), { agent }), 'response') as Promise<[IncomingMessage]>
    await arrived.passed
    const run = (await app.jobs.trigger('a')) as Run
    let closed = false
    const closing = app.close().then(() => (closed = true))
    await aborted.passed
    t.match(reason, { code: 'FST_ERR_RLS_RUN_CANCELLED' })
    t.equal(closed, false, 'the request is waited for')
    leave.pass()
    t.equal(await bodyOf((await reply)[0]), 'slow')
    await closing
    t.equal(run.outcome, 'cancelled')
    agent.destroy()
  }
)

t.test('an upload in flight does not put off the drain, and may still use a lock', async (t) => {
  const app = await listening({ closeTimeout: 100 })
  const [arrived, ended] = [gate(), gate()]
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.post('/upload', async (request) => {
    arrived.pass()
    let size = 0
    for await (const chunk of request.body as AsyncIterable<Buffer>) size += chunk.length
    return app.jobs.withLock('upload', { ttl: '10s' }, () => size)
  })
  app.jobs.interval('a', NEVER_DUE, ({ signal }) => once(signal, 'abort'))
  app.jobs.on('error', () => ended.pass())
  await app.listen({ port: 0, host: '127.0.0.1' })
  const headers = { 'content-type': 'application/octet-stream' }
  const upload = request(urlOf(app, '/upload'), { method: 'POST', headers, agent: false })
  const reply = once(upload, 'response') as Promise<[IncomingMessage]>
  upload.write('one')
  await arrived.passed
  await app.jobs.trigger('a')
  const closing = app.close()
  await ended.passed
  upload.end('two')
  t.same(JSON.parse(await bodyOf((await reply)[0])), { acquired: true, value: 6 })
  await closing
})

t.test('a request that waits for a run does not keep the app from closing', async (t) => {
  for (const heeds of [true, false]) {
    const app = await listening({ closeTimeout: 50 })
    const begun = gate()
    const forever = gate()
    app.jobs.interval('a', NEVER_DUE, async ({ signal }) => {
      begun.pass()
      await (heeds ? once(signal, 'abort') : forever.passed)
    })
    app.post('/run', app.jobs.route('a', { wait: true }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const reply = fetch(urlOf(app, '/run'), { method: 'POST' })
    await begun.passed
    await app.close()
    const { outcome } = (await (await reply).json()) as { outcome: string }
    t.equal(outcome, heeds ? 'cancelled' : 'abandoned')
    forever.pass()
  }
})

t.test('runs end before any other plugin closes what they work with', async (t) => {
  const app = Fastify()
  const order: string[] = []
  app.addHook('onClose', async () => void order.push('earlier'))
  await app.register(scheduler)
  app.addHook('onClose', async () => void order.push('later'))
  app.register(async (child) => {
    child.addHook('onClose', async () => void order.push('child'))
    child.jobs.interval('a', NEVER_DUE, async () => {
      await child.jobs.withLock('table', { ttl: '10s' }, () => sleep(20))
      order.push('run')
    })
  })
  await app.ready()
  const run = (await app.jobs.trigger('a')) as Run
  await app.close()
  t.equal(run.outcome, 'success', 'also one that needs a lock for its end')
  t.same(order, ['run', 'child', 'later', 'earlier'])
})

t.test('what goes on under withLock ends before other plugins close, or is aborted after closeTimeout', async (t) => {
  const app = await listening({ closeTimeout: 60 })
  const order: string[] = []
  app.addHook('onClose', async () => void order.push('later'))
  await app.ready()
  const background = app.jobs.withLock('a', { ttl: '10s' }, async ({ signal }) => {
    await once(signal, 'abort')
    order.push(signal.reason.code)
  })
  await new Promise(setImmediate)
  await app.close()
  t.same(await background, { acquired: true, value: undefined })
  t.same(order, ['FST_ERR_RLS_RUN_CANCELLED', 'later'])
})

t.test('what goes on under a lock that is taken after closing began is aborted closeTimeout after that', async (t) => {
  const app = await listening({ closeTimeout: 300 })
  const [arrived, go, aborted, stay] = [gate(), gate(), gate(), gate()]
  let reason: unknown
  app.get('/', async () => {
    arrived.pass()
    await go.passed
    await app.jobs.withLock('table', { ttl: '10s' }, async ({ signal }) => {
      await once(signal, 'abort')
      reason = signal.reason
    })
    aborted.pass()
    await stay.passed
    return app.jobs.withLock('table', { ttl: '10s' }, async ({ signal }) => {
      await once(signal, 'abort')
      return 'at once'
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const reply = once(get(urlOf(app, '/'), { agent: false }), 'response') as Promise<[IncomingMessage]>
  await arrived.passed
  const closing = app.close()
  // Nothing runs: the drain is over at once, and the request is waited for.
  await sleep(50)
  go.pass()
  await aborted.passed
  t.match(reason, { code: 'FST_ERR_RLS_RUN_CANCELLED' })
  stay.pass()
  t.same(
    JSON.parse(await bodyOf((await reply)[0])),
    { acquired: true, value: 'at once' },
    'one that is taken later, as it begins'
  )
  await closing
})

t.test(
  "an earlier plugin's `preClose` hook that is slow or fails neither puts off the drain nor keeps the app open",
  async (t) => {
    for (const hook of [() => sleep(400), () => Promise.reject(new Error('of the balancer'))]) {
      const app = Fastify()
      app.addHook('preClose', hook)
      await app.register(scheduler, { closeTimeout: 100 })
      const begun = gate()
      let ticks = 0
      app.jobs.interval('tick', 20, () => void ticks++)
      app.jobs.interval('hand', NEVER_DUE, async ({ signal }) => {
        begun.pass()
        await once(signal, 'abort')
      })
      app.post('/run', app.jobs.route('hand', { wait: true }))
      await app.listen({ port: 0, host: '127.0.0.1' })
      await nextEvent(app.jobs, 'executed')
      const run = request(urlOf(app, '/run'), { method: 'POST', agent: false })
      const reply = once(run.end(), 'response') as Promise<[IncomingMessage]>
      await begun.passed
      const closing = app.close().catch(noop)
      await new Promise(setImmediate)
      const seen = ticks
      t.match(JSON.parse(await bodyOf((await reply)[0])), { outcome: 'cancelled' })
      await closing
      t.equal(ticks, seen, 'no tick came since closing began')
    }
  }
)

t.test('drain() ends the runs while routes, metrics and withLock go on', async (t) => {
  const app = await listening({ closeTimeout: 50 })
  let ticks = 0
  app.jobs.interval('tick', 10, () => void ticks++)
  app.jobs.interval('a', NEVER_DUE, async ({ signal }) => {
    await app.jobs.withLock('part', { ttl: '10s' }, () => once(signal, 'abort'))
  })
  app.get('/', async () => app.jobs.withLock('route', { ttl: '10s' }, () => 'here'))
  app.post('/run', app.jobs.route('tick'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  await nextEvent(app.jobs, 'executed')
  const run = (await app.jobs.trigger('a')) as Run
  const draining = app.jobs.drain()
  t.equal(app.jobs.drain(), draining, 'a second call waits for the first')
  await t.rejects(app.jobs.trigger('tick'), { code: 'FST_ERR_RLS_NOT_RUNNING', message: /tick.*takes no new runs/ })
  await t.rejects(app.jobs.start(), { code: 'FST_ERR_RLS_NOT_RUNNING' })
  await draining
  t.equal(run.outcome, 'cancelled')
  const seen = ticks
  t.same(await (await fetch(urlOf(app, '/'))).json(), { acquired: true, value: 'here' })
  t.equal((await fetch(urlOf(app, '/run'), { method: 'POST' })).status, 503)
  const metrics = await (await fetch(urlOf(app, '/metrics'))).text()
  t.match(metrics, /^apscheduler_job_failure_total\{job_id="a",job_name="a"\} 1$/m, 'the cancelled run can be scraped')
  t.equal(ticks, seen, 'no tick comes any more')
  await app.close()
  await t.rejects(app.jobs.withLock('a', { ttl: '10s' }, noop), {
    code: 'FST_ERR_RLS_NOT_RUNNING',
    message: /is closed/
  })
})

t.test('closing that begins during a drain does not begin it anew', async (t) => {
  const app = await listening({ closeTimeout: 200 })
  app.jobs.interval('a', NEVER_DUE, ({ signal }) => once(signal, 'abort'))
  await app.ready()
  await app.jobs.trigger('a')
  const begun = performance.now()
  const draining = app.jobs.drain()
  await sleep(100)
  await app.close()
  await draining
  t.ok(performance.now() - begun < 290, 'closeTimeout is counted from the first')
})

t.test('closeTimeout and a second must be below pluginTimeout', async (t) => {
  const refused: [
    closeTimeout: PluginOptions['closeTimeout'] | undefined,
    pluginTimeout: number | undefined,
    said: RegExp
  ][] = [
    ['9s', undefined, /`closeTimeout`.*`pluginTimeout` of 10000 ms.*'9s'/],
    [{ seconds: 12 }, undefined, /\{ seconds: 12 \}/],
    [4000, 5000, /5000 ms.*got 4000 \(number\)/],
    [undefined, 9000, /9000 ms.*got 8000, its default/],
    [0, 1000, /1000 ms.*got 0 \(number\)/]
  ]
  for (const [closeTimeout, pluginTimeout, message] of refused) {
    const app = Fastify(pluginTimeout === undefined ? {} : { pluginTimeout })
    app.register(scheduler, closeTimeout === undefined ? {} : { closeTimeout })
    await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_RLS_OPTION_INVALID', message })
    t.notOk(app.hasDecorator('jobs'), 'nothing has changed')
    await app.close()
  }
  const taken: [PluginOptions['closeTimeout'] | undefined, number | undefined][] = [
    [undefined, undefined],
    ['8900ms', undefined],
    ['10m', 0],
    ['1m', 62_000],
    [0, 1001]
  ]
  for (const [closeTimeout, pluginTimeout] of taken) {
    const app = Fastify(pluginTimeout === undefined ? {} : { pluginTimeout })
    await app.register(scheduler, closeTimeout === undefined ? {} : { closeTimeout })
    await app.ready()
    await app.close()
  }
})

t.test('a handler that heeds nothing keeps the app from closing no longer than pluginTimeout allows', async (t) => {
  const app = await listening({ closeTimeout: 50 }, 1500)
  let later = false
  app.addHook('preClose', async () => {
    later = true
  })
  const forever = gate()
  app.jobs.interval('a', NEVER_DUE, () => forever.passed)
  await app.ready()
  const run = (await app.jobs.trigger('a')) as Run
  await app.close()
  t.equal(run.outcome, 'abandoned')
  t.equal(later, true, 'the hooks after it run too, as none was cut off')
  forever.pass()
})

t.test('close() twice, in a handler, and during the start', async (t) => {
  const app = await listening({ closeTimeout: 50 })
  await app.ready()
  await Promise.all([app.close(), app.close(), app.jobs.close()])
  await app.close()

  const inside = await listening({ closeTimeout: 50 })
  inside.jobs.interval('a', NEVER_DUE, () => inside.close())
  await inside.ready()
  const run = (await inside.jobs.trigger('a')) as Run
  await inside.close()
  t.equal(run.outcome, 'abandoned', 'who waits for an end that waits for him is not waited for')

  const leaving = await listening({ closeTimeout: 50 })
  leaving.jobs.interval('a', NEVER_DUE, () => void leaving.close())
  await leaving.ready()
  const left = (await leaving.jobs.trigger('a')) as Run
  await leaving.close()
  t.equal(left.outcome, 'success')

  await withRedis(async (redis) => {
    redis.hang()
    for (const wait of [false, true]) {
      const starting = await listening({ redis: redis.url, prefix: 'close', closeTimeout: 50 })
      const ready = starting.ready()
      if (wait) await sleep(20)
      await starting.close()
      await ready
    }
    redis.resume()
  })

  const never = await listening()
  await never.close()
})
