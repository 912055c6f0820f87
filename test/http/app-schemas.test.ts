// JSON Schemas of jobs are compiled as the app compiles those of its routes; what a route gives a job is checked.
import { Ajv } from 'ajv'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { z } from 'zod'
import scheduler, { createScheduler, type JsonSchema, type StandardSchema } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'

const INVALID = 'FST_ERR_RLS_DATA_INVALID'
const trigger = { interval: NEVER_DUE }
const echo = ({ data }: { readonly data: unknown }): unknown => data

/** Adds a job with a schema on an instance, and runs it with `data`. */
async function runWith(app: FastifyInstance, schema: JsonSchema, data: unknown): Promise<unknown> {
  const id = `job-${app.jobs.list().length}`
  app.jobs.add({ id, trigger, schema, data, handler: echo })
  await app.ready()
  return (await app.jobs.trigger(id, { wait: true }))?.result
}

t.test('a route answers 400 for data that the schema refuses, and runs nothing', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  const schemas: Record<string, StandardSchema | JsonSchema> = {
    standard: z.object({ table: z.string(), rows: z.number().default(1) }),
    json: { type: 'object', required: ['table'], properties: { table: { type: 'string' }, rows: { default: 1 } } }
  }
  for (const [id, schema] of Object.entries(schemas)) {
    app.jobs.add<unknown>({ id, trigger, schema: schema as JsonSchema, data: { table: 'own' }, handler: echo })
    app.post(`/${id}`, app.jobs.route(id, { wait: true, data: (request) => request.body }))
    app.post(`/${id}/later`, app.jobs.route(id, { data: async (request) => request.body }))
  }
  let began = 0
  app.jobs.on('submitted', () => began++)
  for (const id of Object.keys(schemas)) {
    for (const url of [`/${id}`, `/${id}/later`]) {
      const refused = await app.inject({ method: 'POST', url, payload: { table: 5 } })
      t.equal(refused.statusCode, 400)
      t.match(refused.json(), {
        statusCode: 400,
        code: INVALID,
        error: 'Bad Request',
        message: new RegExp(`^Job '${id}'.*table: 5`)
      })
      t.strictSame(Object.keys(refused.json()).sort(), ['code', 'error', 'message', 'statusCode'])
    }
    t.equal(began, 0)
    const ran = await app.inject({ method: 'POST', url: `/${id}`, payload: { table: 'a', more: '1' } })
    t.equal(ran.statusCode, 200)
    t.match(ran.json(), { result: { table: 'a', rows: 1 } })
    t.equal(began--, 1)
  }
  await app.close()
})

t.test('a route that gives no data is not to blame the client', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  let isTaken = true
  const schema: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => (isTaken ? { value } : { issues: [{ message: 'no' }] })
    }
  }
  app.jobs.add({ id: 'job', trigger, schema, handler: echo })
  app.post('/own', app.jobs.route('job'))
  app.post('/given', app.jobs.route('job', { data: () => 1 }))
  await app.ready()
  isTaken = false
  const own = await app.inject({ method: 'POST', url: '/own' })
  t.match([own.statusCode, own.json()], [500, { statusCode: 500, code: INVALID }])
  t.equal((await app.inject({ method: 'POST', url: '/given' })).statusCode, 400)
  await app.close()
})

t.test('config.triggerJob: what cannot be run is told to the client, or in the log', async (t) => {
  const { logger, lines } = logLines()
  const app = Fastify({ loggerInstance: logger })
  await app.register(scheduler)
  const data = { table: 'a' as unknown }
  app.jobs.add({ id: 'job', trigger, schema: z.object({ table: z.string() }), data, handler: echo } as never)
  app.post('/orders', { config: { triggerJob: { id: 'job', overlap: 'skip' } } }, async () => 'ok')
  app.post('/kept', { config: { triggerJob: 'job' } }, async () => 'ok')
  const ran = nextEvent(app.jobs, 'executed')
  t.equal((await app.inject({ method: 'POST', url: '/orders' })).statusCode, 200)
  t.match(await ran, { run: { result: { table: 'a' } } })
  data.table = 5
  t.equal((await app.inject({ method: 'POST', url: '/orders' })).statusCode, 200)
  const told = lines.filter(({ message }) => message === 'could not trigger a job after the reply')
  t.match(told, [{ level: 'error', fields: { jobId: 'job', err: { code: INVALID } } }])
  const kept = await app.inject({ method: 'POST', url: '/kept' })
  t.equal(kept.statusCode, 500, 'before the answer, and it is no mistake of the client')
  t.match(kept.json(), { code: INVALID })
  await app.close()
})

