// The route of the option `health`, for readiness probes.
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, { type PluginOptions } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { freePort } from '../fixtures/with-redis.js'

const READY = { health: { endpoint: '/ready' } } as const

async function withApp(options: PluginOptions, body: (app: FastifyInstance) => Promise<void>): Promise<void> {
  const { logger } = logLines()
  const app = Fastify({ loggerInstance: logger })
  app.register(scheduler, options)
  try {
    await body(app)
  } finally {
    await app.close()
  }
}

t.test('it answers with `health()`, and is not to be kept', async (t) => {
  await withApp({ ...READY, jobs: [{ id: 'a', trigger: { interval: NEVER_DUE }, handler: () => {} }] }, async (app) => {
    const reply = await app.inject('/ready')
    t.equal(reply.statusCode, 200)
    t.match(reply.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' })
    t.same(Object.keys(reply.json()), Object.keys(app.jobs.health()))
    t.match(reply.json(), { coordination: 'memory', redisUp: true, reason: null, running: 0, backlog: 0 })
  })
})

t.test('there is none unless it is asked for', async (t) => {
  for (const options of [{}, { health: {} }, { health: { endpoint: false } }] as const) {
    await withApp(options, async (app) => {
      t.equal((await app.inject('/ready')).statusCode, 404)
      t.equal((await app.inject('/health')).statusCode, 404)
    })
  }
})

t.test('a replica that takes no ticks is ready, one that drains is not, though its routes answer', async (t) => {
  await withApp({ ...READY, autostart: false }, async (app) => {
    let end = (): void => {}
    app.get('/', async () => 'here')
    app.register(async () => {
      app.jobs.add({ id: 'slow', handler: () => new Promise<void>((resolve) => (end = resolve)) })
    })
    const state = async (): Promise<unknown[]> => {
      const reply = await app.inject('/ready')
      return [reply.statusCode, reply.json().status, reply.json().running]
    }
    t.strictSame(await state(), [200, 'stopped', 0])
    await app.jobs.start()
    t.strictSame(await state(), [200, 'ok', 0])
    await app.jobs.trigger('slow')
    const drained = app.jobs.drain()
    t.strictSame(await state(), [503, 'closing', 1])
    t.equal((await app.inject('/')).statusCode, 200)
    t.equal((await app.inject({ method: 'HEAD', url: '/ready' })).statusCode, 503)
    end()
    await drained
    t.strictSame(await state(), [503, 'closing', 0])
  })
})

t.test('without its Redis a replica is ready, unless `failIfDegraded` says otherwise', async (t) => {
  const redis = `redis://127.0.0.1:${await freePort()}`
  for (const failIfDegraded of [false, true]) {
    await withApp({ redis, prefix: 'health', health: { endpoint: '/ready', failIfDegraded } }, async (app) => {
      const reply = await app.inject('/ready')
      t.equal(reply.statusCode, failIfDegraded ? 503 : 200)
      t.match(reply.json(), { status: 'degraded', coordination: 'redis', redisUp: false, reason: /./ })
    })
  }
})

t.test('HEAD is answered, also by an app that has it for no route, or for this one itself', async (t) => {
  const app = Fastify({ exposeHeadRoutes: false })
  app.register(scheduler, READY)
  const reply = await app.inject({ method: 'HEAD', url: '/ready' })
  t.equal(reply.statusCode, 200)
  t.equal(reply.payload, '')
  await app.close()

  const own = Fastify()
  own.head('/ready', async (_request, reply) => void reply.code(204).send())
  own.register(scheduler, READY)
  t.equal((await own.inject({ method: 'HEAD', url: '/ready' })).statusCode, 204)
  t.equal((await own.inject('/ready')).statusCode, 200)
  await own.close()
})

t.test('below a prefix it is the one of that prefix', async (t) => {
  const app = Fastify()
  app.get('/ready', async () => 'own')
  app.register(async (child) => void (await child.register(scheduler, READY)), { prefix: '/jobs' })
  t.equal((await app.inject('/ready')).payload, 'own')
  t.equal((await app.inject('/jobs/ready')).json().coordination, 'memory')
  await app.close()
})

t.test('a path that is taken, or none, is refused', async (t) => {
  const TAKEN = 'FST_ERR_RLS_ROUTE_TAKEN'
  const INVALID = 'FST_ERR_RLS_OPTION_INVALID'
  const UNKNOWN = 'FST_ERR_RLS_OPTION_UNKNOWN'
  const cases: [options: object, code: string, message: RegExp][] = [
    [{ health: { endpoint: '/taken' } }, TAKEN, /GET \/v1\/taken already: set `health\.endpoint`/],
    [{ health: { endpoint: '/metrics' } }, TAKEN, /GET \/v1\/metrics already: set `health\.endpoint`/],
    [{ health: { endpoint: '/x' }, metrics: { endpoint: '/x' } }, TAKEN, /GET \/v1\/x already: set `health\.endpoint`/],
    [
      { health: { endpoint: 'ready' } },
      INVALID,
      /`health\.endpoint` to be a path such as \/ready, or false, got 'ready'/
    ],
    [{ health: { endpoint: '/a b' } }, INVALID, /`health\.endpoint`/],
    [{ health: { endpoint: '/a?b' } }, INVALID, /`health\.endpoint`/],
    [{ health: { endpoint: true } }, INVALID, /`health\.endpoint`/],
    [{ health: { endpoint: null } }, INVALID, /`health\.endpoint`/],
    [
      { health: { endpoint: '/ready', failIfDegraded: 1 } },
      INVALID,
      /`health\.failIfDegraded` to be true or false, got 1/
    ],
    [{ health: '/ready' }, INVALID, /`health` to be a plain object, got '\/ready'/],
    [{ health: true }, INVALID, /`health`/],
    [{ health: { url: '/ready' } }, UNKNOWN, /`url` in `health`: here it is `endpoint`/],
    [{ health: { endpiont: '/ready' } }, UNKNOWN, /did you mean `endpoint`/],
    [{ healthcheck: '/ready' }, UNKNOWN, /here it is `health: \{ endpoint \}`/]
  ]
  for (const [options, code, message] of cases) {
    const app = Fastify()
    app.register(
      async (child) => {
        child.get('/taken', async () => 'own')
        await child.register(scheduler, options as PluginOptions)
      },
      { prefix: '/v1' }
    )
    await t.rejects(async () => void (await app.ready()), { code, message }, JSON.stringify(options))
    await app.close()
  }
})

t.test('it is in no OpenAPI document, and requests to it are not logged', async (t) => {
  const lines: { msg: string }[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line)) } } })
  await app.register(swagger)
  await app.register(scheduler, READY)
  app.get('/own', async () => 'own')
  await app.ready()
  t.same(Object.keys(app.swagger().paths ?? {}), ['/own'])
  const requests = (): number => lines.filter(({ msg }) => msg === 'incoming request').length
  await app.inject('/ready')
  t.equal(requests(), 0)
  await app.inject('/own')
  t.equal(requests(), 1)
  await app.close()
})
