import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import type {
  FastifyScheduler,
  Job,
  JobData,
  JobOptions,
  JobResult,
  JsonSchema,
  Run,
  Scheduler,
  SchedulerOptions,
  SchemaInput,
  SchemaJobOptions,
  SchemaOutput,
  StandardSchema
} from '../lib/index.js'

// The types of a job's data, from where it is given to the handler, and of its result. All of it is for the compiler alone: what is
// not to compile is not to run either, so these functions are not called.

const Import = z.object({ table: z.string(), rows: z.string().transform(Number).default(10) })
const ofArktype = type({ n: 'string.numeric.parse' })
const ofValibot = v.object({
  at: v.pipe(
    v.string(),
    v.transform((text) => new Date(text))
  )
})

declare module '../types/job-types.js' {
  interface JobTypes {
    'typed:import': { data: { table: string }; result: number }
    'typed:default': { data?: { table: string }; result: string }
    'typed:schema': { data: SchemaInput<typeof Import> }
    'typed:maybe': { data: string | undefined }
    'typed:result': { result: Date }
  }
}

const trigger = { interval: '1h' } as const
const data = { table: 'a' }
const wrong = { table: 5 }

function bySchema(own: Scheduler<{ db: string }>): void {
  own.add({
    id: 'zod',
    trigger,
    schema: Import,
    data,
    handler: ({ app, data, run }) => {
      expectTypeOf(app).toEqualTypeOf<{ db: string }>()
      expectTypeOf(data).toEqualTypeOf<{ table: string; rows: number }>()
      expectTypeOf(run).toEqualTypeOf<Run>()
    }
  })
  own.add({
    id: 'valibot',
    trigger,
    schema: ofValibot,
    data: { at: '2027' },
    handler: async ({ data }) => expectTypeOf(data).toEqualTypeOf<{ at: Date }>()
  })
  own.add({
    id: 'arktype',
    trigger,
    schema: ofArktype,
    data: { n: '5' },
    handler({ data }) {
      expectTypeOf(data).toEqualTypeOf<{ n: number }>()
    }
  })
  // A schema that takes nothing too needs no data.
  const text = z.string()
  own.add({ id: 'a', trigger, schema: text.optional(), handler: ({ data }) => data?.length })
  own.add({ id: 'a', trigger, schema: text.default('a'), handler: ({ data }) => data.length })
  const options = { schema: Import, data }
  own.cron('a', '@daily', ({ data }) => void expectTypeOf(data.rows).toBeNumber(), { ...options, timezone: 'UTC' })
  own.interval('a', '1h', ({ data }) => void expectTypeOf(data.rows).toBeNumber(), options)
  own.date('a', '2099-01-01', ({ data }) => void expectTypeOf(data.rows).toBeNumber(), options)
  own.add({ ...options, id: 'a', trigger, handler: ({ data }) => void expectTypeOf(data.rows).toBeNumber() })
  const jobs: SchedulerOptions<undefined>['jobs'] = [
    { id: 'a', trigger, schema: Import, data, handler: ({ data }) => void expectTypeOf(data).toBeAny() },
    { id: 'b', trigger, schema: {}, data, handler: ({ data }) => void expectTypeOf(data).toBeAny() },
    { id: 'c', trigger, handler: ({ data }) => void expectTypeOf(data).toBeAny() }
  ]
  void jobs
  const typed: SchemaJobOptions<{ db: string }, typeof Import> = {
    id: 'a',
    trigger,
    schema: Import,
    data,
    handler() {}
  }
  own.add(typed)
  own.interval('a', '1h', ({ data }) => data.length, { schema: text.default('a'), lock: false })
  own.modify('a', {
    schema: ofArktype,
    data: { n: '1' },
    handler: ({ data }) => void expectTypeOf(data.n).toBeNumber()
  })
  own.modify('a', { schema: ofArktype, timeout: '1s' })

  const handler = (): void => {}
  // @ts-expect-error data of another type than the schema's input
  own.add({ id: 'a', trigger, schema: Import, data: wrong, handler })
  // @ts-expect-error the output is not what is given
  own.add({ id: 'a', trigger, schema: Import, data: { table: 'a', rows: 5 }, handler })
  // @ts-expect-error ticks would have no data
  own.add({ id: 'a', trigger, schema: Import, handler })
  // @ts-expect-error the handler gets the output
  own.add({ id: 'a', trigger, schema: Import, data, handler: (_: { data: { rows: string } }) => {} })
  // @ts-expect-error there is no such property
  own.add({ id: 'a', trigger, schema: Import, data, handler: ({ data }) => data.tabel })
  // @ts-expect-error data of another type than the schema's input
  own.cron('a', '@daily', handler, { schema: Import, data: wrong })
  // @ts-expect-error data of another type than the schema's input
  own.interval('a', '1h', handler, { schema: Import, data: wrong })
  // @ts-expect-error data of another type than the schema's input
  own.date('a', '2099-01-01', handler, { schema: Import, data: wrong })
  // @ts-expect-error ticks would have no data
  own.interval('a', '1h', handler, { schema: Import })
  // @ts-expect-error data of another type than the schema's input
  own.modify('a', { schema: Import, data: wrong })
  // @ts-expect-error a schema is an object
  own.add({ id: 'a', trigger, schema: 5, handler })
  const otherVersion = { '~standard': { version: 2, vendor: 'x', validate: (value: unknown) => ({ value }) } } as const
  // @ts-expect-error a Standard Schema of another version
  own.add({ id: 'a', trigger, schema: otherVersion, handler })
}

