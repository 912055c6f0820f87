// A job's `schema`: data is checked where it is given, kept as it is, and parsed for each attempt.
import { runInNewContext } from 'node:vm'
import { type } from 'arktype'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import { createScheduler, type JsonSchema, type Scheduler, type StandardSchema } from '../../lib/index.js'
import { fingerprintOf, type JobDefinition } from '../../lib/jobs/definition.js'
import { resolveDefaults, resolveJob } from '../../lib/jobs/options.js'
import { toRunMessage } from '../../lib/runs/executors/run-message.js'
import { resolveTrigger } from '../../lib/triggers/index.js'
import type { RunContext } from '../../types/run.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const INVALID = 'FST_ERR_RLS_DATA_INVALID'
const ASYNC = 'FST_ERR_RLS_SCHEMA_ASYNC'
const FAILED = 'FST_ERR_RLS_SCHEMA_FAILED'
const OPTION = 'FST_ERR_RLS_OPTION_INVALID'

const trigger = { interval: NEVER_DUE }

/** Runs `body` with a scheduler that is started. */
async function withScheduler(body: (scheduler: Scheduler<undefined>) => Promise<void>): Promise<void> {
  const scheduler = createScheduler({ logger: false })
  await scheduler.start()
  try {
    await body(scheduler)
  } finally {
    await scheduler.close()
  }
}

/** A Standard Schema whose `validate` is this, whatever it answers. */
function standard(validate: (value: unknown) => unknown): StandardSchema {
  return { '~standard': { version: 1, vendor: 'test', validate: validate as never } }
}

/** The same schema as each library writes it: a table, and a number of rows that is written as text and has a default. */
const SCHEMAS: Readonly<Record<string, StandardSchema | JsonSchema>> = {
  zod: z.object({ table: z.string(), rows: z.string().transform(Number).default(10) }),
  valibot: v.object({ table: v.string(), rows: v.optional(v.pipe(v.string(), v.transform(Number)), '10') }),
  arktype: type({ table: 'string', rows: type('string.numeric.parse').default('10') })
}

for (const [library, schema] of Object.entries(SCHEMAS)) {
  t.test(`${library}: the input is kept, the handler gets the output`, async (t) => {
    await withScheduler(async (scheduler) => {
      const data = Object.freeze({ table: 'orders' })
      const job = scheduler.add<unknown>({
        id: 'job',
        trigger,
        schema: schema as JsonSchema,
        data,
        handler: ({ data }) => data
      })
      t.equal(job.data, data)
      t.strictSame((await scheduler.trigger('job', { wait: true }))?.result, { table: 'orders', rows: 10 })
      const given = Object.freeze({ table: 'users', rows: '5' })
      t.strictSame((await scheduler.trigger('job', { data: given, wait: true }))?.result, { table: 'users', rows: 5 })
      await t.rejects(scheduler.trigger('job', { data: { table: 5 } }), {
        code: INVALID,
        statusCode: 400,
        message: /^Job 'job': Invalid `data`: `data\/table` .*, got \{ table: 5 \}/
      })
      await t.rejects(scheduler.trigger('job', { data: null }), { code: INVALID, message: /got null/ })
    })
  })
}

t.test('a JSON Schema: completed on a copy, nothing coerced, nothing removed', async (t) => {
  await withScheduler(async (scheduler) => {
    const schema = {
      type: 'object',
      required: ['rows'],
      additionalProperties: false,
      properties: {
        rows: { type: 'integer' },
        at: { type: 'string', format: 'date-time' },
        nested: { type: 'object', default: {}, properties: { deep: { default: [1] } } }
      }
    } as const
    const data = { rows: 1, nested: {} }
    scheduler.add({ id: 'job', trigger, schema, data, handler: ({ data }) => data })
    const { result } = (await scheduler.trigger('job', { wait: true })) ?? {}
    t.strictSame(result, { rows: 1, nested: { deep: [1] } })
    t.strictSame(data, { rows: 1, nested: {} }, 'what was given is as it was')
    const wrong: [unknown, string, RegExp][] = [
      [{ rows: '1' }, INVALID, /`data\/rows` must be integer/],
      [{ rows: 1, more: 1 }, INVALID, /must NOT have additional properties/],
      [{ rows: 1, at: 'soon' }, INVALID, /`data\/at` must match format "date-time"/],
      [{}, INVALID, /must have required property 'rows'/],
      [{ rows: undefined }, INVALID, /must have required property 'rows'/],
      [[{ rows: 1 }], INVALID, /must be object/],
      [{ rows: 1, at: new Date(0) }, 'FST_ERR_RLS_DATA_NOT_JSON', /`data\/at` is 1970/],
      [new Map(), 'FST_ERR_RLS_DATA_NOT_JSON', /Map/]
    ]
    for (const [given, code, message] of wrong) {
      await t.rejects(scheduler.trigger('job', { data: given }), { code, message, statusCode: 400 })
    }
    t.equal(scheduler.get('job')?.running, 0)
  })
})