t.test("the app's ajv: its options, plugins and schemas, but what is given stays as it is", async (t) => {
  const app = Fastify({
    ajv: {
      customOptions: { keywords: ['x-unit'], allErrors: true, coerceTypes: true, removeAdditional: 'all' },
      plugins: [
        (ajv: Ajv) => ajv.addKeyword({ keyword: 'even', validate: (_: unknown, n: number) => n % 2 === 0 })
      ] as never
    }
  })
  app.addSchema({ $id: 'table', type: 'string', maxLength: 3 })
  await app.register(scheduler)
  const schema = {
    type: 'object',
    additionalProperties: false,
    properties: {
      table: { $ref: 'table#' },
      rows: { type: 'integer', even: true, 'x-unit': 'rows' },
      at: { type: 'string', format: 'date', default: '2027-01-01' }
    }
  }
  const data = { table: 'abc', rows: 2 }
  t.strictSame(await runWith(app, schema, data), { ...data, at: '2027-01-01' })
  t.strictSame(data, { table: 'abc', rows: 2 })
  const wrong: [unknown, RegExp][] = [
    [{ table: 'abcd', rows: 3 }, /`data\/table` must NOT have more than 3.*`data\/rows` must pass "even"/],
    [{ rows: '2' }, /`data\/rows` must be integer/],
    [{ more: 1 }, /additional properties/],
    [{ at: 'x' }, /format "date"/]
  ]
  for (const [given, message] of wrong)
    await t.rejects(app.jobs.trigger('job-0', { data: given }), { code: INVALID, message })
  // The app's own routes are validated as before.
  await app.close()
})

t.test('a default may be turned off for the app, and is then for jobs', async (t) => {
  const app = Fastify({ ajv: { customOptions: { useDefaults: false } } })
  await app.register(scheduler)
  t.strictSame(await runWith(app, { type: 'object', properties: { a: { default: 1 } } }, {}), {})
  await app.close()
})

t.test("routes keep Fastify's coercion beside it", async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  const schema = { type: 'object', properties: { rows: { type: 'integer' } } }
  t.throws(() => app.jobs.add({ id: 'job', trigger, schema, data: { rows: '5' }, handler: echo }), { code: INVALID })
  app.post('/rows', { schema: { body: schema } }, async (request) => request.body)
  t.strictSame((await app.inject({ method: 'POST', url: '/rows', payload: { rows: '5' } })).json(), { rows: 5 })
  t.throws(
    () => app.jobs.add({ id: 'job', trigger, schema, data: { rows: '5' }, handler: echo }),
    { code: INVALID },
    'once ready too'
  )
  await app.close()
})

t.test('schemas of a child plugin are for the jobs that are added there', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  const schema = { type: 'object', properties: { name: { $ref: 'name#' } } }
  await app.register(async (child) => {
    child.addSchema({ $id: 'name', type: 'string' })
    child.jobs.add({ id: 'child', trigger, schema, data: { name: 'a' }, handler: echo })
  })
  t.throws(() => app.jobs.add({ id: 'outer', trigger, schema, data: {}, handler: echo }), {
    code: 'FST_ERR_RLS_SCHEMA_INVALID',
    message: /Job 'outer'.*name#/
  })
  await app.ready()
  await t.rejects(app.jobs.trigger('child', { data: { name: 5 } }), { code: INVALID })
  // A change is compiled where the job was added, whoever makes it.
  app.jobs.modify('child', { schema: { ...schema, required: ['name'] } })
  await t.rejects(app.jobs.trigger('child', { data: {} }), { code: INVALID, message: /required/ })
  await app.close()
})

t.test('a compiler of the app compiles it as a body, and works on a copy', async (t) => {
  const asked: unknown[] = []
  const ajv = new Ajv({ coerceTypes: true, useDefaults: true, keywords: ['own-keyword'] })
  const app = Fastify()
  app.setValidatorCompiler(({ schema, httpPart }) => {
    asked.push(httpPart)
    return ajv.compile(schema as object)
  })
  await app.register(scheduler)
  const data = { rows: '5' }
  const schema = { type: 'object', 'own-keyword': 1, properties: { rows: { type: 'integer' }, more: { default: 1 } } }
  t.strictSame(await runWith(app, schema, data), { rows: 5, more: 1 }, 'as the app has it')
  t.strictSame(data, { rows: '5' })
  t.strictSame(asked, ['body'])
  await app.close()

  const child = Fastify()
  child.setValidatorCompiler(
    () => (value: unknown) => (value === 'wrong' ? { error: new Error('it is wrong') } : { value: [value] })
  )
  await child.register(scheduler)
  await child.register(async (inner) => {
    inner.jobs.add({ id: 'inner', trigger, schema: {}, data: 'a', handler: echo })
  })
  await child.ready()
  t.strictSame((await child.jobs.trigger('inner', { wait: true }))?.result, ['a'])
  await t.rejects(child.jobs.trigger('inner', { data: 'wrong' }), { code: INVALID, message: /it is wrong/ })
  await child.close()
})

