import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import prometheus from 'prom-client'
import t from 'tap'
import scheduler, { errors, fastifyRedlockScheduler, type PluginOptions, type RunContext } from '../lib/index.js'
import { NEVER_DUE } from './fixtures/never-due.js'
import { nextEvent } from './fixtures/next-event.js'
import { parsePrometheus } from './fixtures/prometheus-text.js'
import { withRedis } from './fixtures/with-redis.js'

const noop = (): void => {}

t.test('the plugin is the default export and a named one', async (t) => {
  t.equal(scheduler, fastifyRedlockScheduler)
  t.type(errors.JobLockedError, Function)
  for (const plugin of [scheduler, fastifyRedlockScheduler]) {
    const app = Fastify()
    await app.register(plugin)
    t.type(app.jobs.add, 'function')
    t.type(app.jobs.route, 'function')
    t.same(app.jobs.list(), [])
    await app.ready()
    await app.close()
  }
})

t.test('jobs of the options, and those added before and after ready, run without listen', async (t) => {
  const app = Fastify()
  const contexts = new Map<string, RunContext<FastifyInstance>>()
  const handler = (context: RunContext<FastifyInstance>): void => void contexts.set(context.job.id, context)
  app.register(scheduler, { jobs: [{ id: 'options', trigger: { interval: 20 }, handler }] })
  app.after(() => {
    app.jobs.interval('before', 20, handler)
  })
  let instance: FastifyInstance = app
  app.register(async (child) => {
    child.jobs.interval('child', 20, handler)
    instance = child
  })
  await app.ready()
  app.jobs.interval('after', 20, handler)
  t.same(
    app.jobs.list().map(({ id }) => id),
    ['options', 'before', 'child', 'after']
  )
  for (const id of ['options', 'before', 'child', 'after']) {
    if (!contexts.has(id)) await nextEvent(app.jobs, 'executed', ({ job }) => job.id === id)
    t.ok(contexts.get(id)?.app === (id === 'child' ? instance : app), "the handler's app is the instance")
  }
  await app.close()
})

t.test('inject() starts it too', async (t) => {
  const app = Fastify()
  let runs = 0
  app.register(scheduler, { jobs: [{ id: 'a', trigger: { interval: 10 }, handler: () => void runs++ }] })
  const reply = await app.inject('/metrics')
  t.equal(reply.statusCode, 200)
  await nextEvent(app.jobs, 'executed')
  t.ok(runs > 0)
  await app.close()
})

t.test("the handler's log is a child of the app's, with the job's and the run's id", async (t) => {
  const lines: Record<string, unknown>[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line)) } } })
  await app.register(scheduler)
  app.jobs.interval('a', NEVER_DUE, ({ log }) => log.info('hello'))
  await app.ready()
  const run = await app.jobs.trigger('a', { wait: true })
  t.match(
    lines.filter(({ msg }) => msg === 'hello'),
    [{ jobId: 'a', runId: run?.id }]
  )
  await app.close()
})

t.test('close drains a running handler', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  let finish = noop
  app.jobs.interval('a', NEVER_DUE, () => new Promise<void>((resolve) => (finish = resolve)))
  await app.ready()
  const run = await app.jobs.trigger('a')
  const order: string[] = []
  app.jobs.on('executed', () => void order.push('executed'))
  const closing = app.close().then(() => order.push('closed'))
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(run?.outcome, null)
  finish()
  await closing
  t.same(order, ['executed', 'closed'])
  t.equal(run?.outcome, 'success')
  await t.rejects(app.jobs.trigger('a'), { code: 'FST_ERR_RLS_NOT_RUNNING' })
})