t.test('a schema that is none is refused, with what was given', async (t) => {
  const scheduler = createScheduler({ logger: false })
  const hostile = {
    get '~standard'(): never {
      throw new Error('hostile')
    }
  }
  const without = standard(() => ({ value: 1 }))['~standard']
  const wrong: [unknown, string, RegExp][] = [
    [null, OPTION, /`schema`.*null/],
    [5, OPTION, /5 \(number\)/],
    ['string', OPTION, /'string'/],
    [true, OPTION, /true/],
    [[], OPTION, /\[\]/],
    [() => true, OPTION, /Function/],
    [Promise.resolve({ type: 'object' }), OPTION, /Promise/],
    [new Map(), OPTION, /Map/],
    [hostile, OPTION, /can be read/],
    [{ '~standard': null }, OPTION, /version 1/],
    [{ '~standard': {} }, OPTION, /version 1/],
    [{ '~standard': { ...without, version: 2 } }, OPTION, /version 1.*version: 2|version 1/],
    [{ '~standard': { ...without, validate: 'x' } }, OPTION, /version 1/],
    [{ type: 'nope' }, 'FST_ERR_RLS_SCHEMA_INVALID', /'nope'/],
    [{ $ref: 'missing#' }, 'FST_ERR_RLS_SCHEMA_INVALID', /missing/],
    [{ format: 'no-format' }, 'FST_ERR_RLS_SCHEMA_INVALID', /no-format/],
    [{ const: 1n }, 'FST_ERR_RLS_SCHEMA_INVALID', /BigInt/],
    [{ $async: true, type: 'object' }, ASYNC, /\$async/]
  ]
  for (const [schema, code, message] of wrong) {
    t.throws(() => scheduler.add({ id: 'job', trigger, schema, data: {}, handler() {} } as never), { code, message })
  }
  t.strictSame(scheduler.list(), [])
  t.throws(() => scheduler.cron('job', '@daily', () => {}, { schema: 5 } as never), { code: OPTION })
  t.throws(() => createScheduler({ defaults: { schema: {} } as never }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
  await scheduler.close()
})

t.test('data is refused where it is given, and nothing has changed', async (t) => {
  await withScheduler(async (scheduler) => {
    const heard: string[] = []
    for (const name of ['submitted', 'added', 'modified', 'lockAcquired'] as const) {
      scheduler.on(name, () => heard.push(name))
    }
    const schema = z.object({ table: z.string() })
    const job = { id: 'job', trigger, schema, handler: ({ data }: { data: { table: string } }) => data.table }
    t.throws(() => scheduler.add({ ...job, data: { table: 1 } } as never), { code: INVALID, message: /Job 'job'/ })
    t.throws(
      () => scheduler.add(job as never),
      { code: INVALID, message: /got undefined/ },
      'its ticks would have none'
    )
    t.throws(() => createScheduler({ jobs: [{ ...job, data: {} } as never] }), { code: INVALID })
    t.strictSame([scheduler.list(), heard], [[], []])

    scheduler.add({ ...job, data: { table: 'orders' } })
    const before = scheduler.get('job')
    heard.length = 0
    t.throws(() => scheduler.modify('job', { data: { table: 1 }, timeout: '1s' }), { code: INVALID })
    t.throws(() => scheduler.modify('job', { schema: z.object({ other: z.string() }) }), { code: INVALID })
    t.throws(() => scheduler.modify('job', { schema: { type: 'nope' } }), { code: 'FST_ERR_RLS_SCHEMA_INVALID' })
    await t.rejects(scheduler.trigger('job', { data: { table: 1 } }), { code: INVALID })
    await t.rejects(scheduler.trigger('job', { data: 5, wait: true }), { code: INVALID })
    t.strictSame(heard, [])
    t.strictSame(before?.data, { table: 'orders' })
    t.equal(before?.lastRun, null)
    t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'success', result: 'orders' })

    // A change of something else leaves the data alone, and data and schema can change together.
    scheduler.modify('job', { name: 'Import' })
    scheduler.modify('job', {
      schema: z.object({ id: z.number().transform((id) => id + 1) }),
      data: { id: 1 },
      handler: ({ data }) => data.id
    })
    t.match(await scheduler.trigger('job', { wait: true }), { result: 2 })
    await t.rejects(scheduler.trigger('job', { data: { table: 'orders' } }), { code: INVALID })
  })
})

