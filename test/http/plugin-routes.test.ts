import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, { type JobOptions, type PluginOptions, type Run } from '../../lib/index.js'
import { nextEvent } from '../fixtures/next-event.js'
import { freePort, withRedis } from '../fixtures/with-redis.js'

/** A job that runs only by hand, and ends when it is told to. */
function manualJob(id: string): JobOptions<FastifyInstance> & { readonly seen: unknown[]; finish: () => void } {
  const job = {
    id,
    trigger: { date: '2099-01-01T00:00:00Z' },
    seen: [] as unknown[],
    finish: () => {},
    handler: ({ data }: { data: unknown }) => {
      job.seen.push(data)
      return new Promise<void>((resolve) => {
        job.finish = resolve
      })
    }
  }
  return job
}

async function withApp(
  jobs: readonly JobOptions<FastifyInstance>[],
  body: (app: FastifyInstance) => Promise<void>,
  options: PluginOptions = {}
): Promise<void> {
  const app = Fastify()
  try {
    const plain = jobs.map(({ id, trigger = null, handler }) => ({ id, trigger, handler }))
    await app.register(scheduler, { jobs: plain, closeTimeout: 1, ...options })
    await body(app)
  } finally {
    await app.close()
  }
}

const quick = (id: string): JobOptions<FastifyInstance> => ({
  id,
  trigger: { date: '2099-01-01T00:00:00Z' },
  handler: () => 'done'
})

t.test('config.triggerJob runs a job after a 2xx, and after nothing else', async (t) => {
  await withApp([quick('sync')], async (app) => {
    const statuses = [200, 201, 204, 299, 301, 304, 400, 404, 500, 503]
    for (const status of statuses) {
      app.post(`/${status}`, { config: { triggerJob: 'sync' } }, async (_request, reply) => {
        reply.code(status)
        return status === 204 || status === 304 ? undefined : 'body'
      })
    }
    app.post('/throws', { config: { triggerJob: 'sync' } }, async () => {
      throw new Error('broken')
    })
    app.post('/plain', async () => 'no job')
    app.get('/got', { config: { triggerJob: 'sync' } }, async () => 'body')
    const runs: Run[] = []
    app.jobs.on('submitted', ({ run }) => void runs.push(run))
    for (const status of statuses) {
      const executed = status < 300 ? nextEvent(app.jobs, 'executed') : null
      const reply = await app.inject({ method: 'POST', url: `/${status}` })
      t.equal(reply.statusCode, status)
      await executed
    }
    t.equal(runs.length, 4, '200, 201, 204 and 299')
    for (const url of ['/throws', '/plain', '/not-found']) await app.inject({ method: 'POST', url })
    t.equal((await app.inject({ method: 'HEAD', url: '/got' })).statusCode, 200, 'HEAD asks for no job')
    const executed = nextEvent(app.jobs, 'executed')
    t.equal((await app.inject({ method: 'POST', url: '/200' })).payload, 'body', 'the answer is as it was')
    await executed
    t.equal(runs.length, 5, 'and 200 again')
    t.ok(runs.every(({ jobId, trigger }) => jobId === 'sync' && trigger === 'manual'))
  })
})

t.test('config.triggerJob works in child plugins, and for routes declared in the same breath', async (t) => {
  const app = Fastify()
  app.register(scheduler, { jobs: [quick('sync')] })
  const route = { config: { triggerJob: 'sync' } }
  app.post('/same-breath', route, async () => 'ok')
  app.register(
    async (child) => {
      child.post('/orders', route, async () => 'ok')
      child.register(async (grandchild) => {
        grandchild.post('/deep', route, async () => 'ok')
      })
    },
    { prefix: '/v1' }
  )
  await app.ready()
  for (const url of ['/same-breath', '/v1/orders', '/v1/deep']) {
    const executed = nextEvent(app.jobs, 'executed', () => true, 2000)
    t.equal((await app.inject({ method: 'POST', url })).statusCode, 200)
    t.equal((await executed).job.id, 'sync', url)
  }
  await app.close()
})