t.test('close ends the client it opened, and leaves the one it was given', async (t) => {
  await withRedis(async ({ url, port, client: observer }) => {
    const connections = async (): Promise<number> =>
      ((await observer.client('LIST')) as string).split('\n').filter((line) => line !== '').length
    const before = await connections()
    const own = Fastify()
    await own.register(scheduler, { redis: url, prefix: 'plugin' })
    await own.ready()
    t.equal(await connections(), before + 1)
    await own.close()
    t.equal(await connections(), before)

    const client = new Redis(port)
    const given = Fastify()
    await given.register(scheduler, { redis: client, prefix: 'plugin' })
    given.jobs.interval('a', NEVER_DUE, noop)
    await given.ready()
    t.equal((await given.jobs.trigger('a', { wait: true }))?.outcome, 'success')
    t.equal(await connections(), before + 2, 'it has a connection of its own beside it')
    await given.close()
    t.equal(client.status, 'ready')
    t.equal(await connections(), before + 1)
    t.equal(client.listenerCount('error'), 0, 'no listener on it')
    t.equal(await client.ping(), 'PONG')
    await client.quit()

    const never = Fastify()
    await never.register(scheduler, { redis: url, prefix: 'plugin' })
    await never.close()
    t.equal(await connections(), before, 'an app that was never ready leaves nothing behind')
  })
})

t.test('a taken decorator, or a second registration, is refused', async (t) => {
  const error = { code: 'FST_ERR_RLS_DECORATOR_TAKEN', message: /jobs/ }
  const taken = Fastify()
  taken.decorate('jobs' as never, {} as never)
  taken.register(scheduler)
  await t.rejects(async () => void (await taken.ready()), error)
  await taken.close()

  const twice = Fastify()
  twice.register(scheduler)
  twice.register(scheduler)
  await t.rejects(async () => void (await twice.ready()), error)
  await twice.close()
})

t.test('two encapsulated apps may have a scheduler each', async (t) => {
  const app = Fastify()
  for (const name of ['a', 'b']) {
    app.register(async (child) => {
      await child.register(scheduler, { metrics: { endpoint: `/${name}/metrics` } })
      child.jobs.interval(name, NEVER_DUE, noop)
    })
  }
  for (const name of ['a', 'b']) {
    const { payload } = await app.inject(`/${name}/metrics`)
    const jobs = parsePrometheus(payload).samples('apscheduler_jobs_fired_total')
    t.same(
      jobs.map(({ labels }) => labels.job_id),
      [name]
    )
  }
  await app.close()
})

t.test('/metrics is served, elsewhere or not at all when so told', async (t) => {
  const app = Fastify()
  app.register(scheduler, { jobs: [{ id: 'a', trigger: { interval: NEVER_DUE }, handler: noop }] })
  const reply = await app.inject('/metrics')
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['content-type'], prometheus.Registry.PROMETHEUS_CONTENT_TYPE)
  t.equal(parsePrometheus(reply.payload).value('apscheduler_jobs_total'), 1)
  await app.close()

  const elsewhere = Fastify()
  elsewhere.register(scheduler, { metrics: { endpoint: '/internal/metrics' } })
  t.equal((await elsewhere.inject('/metrics')).statusCode, 404)
  t.equal((await elsewhere.inject('/internal/metrics')).statusCode, 200)
  await elsewhere.close()

  for (const metrics of [false, { endpoint: false }] as const) {
    const without = Fastify()
    without.register(scheduler, { metrics })
    t.equal((await without.inject('/metrics')).statusCode, 404)
    t.equal(without.jobs.register === null, metrics === false)
    await without.close()
  }
})

t.test("an app's own /metrics is left alone, unless the path was asked for", async (t) => {
  const own = async (_request: unknown, reply: { type(type: string): unknown }): Promise<string> => {
    reply.type('text/plain')
    return 'own'
  }
  const register = new prometheus.Registry()
  const app = Fastify()
  app.get('/metrics', own as never)
  app.register(scheduler, { metrics: { register } })
  t.equal((await app.inject('/metrics')).payload, 'own')
  t.equal(parsePrometheus(await register.metrics()).value('apscheduler_jobs_total'), 0)
  await app.close()

  const asked = Fastify()
  asked.get('/metrics', own as never)
  asked.register(scheduler, { metrics: { register, endpoint: '/metrics' } })
  await t.rejects(async () => void (await asked.ready()), { code: 'FST_ERR_RLS_ROUTE_TAKEN', message: /\/metrics/ })
  t.equal(register.getMetricsAsArray().length, 0, 'nothing half done: no metric is left')
  await asked.close()
})