t.test('data is refused also before the start, when nothing could run yet', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', trigger, schema: z.string(), data: 'a', handler() {} })
  await t.rejects(scheduler.trigger('job', { data: 5 }), { code: INVALID })
  await t.rejects(scheduler.trigger('job', { data: 'b' }), { code: 'FST_ERR_RLS_NOT_RUNNING' })
  await scheduler.close()
})

t.test('each attempt has data of its own, and none changes what is kept', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    const seen: string[] = []
    const data = { list: ['a'] }
    for (const [id, schema] of Object.entries({
      standard: z.object({ list: z.array(z.string()) }),
      json: { type: 'object', properties: { list: { type: 'array' } } }
    })) {
      scheduler.add<{ list: string[] }>({
        id,
        trigger: { interval: '1h' },
        schema: schema as JsonSchema,
        data,
        retry: { limit: 2, delay: 10 },
        handler: ({ data, run }) => {
          data.list.push(`attempt ${run.attempt}`)
          seen.push(`${id}: ${data.list}`)
          if (run.attempt < 3) throw new Error('again')
        }
      })
    }
    await scheduler.start()
    await clock.advance(3_600_000)
    await clock.advance(10_000)
    t.strictSame(
      seen.sort(),
      ['json', 'standard'].flatMap((id) => [1, 2, 3].map((attempt) => `${id}: a,attempt ${attempt}`))
    )
    t.strictSame(data, { list: ['a'] })
    t.equal(events.filter(({ name }) => name === 'executed').length, 2)
  })
})

t.test('data that its schema refuses where it runs makes a failed run, which is retried as any other', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler, events }) => {
    let ran = 0
    const data = { table: 'orders' as unknown }
    const schema = z.object({ table: z.string() })
    const retry = { limit: 1, delay: '1s' }
    scheduler.add({ id: 'job', trigger: { interval: '1h' }, schema, data, retry, handler: () => ++ran } as never)
    await scheduler.start()
    // As if another version of the app had given it.
    data.table = 5
    await clock.advance(3_600_000)
    await clock.advance(10_000)
    t.equal(ran, 0)
    const retried = events.filter(({ name }) => name === 'retried')
    t.match(retried, [{ event: { error: { code: INVALID } } }])
    const [failed, ...more] = events.filter(({ name }) => name === 'error')
    t.strictSame(more, [])
    t.match(failed?.event, { error: { code: INVALID, message: /Job 'job'/ }, run: { outcome: 'error', attempt: 2 } })
    // And the lock is free again.
    data.table = 'users'
    await clock.advance(3_600_000)
    t.equal(ran, 1)
  })
})

t.test('a schema that is asynchronous is refused, at the latest where it is first seen', async (t) => {
  await withScheduler(async (scheduler) => {
    const slow = z.object({ table: z.string().refine(async () => true) })
    const job = { id: 'job', trigger, handler() {} }
    t.throws(() => scheduler.add({ ...job, schema: slow, data: { table: 'a' } }), { code: ASYNC, message: /Job 'job'/ })
    // A promise that rejects is nobody's, and ends no process.
    const rejects = standard(() => Promise.reject(new Error('later')))
    t.throws(() => scheduler.add({ ...job, schema: rejects }), { code: ASYNC })
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    const thenable = standard(() => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('x')) }))
    t.throws(() => scheduler.add({ ...job, schema: thenable }), { code: ASYNC })
    const foreign = standard(() => runInNewContext('Promise.reject(5)'))
    t.throws(() => scheduler.add({ ...job, schema: foreign }), { code: ASYNC })

    let isSlow = false
    const sometimes = standard((value) => (isSlow ? Promise.resolve({ value }) : { value }))
    scheduler.add({ ...job, schema: sometimes })
    isSlow = true
    await t.rejects(scheduler.trigger('job'), { code: ASYNC })
    isSlow = false
    const run = scheduler.trigger('job', { wait: true })
    isSlow = true
    t.match(await run, { outcome: 'error', error: { code: ASYNC } })
  })
})