t.test('a route declared before the plugin that names no job is refused before it does anything', async (t) => {
  const app = Fastify()
  let handled = 0
  const handler = async (): Promise<string> => `handled ${++handled}`
  app.post('/before', { config: { triggerJob: 'nope' } }, handler)
  app.register(scheduler, { jobs: [quick('sync')] })
  app.post('/same-breath', { config: { triggerJob: 'nope' } }, handler)
  app.post('/right', { config: { triggerJob: 'sync' } }, handler)
  await app.ready()
  for (const url of ['/before', '/same-breath']) {
    const reply = await app.inject({ method: 'POST', url })
    t.equal(reply.statusCode, 500)
    t.match(reply.json(), { code: 'FST_ERR_RLS_JOB_UNKNOWN', message: /'nope'.*POST / })
  }
  t.equal(handled, 0)
  t.equal((await app.inject({ method: 'POST', url: '/right' })).statusCode, 200)
  app.jobs.remove('sync')
  t.equal((await app.inject({ method: 'POST', url: '/right' })).statusCode, 200, 'removed later: the route stays')
  await app.close()
})

t.test('a run that config.triggerJob asks for while another goes on is only logged', async (t) => {
  const lines: { msg: string; jobId?: string; level: number }[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line)) } } })
  const job = manualJob('slow')
  const { id, trigger = null, handler } = job
  await app.register(scheduler, { jobs: [{ id, trigger, handler }] })
  app.post('/a', { config: { triggerJob: { id: 'slow', overlap: 'skip' } } }, async () => 'ok')
  const first = nextEvent(app.jobs, 'submitted')
  await app.inject({ method: 'POST', url: '/a' })
  await first
  const failed = nextEvent(app.jobs, 'lockFailed')
  t.equal((await app.inject({ method: 'POST', url: '/a' })).statusCode, 200)
  t.equal((await failed).reason, 'held')
  t.equal(job.seen.length, 1)
  job.finish()
  await app.close()
  t.match(
    lines.find(({ msg }) => /holds its lock/.test(msg)),
    { jobId: 'slow', level: 30 }
  )
})

t.test('a route that names an unknown job is refused at ready', async (t) => {
  const cases: [string, (app: FastifyInstance) => void, RegExp][] = [
    [
      'a route',
      (app) => app.post('/orders', { config: { triggerJob: 'nope' } }, async () => ''),
      /'nope'.*POST \/orders/
    ],
    [
      'a route of a child plugin',
      (app) =>
        app.register(async (child) => void child.put('/deep', { config: { triggerJob: 'nope' } }, async () => ''), {
          prefix: '/v1'
        }),
      /'nope'.*PUT \/v1\/deep/
    ],
    [
      'a route of another type',
      (app) => app.get('/a', { config: { triggerJob: 5 as never } }, async () => ''),
      /5.*GET \/a/
    ],
    ['an empty name', (app) => app.get('/a', { config: { triggerJob: '' } }, async () => ''), /''.*GET \/a/],
    ['jobs.route', (app) => app.post('/sync', app.jobs.route('nope')), /'nope'.*jobs\.route/]
  ]
  for (const [what, declare, message] of cases) {
    await withApp([quick('sync')], async (app) => {
      declare(app)
      await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_RLS_JOB_UNKNOWN', message }, what)
    })
  }
  await withApp([], async (app) => {
    app.post('/orders', { config: { triggerJob: 'later' } }, async () => '')
    app.jobs.add(quick('later'))
    await t.resolves(async () => void (await app.ready()), 'the job may be added after its route')
  })
})

t.test('jobs.route(id) answers 202 and the run, 409 while one goes on', async (t) => {
  const job = manualJob('sync')
  await withApp([job], async (app) => {
    app.post('/sync', app.jobs.route('sync'))
    const reply = await app.inject({ method: 'POST', url: '/sync' })
    t.equal(reply.statusCode, 202)
    const body = reply.json()
    t.match(body, {
      id: /./,
      jobId: 'sync',
      attempt: 1,
      trigger: 'manual',
      replicaId: app.jobs.replicaId,
      outcome: null,
      finishedAt: null
    })
    t.same(Object.keys(body).sort(), [
      'attempt',
      'fencingToken',
      'finishedAt',
      'id',
      'jobId',
      'outcome',
      'replicaId',
      'scheduledTime',
      'startedAt',
      'trigger'
    ])
    t.equal(new Date(body.startedAt).toISOString(), body.startedAt)
    t.ok(Math.abs(Date.parse(body.scheduledTime) - Date.now()) < 60_000)

    const locked = await app.inject({ method: 'POST', url: '/sync' })
    t.equal(locked.statusCode, 409)
    t.match(locked.json(), { code: 'FST_ERR_RLS_JOB_LOCKED', message: /'sync'/ })
    const ended = nextEvent(app.jobs, 'executed')
    job.finish()
    await ended
    t.equal((await app.inject({ method: 'POST', url: '/sync' })).statusCode, 202)
    job.finish()
  })
})