t.test('below a prefix, /metrics is the one of that prefix', async (t) => {
  const app = Fastify()
  app.get('/metrics', async () => 'own')
  app.register(async (child) => void (await child.register(scheduler)), { prefix: '/free' })
  app.register(
    async (child) => {
      child.get('/metrics', async () => "the child's own")
      await child.register(scheduler)
    },
    { prefix: '/taken' }
  )
  t.equal((await app.inject('/metrics')).payload, 'own')
  t.match((await app.inject('/free/metrics')).payload, /^apscheduler_jobs_total 0$/m)
  t.equal((await app.inject('/taken/metrics')).payload, "the child's own")
  await app.close()

  const asked = Fastify()
  asked.register(
    async (child) => {
      child.get('/metrics', async () => 'own')
      await child.register(scheduler, { metrics: { endpoint: '/metrics' } })
    },
    { prefix: '/asked' }
  )
  const error = { code: 'FST_ERR_RLS_ROUTE_TAKEN', message: /GET \/asked\/metrics/ }
  await t.rejects(async () => void (await asked.ready()), error)
  await asked.close()
})

t.test('OpenAPI documents of the app do not have /metrics in them', async (t) => {
  const app = Fastify()
  await app.register(swagger)
  await app.register(scheduler, { jobs: [{ id: 'a', trigger: { interval: NEVER_DUE }, handler: noop }] })
  app.post('/sync', app.jobs.route('a'))
  await app.ready()
  t.same(Object.keys(app.swagger().paths ?? {}), ['/sync'])
  t.equal((await app.inject('/metrics')).statusCode, 200)
  await app.close()
})

t.test("an app's own registry holds its metrics and the jobs'", async (t) => {
  const register = new prometheus.Registry()
  new prometheus.Counter({ name: 'orders_total', help: 'Orders.', registers: [register] }).inc(2)
  const app = Fastify()
  app.register(scheduler, { metrics: { register } })
  const now = parsePrometheus((await app.inject('/metrics')).payload)
  t.equal(now.value('orders_total'), 2)
  t.equal(now.value('apscheduler_jobs_total'), 0)
  await app.close()
  t.equal(register.getMetricsAsArray().length, 1)
})

t.test('a wrong option fails the registration, and leaves nothing behind', async (t) => {
  const register = new prometheus.Registry()
  const metrics = { register }
  const wrong: [object, string][] = [
    [{ redis: 'redis://127.0.0.1:6379', metrics }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ redis: 'http://127.0.0.1', prefix: 'a', metrics }, 'FST_ERR_RLS_REDIS_URL_INVALID'],
    [{ metrics: { register, endpoint: 'metrics' } }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics: { register, endpoint: '/a b' } }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics: { register, endpoint: true } }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics: { register, endpoint: null } }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics: { register, endpiont: '/a' } }, 'FST_ERR_RLS_OPTION_UNKNOWN'],
    [{ metrics: true }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics, jobs: [{ id: 'a', trigger: {}, handler: noop }] }, 'FST_ERR_RLS_TRIGGER_INVALID'],
    [{ metrics, logger: false }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics, app: {} }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ metrics, job: [] }, 'FST_ERR_RLS_OPTION_UNKNOWN']
  ]
  for (const [options, code] of wrong) {
    const app = Fastify()
    app.register(scheduler, options as PluginOptions)
    await t.rejects(async () => void (await app.ready()), { code })
    t.equal(register.getMetricsAsArray().length, 0, `no metric is left: ${Object.keys(options)}`)
    await app.close()
  }
})