t.test('whatever a schema does is one failed run, and no more', async (t) => {
  const garbage: [string, () => unknown][] = [
    ['nothing', () => undefined],
    ['null', () => null],
    ['true', () => true],
    ['a text', () => 'valid'],
    ['an object without a value', () => ({})],
    ['issues that are none', () => ({ issues: 5 })],
    ['issues that cannot be read', () => ({ issues: [null] })],
    [
      'an issue that throws',
      () => ({
        issues: [
          {
            get message() {
              throw new Error('hostile')
            }
          }
        ]
      })
    ],
    [
      'a value that throws',
      () => ({
        get value() {
          throw new Error('hostile')
        }
      })
    ],
    [
      'a proxy',
      () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error('hostile')
            }
          }
        )
    ],
    [
      'an error',
      () => {
        throw new Error('broken')
      }
    ],
    [
      'undefined, thrown',
      () => {
        throw undefined
      }
    ],
    [
      'an error that throws',
      () => {
        throw {
          get message() {
            throw new Error('hostile')
          }
        }
      }
    ]
  ]
  await withScheduler(async (scheduler) => {
    for (const [what, answer] of garbage) {
      let isBroken = false
      const schema = standard((value) => (isBroken ? answer() : { value }))
      scheduler.add({ id: what, trigger, schema, data: { table: 'orders' }, handler: () => 'ran' })
      const run = scheduler.trigger(what, { wait: true })
      isBroken = true
      t.match(await run, { outcome: 'error', error: { code: FAILED, message: /table: 'orders'/ } }, what)
      await t.rejects(scheduler.trigger(what), { code: FAILED, statusCode: 500 }, what)
      t.throws(() => scheduler.modify(what, { data: 1 }), { code: FAILED }, what)
      isBroken = false
      t.match(await scheduler.trigger(what, { wait: true }), { outcome: 'success', result: 'ran' }, what)
    }
  })
})

t.test('an error tells some of the issues, each cut, and of the data no more than is short', async (t) => {
  const scheduler = createScheduler({ logger: false })
  const issues = Array.from({ length: 1000 }, (_, index) => ({
    message: `wrong ${index} ${'x'.repeat(10_000)}`,
    path: [{ key: index }]
  }))
  const data = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, 'x'.repeat(1000)]))
  try {
    scheduler.add({ id: 'job', trigger, schema: standard(() => ({ issues })), data, handler() {} })
    t.fail('accepted')
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    t.equal(code, INVALID)
    t.match(message, /`data\/0` wrong 0 x.*`data\/4` wrong 4 x.*an object of 1000 keys/)
    t.ok(message.length < 2000, `${message.length} characters`)
  }
  t.throws(() => scheduler.add({ id: 'job', trigger, schema: standard(() => ({ issues: [] })), handler() {} }), {
    code: INVALID,
    message: /does not say why/
  })
  await scheduler.close()
})

t.test('a schema is called as a method, and read once', async (t) => {
  let reads = 0
  const own = {
    version: 1 as const,
    vendor: 'test',
    suffix: '!',
    validate(this: { suffix: string }, value: unknown) {
      return { value: `${value}${this.suffix}` }
    }
  }
  const schema = {
    get '~standard'() {
      reads++
      return own
    }
  } as StandardSchema
  await withScheduler(async (scheduler) => {
    scheduler.add({ id: 'job', trigger, schema, data: 'a', handler: ({ data }) => data })
    t.equal((await scheduler.trigger('job', { wait: true }))?.result, 'a!')
    t.equal(reads, 1)
  })
})

t.test('a schema that changes what it is given changes a copy', async (t) => {
  await withScheduler(async (scheduler) => {
    const at = new Date(0)
    const seen: unknown[] = []
    const schema = standard((value) => {
      const data = value as { list: unknown[]; added?: number; at: Date }
      seen.push(data.at)
      data.list.push(data)
      data.added = 1
      return { value: data }
    })
    const data: { list: unknown[]; at: Date; self?: object } = Object.freeze({ list: [], at })
    scheduler.add({ id: 'job', trigger, schema, data, handler: ({ data }) => Object.keys(data as object) })
    t.strictSame((await scheduler.trigger('job', { wait: true }))?.result, ['list', 'at', 'added'])
    t.strictSame(data, { list: [], at })
    for (const each of seen) t.equal(each, at, 'what is no plain object is the same')
    const circle: typeof data = { list: [], at }
    circle.self = circle
    t.match(await scheduler.trigger('job', { data: circle, wait: true }), { outcome: 'success' })
    t.equal(circle.list.length, 0)
    let deep: unknown[] = []
    for (let level = 0; level < 100_000; level++) deep = [deep]
    const hostile = {
      get list(): never {
        throw new Error('hostile')
      }
    }
    await t.rejects(scheduler.trigger('job', { data: deep }), { code: INVALID, message: /deeper than 500/ })
    await t.rejects(scheduler.trigger('job', { data: hostile }), { code: INVALID, message: /cannot be read/ })
  })
})