t.test('whatever a compiler of the app makes is no harm', async (t) => {
  const cases: [unknown, string][] = [
    [() => null, 'FST_ERR_RLS_SCHEMA_FAILED'],
    [() => 'x', 'FST_ERR_RLS_SCHEMA_FAILED'],
    [
      () => {
        throw new Error('broken')
      },
      'FST_ERR_RLS_SCHEMA_FAILED'
    ],
    [async () => true, 'FST_ERR_RLS_SCHEMA_ASYNC'],
    [() => false, INVALID],
    [null, 'FST_ERR_RLS_SCHEMA_INVALID'],
    [Promise.reject(new Error('later')), 'FST_ERR_RLS_SCHEMA_ASYNC']
  ]
  for (const [validate, code] of cases) {
    const app = Fastify()
    app.setValidatorCompiler(() => validate as never)
    await app.register(scheduler)
    t.throws(() => app.jobs.add({ id: 'job', trigger, schema: {}, data: 1, handler: echo }), { code })
    t.strictSame(app.jobs.list(), [])
    await app.close()
  }
})

t.test('a builder of compilers that the app has is asked for one that keeps what is given', async (t) => {
  const asked: object[] = []
  const app = Fastify({
    ajv: { customOptions: { coerceTypes: true } },
    schemaController: {
      compilersFactory: {
        buildValidator: (schemas: object, options: object) => {
          asked.push({ schemas, ...options })
          const ajv = new Ajv((options as { customOptions: object }).customOptions)
          return ({ schema }: { schema: object }) => ajv.compile(schema)
        }
      }
    }
  } as object)
  app.addSchema({ $id: 'a', type: 'string' })
  app.post('/a', { schema: { body: { type: 'object' } } }, async () => 'ok')
  await app.register(scheduler)
  t.strictSame(await runWith(app, { type: 'object', properties: { a: { default: 1 } } }, {}), { a: 1 })
  t.match(asked, [
    { schemas: { a: { type: 'string' } }, customOptions: { coerceTypes: false, removeAdditional: false } }
  ])
  t.type(app.validatorCompiler, 'function')
  app.jobs.add({ id: 'later', trigger, schema: { type: 'integer' }, data: 1, handler: echo })
  await t.rejects(app.jobs.trigger('later', { data: '1' }), { code: INVALID }, 'once the app has its own compiler too')
  await app.close()
})

t.test('two schemas with one $id are told apart, or refused', async (t) => {
  const app = Fastify()
  app.addSchema({ $id: 'taken', type: 'string' })
  await app.register(scheduler)
  const add = (id: string, schema: JsonSchema, data: unknown): unknown =>
    app.jobs.add({ id, trigger, schema, data, handler: echo })
  add('first', { $id: 'own', type: 'integer' }, 1)
  add('second', { $id: 'own', type: 'string' }, 'a')
  t.throws(() => app.jobs.modify('first', { schema: { $id: 'own', type: 'boolean' } }), { code: INVALID })
  add('same', { $id: 'taken', type: 'string' }, 'a')
  t.throws(() => add('other', { $id: 'taken', type: 'integer' }, 1), {
    code: 'FST_ERR_RLS_SCHEMA_INVALID',
    message: /another schema with its `\$id`/
  })
  await app.close()
})

t.test('an app whose internals are others has an ajv of its own', async (t) => {
  const alone = createScheduler({ app: { db: 'postgres' }, logger: false })
  alone.add({ id: 'job', trigger, schema: { type: 'integer' }, data: 1, handler: echo })
  await alone.start()
  await t.rejects(alone.trigger('job', { data: '1' }), { code: INVALID })
  await alone.close()
  const { compilerOfApp } = await import('../../lib/http/app-schemas.js')
  for (const app of [undefined, null, {}, { [Symbol('fastify.schemaController')]: {} }]) {
    const validate = compilerOfApp(app)({ type: 'integer' }) as (value: unknown) => unknown
    t.strictSame([validate(1), validate('1')], [true, false])
  }
})
