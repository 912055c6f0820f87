import { runInNewContext } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, { type JobOptions, type PluginOptions, type RunContext } from '../../lib/index.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withRedis } from '../fixtures/with-redis.js'

type Handler = (context: RunContext<FastifyInstance>) => unknown

/** An app with a route `POST /<id>` for each job, which waits for its run. */
async function withRoutes(
  handlers: Readonly<Record<string, Handler>>,
  body: (
    app: FastifyInstance,
    post: (id: string) => Promise<{ status: number; json: Record<string, unknown> }>
  ) => Promise<void>,
  options: PluginOptions = {},
  job: Partial<JobOptions<FastifyInstance>> = {}
): Promise<void> {
  const app = Fastify()
  try {
    await app.register(scheduler, options)
    for (const [id, handler] of Object.entries(handlers)) {
      app.jobs.add({ id, trigger: { date: '2099-01-01T00:00:00Z' }, handler, ...job })
      app.post(`/${id}`, app.jobs.route(id, { wait: true }))
    }
    await app.ready()
    await body(app, async (id) => {
      const reply = await app.inject({ method: 'POST', url: `/${id}` })
      return { status: reply.statusCode, json: reply.json() }
    })
  } finally {
    await app.close()
  }
}

const circle: { me?: unknown } = {}
circle.me = circle

t.test('with `wait`, a success is a 200 with the result', async (t) => {
  const results: Record<string, [returned: unknown, shown: unknown]> = {
    text: ['done', 'done'],
    number: [0, 0],
    nothing: [null, null],
    no: [false, false],
    list: [
      [1, { a: 2 }],
      [1, { a: 2 }]
    ],
    date: [new Date(0), '1970-01-01T00:00:00.000Z'],
    realm: [runInNewContext('({ a: [1] })'), { a: [1] }],
    promise: [Promise.resolve('later'), 'later'],
    huge: ['x'.repeat(1_000_000), 'x'.repeat(1_000_000)]
  }
  const handlers = Object.fromEntries(Object.entries(results).map(([id, [returned]]) => [id, () => returned]))
  await withRoutes(handlers, async (_app, post) => {
    for (const [id, [, shown]] of Object.entries(results)) {
      const { status, json } = await post(id)
      t.equal(status, 200, id)
      t.match(json, { outcome: 'success', finishedAt: /^\d{4}-.*Z$/, jobId: id })
      t.same(json.result, shown)
      t.notOk('message' in json)
    }
  })
})

t.test('a result that is no JSON is not sent, and is no failure', async (t) => {
  const none = { undefined: undefined, function: () => 1, symbol: Symbol('a') }
  const broken: Record<string, [unknown, RegExp]> = {
    bigint: [{ deep: [10n] }, /BigInt/],
    circular: [circle, /circular/],
    toJSON: [
      {
        toJSON() {
          throw new Error('not shown')
        }
      },
      /not shown/
    ]
  }
  const all = { ...none, ...Object.fromEntries(Object.entries(broken).map(([id, [value]]) => [id, value])) }
  const handlers = Object.fromEntries(Object.entries(all).map(([id, value]) => [id, () => value]))
  await withRoutes(handlers, async (_app, post) => {
    for (const id of Object.keys(all)) {
      const { status, json } = await post(id)
      t.equal(status, 200, id)
      t.equal(json.outcome, 'success')
      t.notOk('result' in json)
      if (id in broken) t.match(json.message, broken[id]?.[1])
      else t.notOk('message' in json)
    }
  })
})

t.test('with `wait`, a run that failed is a 500, with its outcome and why', async (t) => {
  const thrown: Record<string, [thrown: unknown, message: string | RegExp]> = {
    error: [new TypeError('no such table'), 'no such table'],
    status: [Object.assign(new Error('looks like a 404'), { statusCode: 404 }), 'looks like a 404'],
    realm: [runInNewContext("new Error('of another realm')"), 'of another realm'],
    text: ['a text', 'a text'],
    empty: [new Error(''), /outcome error/],
    nothing: [undefined, /outcome error/],
    object: [{ code: 5 }, /outcome error/],
    bigint: [5n, /5n/],
    hostile: [
      {
        get message() {
          throw new Error('never seen')
        }
      },
      /./
    ]
  }
  const handlers = Object.fromEntries(
    Object.entries(thrown).map(([id, [error]]) => [
      id,
      () => {
        throw error
      }
    ])
  )
  await withRoutes(handlers, async (_app, post) => {
    for (const [id, [, message]] of Object.entries(thrown)) {
      const { status, json } = await post(id)
      t.equal(status, 500, id)
      t.match(json, { outcome: 'error', jobId: id, id: /./, message })
      t.notOk('result' in json)
    }
  })
})