t.test('data and schemas of another realm are taken', async (t) => {
  await withScheduler(async (scheduler) => {
    const schema = runInNewContext(
      "({ type: 'object', properties: { list: { type: 'array' }, n: { default: 1 } } })"
    ) as JsonSchema
    scheduler.add({
      id: 'json',
      trigger,
      schema,
      data: runInNewContext('({ list: [1] })'),
      handler: ({ data }) => data
    })
    t.strictSame((await scheduler.trigger('json', { wait: true }))?.result, { list: [1], n: 1 })
    const answers = standard(runInNewContext('(value) => ({ value: [value] })'))
    scheduler.add({ id: 'standard', trigger, schema: answers, data: 1, handler: ({ data }) => data })
    t.same((await scheduler.trigger('standard', { wait: true }))?.result, [1])
    const refuses = standard(runInNewContext("() => ({ issues: [{ message: 'no', path: ['a'] }] })"))
    t.throws(() => scheduler.add({ id: 'refused', trigger, schema: refuses, handler() {} }), {
      message: /`data\/a` no/
    })
  })
})

t.test('an executor elsewhere is sent the output', async (t) => {
  await withScheduler(async (scheduler) => {
    const contexts: RunContext[] = []
    const schema = z.object({ at: z.coerce.date() })
    scheduler.add({
      id: 'job',
      trigger,
      schema,
      data: { at: '2027-01-01' },
      handler: (context) => contexts.push(context as RunContext)
    })
    await scheduler.trigger('job', { wait: true })
    const message = toRunMessage(contexts[0] as RunContext)
    t.strictSame(structuredClone(message.data), { at: new Date('2027-01-01') })
  })
})

t.test('a job without a schema has its data as it is, which is not looked at', async (t) => {
  await withScheduler(async (scheduler) => {
    const data = new Proxy({}, { get: () => t.fail('it was read'), ownKeys: () => t.fail('it was read') as never })
    scheduler.add({ id: 'job', trigger, handler: ({ data }) => (data === given ? 'the same' : data) })
    const given: unknown = data
    t.equal((await scheduler.trigger('job', { data, wait: true }))?.result, 'the same')
  })
})

t.test('a JSON Schema is part of what tells definitions apart, and a Standard Schema is not', async (t) => {
  const define = (schema?: unknown): JobDefinition => {
    const options = { id: 'job', trigger: { interval: '1s' }, handler() {}, data: {}, ...(schema ? { schema } : {}) }
    const resolveHandler = (work: unknown) => ({ executor: { run() {} }, work })
    return resolveJob(options as never, resolveDefaults(undefined), resolveHandler).definition
  }
  const optionsOf = (schema?: unknown): string => {
    const definition = define(schema)
    return fingerprintOf(definition, resolveTrigger({ interval: '1s' }, { timezone: 'UTC' })).options
  }
  t.equal(optionsOf({ type: 'object' }), optionsOf({ type: 'object' }))
  t.not(optionsOf({ type: 'object' }), optionsOf({ type: 'object', minProperties: 0 }))
  t.not(optionsOf({ type: 'object' }), optionsOf())
  t.equal(optionsOf(z.object({})), optionsOf())
  const definition = define({ type: 'object' })
  t.strictSame(JSON.parse(JSON.stringify(definition)), { ...definition })
  t.strictSame(definition.schema, { type: 'object' })
})

t.test('a schema that is changed afterwards has changed nothing', async (t) => {
  await withScheduler(async (scheduler) => {
    const schema = { type: 'object', properties: { n: { type: 'number' } } }
    scheduler.add({ id: 'job', trigger, schema, data: { n: 1 }, handler: () => 'ran' })
    schema.properties.n.type = 'string'
    t.match(await scheduler.trigger('job', { wait: true }), { result: 'ran' })
    await t.rejects(scheduler.trigger('job', { data: { n: '1' } }), { code: INVALID })
  })
})