function byJsonSchema(own: Scheduler<undefined>): void {
  const schema = { type: 'object', properties: { table: { type: 'string' } } } as const
  own.add({ id: 'a', trigger, schema, handler: ({ data }) => void expectTypeOf(data).toBeUnknown() })
  own.add({
    id: 'a',
    trigger,
    schema,
    data,
    handler: ({ data }) => void expectTypeOf(data).toEqualTypeOf<{ table: string }>()
  })
  own.add<{ table: string }>({ id: 'a', trigger, schema, data, handler: ({ data }) => data.table })
  own.interval('a', '1h', ({ data }) => data.table, { schema, data })
  // @ts-expect-error the handler would have undefined
  own.add<{ table: string }>({ id: 'a', trigger, schema, handler: ({ data }) => data.table })
  // @ts-expect-error data of another type than is named
  own.add<{ table: string }>({ id: 'a', trigger, schema, data: wrong, handler: ({ data }) => data.table })
  // As TypeBox declares its schemas.
  const declared: { readonly type: 'object' } & { readonly [Symbol.species]?: true } = { type: 'object' }
  own.add<object>({ id: 'a', trigger, schema: declared, data: {}, handler() {} })
  const options: JobOptions<undefined, { table: string }> = { id: 'a', trigger, schema, data, handler() {} }
  own.add(options)
}