t.test('jobs.route with `wait` answers with the ended run', async (t) => {
  const failing = { ...quick('failing'), handler: () => Promise.reject(new Error('what went wrong')) }
  await withApp([quick('sync'), failing], async (app) => {
    app.post('/sync', app.jobs.route('sync', { wait: true }))
    app.post('/failing', app.jobs.route('failing', { wait: true }))
    const reply = await app.inject({ method: 'POST', url: '/sync' })
    t.equal(reply.statusCode, 200)
    t.match(reply.json(), { outcome: 'success', result: 'done', finishedAt: /^\d{4}-.*Z$/ })
    const failed = await app.inject({ method: 'POST', url: '/failing' })
    t.equal(failed.statusCode, 500)
    t.match(failed.json(), { outcome: 'error', message: 'what went wrong' })
  })
})

t.test('jobs.route hands out data', async (t) => {
  const seen: unknown[] = []
  const job = { ...quick('sync'), handler: ({ data }: { data: unknown }) => void seen.push(data) }
  await withApp([job], async (app) => {
    app.post('/sync/:name', app.jobs.route('sync', { wait: true, data: (request) => request.params }))
    app.post('/plain', app.jobs.route('sync', { wait: true }))
    app.post(
      '/broken',
      app.jobs.route('sync', {
        data: () => {
          throw Object.assign(new Error('bad data'), { statusCode: 422 })
        }
      })
    )
    await app.inject({ method: 'POST', url: '/sync/orders' })
    await app.inject({ method: 'POST', url: '/plain' })
    t.equal((await app.inject({ method: 'POST', url: '/broken' })).statusCode, 422)
    t.same(seen, [{ name: 'orders' }, undefined])
    for (const options of [{ data: 5 }, { wait: 'yes' }, { wiat: true }, null, []]) {
      t.throws(() => app.jobs.route('sync', options as object), { code: /^FST_ERR_RLS_OPTION_/ })
    }
    app.jobs.remove('sync')
    const removed = await app.inject({ method: 'POST', url: '/plain' })
    t.equal(removed.statusCode, 404)
    t.equal(removed.json().code, 'FST_ERR_RLS_JOB_UNKNOWN')
  })
})

t.test('jobs.route answers 503 while Redis is unavailable; the app is up all the same', async (t) => {
  const redis = `redis://127.0.0.1:${await freePort()}`
  await withApp(
    [quick('sync')],
    async (app) => {
      app.post('/sync', app.jobs.route('sync'))
      app.get('/health', async () => 'ok')
      t.equal((await app.inject('/health')).payload, 'ok')
      const reply = await app.inject({ method: 'POST', url: '/sync' })
      t.equal(reply.statusCode, 503)
      t.equal(reply.json().code, 'FST_ERR_RLS_REDIS_UNAVAILABLE')
    },
    { redis, prefix: 'routes' }
  )
})

t.test('jobs.route answers 409 while another replica runs the job', async (t) => {
  await withRedis(async ({ url }) => {
    const options = { redis: url, prefix: 'routes' }
    const [one, two] = [manualJob('sync'), manualJob('sync')]
    await withApp(
      [one],
      async (first) => {
        first.post('/sync', first.jobs.route('sync'))
        await withApp(
          [two],
          async (second) => {
            second.post('/sync', second.jobs.route('sync'))
            const answers = await Promise.all(
              [first, second].map((app) => app.inject({ method: 'POST', url: '/sync' }))
            )
            t.same(answers.map(({ statusCode }) => statusCode).sort(), [202, 409])
            t.equal(one.seen.length + two.seen.length, 1)
            one.finish()
            two.finish()
          },
          options
        )
      },
      options
    )
  })
})