t.test('with `wait`, other outcomes have a status of their own', async (t) => {
  const untilAborted: Handler = ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve))
  await withRoutes(
    { timeout: untilAborted },
    async (_app, post) => {
      const { status, json } = await post('timeout')
      t.equal(status, 504)
      t.match(json, { outcome: 'timeout', message: /timeout of 20 ms/ })
    },
    {},
    { timeout: 20 }
  )

  await withRoutes(
    { hung: () => new Promise(() => {}) },
    async (_app, post) => {
      const { status, json } = await post('hung')
      t.equal(status, 504, 'a handler that hangs keeps nobody waiting')
      t.match(json, { outcome: 'timeout', message: /timeout of 20 ms/ })
      t.equal((await post('hung')).status, 409, 'and keeps its lock')
    },
    { closeTimeout: 20 },
    { timeout: 20 }
  )

  await withRedis(async ({ url, client }) => {
    await withRoutes(
      { lost: untilAborted },
      async (app, post) => {
        const begun = nextEvent(app.jobs, 'submitted')
        const answer = post('lost')
        await begun
        t.equal((await post('lost')).status, 409, 'and while it runs, no other')
        await client.del('rls:{answers}:lock:lost')
        const { status, json } = await answer
        t.equal(status, 500)
        t.match(json, { outcome: 'lock_lost', message: /lock of lost was lost/ })
      },
      { redis: url, prefix: 'answers', defaults: { lock: { ttl: 300 } } }
    )
  })
})

t.test('with `wait`, a run that closing ends is a 503', async (t) => {
  const app = Fastify()
  await app.register(scheduler, { closeTimeout: 20 })
  const handlers: Record<string, Handler> = {
    cancelled: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
    abandoned: () => new Promise(() => {})
  }
  const trigger = { date: '2099-01-01T00:00:00Z' }
  for (const [id, handler] of Object.entries(handlers)) app.jobs.add({ id, trigger, handler })
  for (const id of Object.keys(handlers)) app.post(`/${id}`, app.jobs.route(id, { wait: true }))
  await app.ready()
  const answers = Object.keys(handlers).map(async (id) => {
    const begun = nextEvent(app.jobs, 'submitted', ({ job }) => job.id === id)
    const answer = app.inject({ method: 'POST', url: `/${id}` })
    await begun
    return { answer }
  })
  const [cancelled, abandoned] = await Promise.all(answers)
  const closing = app.close()
  for (const [outcome, reply] of Object.entries({ cancelled, abandoned })) {
    const { statusCode, json } = await reply!.answer
    t.equal(statusCode, 503)
    t.match(json(), { outcome, message: /./ })
  }
  await closing
})

t.test('`data` may be a promise, or fail', async (t) => {
  const app = Fastify()
  const seen: unknown[] = []
  await app.register(scheduler)
  app.jobs.add({
    id: 'sync',
    trigger: { date: '2099-01-01T00:00:00Z' },
    data: 'its own',
    handler: ({ data }) => void seen.push(data)
  })
  const answers: Record<string, () => unknown> = {
    async: async () => ({ from: 'a promise' }),
    // biome-ignore lint/suspicious/noThenProperty: no promise, and awaited all the same
    thenable: () => ({ then: (resolve: (value: unknown) => void) => void setTimeout(resolve, 5, 'from a thenable') }),
    realm: () => runInNewContext("Promise.resolve('from another realm')"),
    nothing: async () => undefined,
    rejects: async () => {
      throw Object.assign(new Error('rejected'), { statusCode: 422 })
    },
    throws: () => {
      throw Object.assign(new Error('thrown'), { statusCode: 400 })
    },
    unknown: () => Promise.reject(new Error('no status')),
    broken: () => ({
      // biome-ignore lint/suspicious/noThenProperty: what a hostile value may have
      get then() {
        throw new Error('no then')
      }
    })
  }
  for (const [path, data] of Object.entries(answers)) app.post(`/${path}`, app.jobs.route('sync', { wait: true, data }))
  const post = async (path: string): Promise<number> =>
    (await app.inject({ method: 'POST', url: `/${path}` })).statusCode
  for (const path of ['async', 'thenable', 'realm', 'nothing']) t.equal(await post(path), 200, path)
  t.same(seen, [{ from: 'a promise' }, 'from a thenable', 'from another realm', 'its own'])
  t.equal(await post('rejects'), 422)
  t.equal(await post('throws'), 400)
  t.equal(await post('unknown'), 500)
  t.equal(await post('broken'), 500)
  t.equal(seen.length, 4, 'no run without its data')
  await app.close()
})

t.test('a request that its schema refuses runs nothing', async (t) => {
  const app = Fastify()
  let runs = 0
  await app.register(scheduler)
  app.jobs.add({ id: 'sync', trigger: { date: '2099-01-01T00:00:00Z' }, handler: () => ++runs })
  const schema = { body: { type: 'object', required: ['table'], properties: { table: { type: 'string' } } } }
  app.register(
    async (child) => {
      child.post('/route', { schema }, child.jobs.route('sync', { wait: true, data: (request) => request.body }))
      child.post('/after', { schema, config: { triggerJob: 'sync' } }, async () => 'ok')
    },
    { prefix: '/v1' }
  )
  for (const url of ['/v1/route', '/v1/after']) {
    t.equal((await app.inject({ method: 'POST', url, payload: { tabel: 1 } })).statusCode, 400)
    t.equal(
      (await app.inject({ method: 'POST', url, payload: 'no json', headers: { 'content-type': 'application/json' } }))
        .statusCode,
      400
    )
  }
  t.equal(runs, 0)
  for (let count = 1; count <= 5; count++) {
    const reply = await app.inject({ method: 'POST', url: '/v1/route', payload: { table: 'a' } })
    t.match([reply.statusCode, reply.json().result], [200, count], 'the same request again')
  }
  await app.close()
})