function byId(own: Scheduler<undefined>, jobs: FastifyScheduler): void {
  const length = ({ data }: { readonly data: { table: string } }): number => data.table.length
  own.add({
    id: 'typed:import',
    trigger,
    data,
    handler: async ({ data }) => {
      expectTypeOf(data).toEqualTypeOf<{ table: string }>()
      return data.table.length
    }
  })
  own.add({ id: 'typed:import', trigger, data, handler: length })
  own.add({ id: 'typed:default', trigger, data, handler: ({ data }) => data.table })
  own.add({ id: 'typed:schema', trigger, schema: Import, data, handler: ({ data }) => data.rows + 1 })
  own.add({ id: 'typed:maybe', trigger, handler: ({ data }) => data?.length })
  own.add({ id: 'typed:result', trigger, handler: () => new Date() })
  jobs.add({ id: 'typed:result', trigger, handler: ({ app }) => new Date(app.prefix) })
  // Any other id has types of its own, also one that is only known when it runs.
  const someId: string = 'typed:import'
  own.add({ id: 'other', trigger, data: 5, handler: ({ data }) => void expectTypeOf(data).toBeNumber() })
  own.add({ id: someId, trigger, data: 5, handler: ({ data }) => void expectTypeOf(data).toBeNumber() })

  // @ts-expect-error data of another type
  own.add({ id: 'typed:import', trigger, data: wrong, handler: length })
  // @ts-expect-error ticks would have no data
  own.add({ id: 'typed:import', trigger, handler: length })
  // @ts-expect-error ticks would have no data
  own.add({ id: 'typed:default', trigger, handler: () => 'a' })
  // @ts-expect-error a result of another type
  own.add({ id: 'typed:import', trigger, data, handler: () => 'a' })
  // @ts-expect-error a result of another type
  own.add({ id: 'typed:result', trigger, handler: async () => 5 })
  // @ts-expect-error a handler of other data
  own.add({ id: 'typed:import', trigger, data, handler: (_: { readonly data: { table: number } }) => 5 })
  // @ts-expect-error the schema does not take what the job is given by its id
  own.add({ id: 'typed:import', trigger, schema: ofArktype, data: { n: '5' }, handler: () => 5 })

  expectTypeOf(own.trigger('typed:import', { data })).resolves.toEqualTypeOf<Run<number> | null>()
  expectTypeOf(own.trigger('typed:default')).resolves.toEqualTypeOf<Run<string> | null>()
  expectTypeOf(own.trigger('typed:default', { data, wait: true })).resolves.toEqualTypeOf<Run<string> | null>()
  expectTypeOf(own.trigger('typed:maybe')).resolves.toEqualTypeOf<Run | null>()
  expectTypeOf(own.trigger('typed:result', { data: 5 })).resolves.toEqualTypeOf<Run<Date> | null>()
  expectTypeOf(own.trigger('other', { data: 5 })).resolves.toEqualTypeOf<Run | null>()
  expectTypeOf(own.trigger(someId, { data: 5 })).resolves.toEqualTypeOf<Run | null>()
  expectTypeOf<Run<number>['result']>().toEqualTypeOf<number | undefined>()
  // @ts-expect-error data is required
  own.trigger('typed:import')
  // @ts-expect-error data is required
  own.trigger('typed:import', { wait: true })
  // @ts-expect-error data of another type
  own.trigger('typed:import', { data: wrong })
  // @ts-expect-error data of another type
  own.trigger('typed:default', { data: wrong })
  // @ts-expect-error what is given is the schema's input
  own.trigger('typed:schema', { data: { table: 'a', rows: 5 } })
  // @ts-expect-error an option that does not exist
  own.trigger('other', { dat: 5 })

  expectTypeOf(own.get('typed:import')).toEqualTypeOf<Job<{ table: string }> | undefined>()
  expectTypeOf(own.get('other')).toEqualTypeOf<Job | undefined>()
  expectTypeOf<Job<{ table: string }>>().toExtend<Job>()
  expectTypeOf<JobData<'typed:default'>>().toEqualTypeOf<{ table: string }>()
  expectTypeOf<JobData<'other'>>().toBeUnknown()
  expectTypeOf<JobResult<'typed:import'>>().toBeNumber()
  expectTypeOf<JobResult<'typed:maybe'>>().toBeUnknown()

  type Posted = FastifyRequest<{ Body: { table: string } }>
  jobs.route('typed:import', { data: (request: Posted) => request.body })
  jobs.route('typed:import', { data: async (request: Posted) => request.body, wait: true })
  jobs.route('other', { data: (request) => request.body })
  jobs.route<FastifyInstance>(someId, { data: (request) => request.version })
  // @ts-expect-error data of another type
  jobs.route('typed:import', { data: () => wrong })
  // @ts-expect-error data of another type, later
  jobs.route('typed:import', { data: async () => wrong })
}

t.test('the compiler has checked them', async (t) => {
  for (const check of [bySchema, byJsonSchema, byId]) t.type(check, 'function')
  expectTypeOf<SchemaInput<typeof Import>>().toEqualTypeOf<{ table: string; rows?: string | undefined }>()
  expectTypeOf<SchemaOutput<typeof Import>>().toEqualTypeOf<{ table: string; rows: number }>()
  expectTypeOf(Import).toExtend<StandardSchema>()
  expectTypeOf(Import).not.toExtend<JsonSchema>()
})
