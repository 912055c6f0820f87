import { expectTypeOf } from 'expect-type'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Cluster as Cluster5, Redis as Redis5, RedisOptions as RedisOptions5 } from 'ioredis5'
import t from 'tap'
import scheduler, {
  createScheduler,
  type FastifyScheduler,
  type Job,
  type JobHandler,
  type JobOptions,
  type JobRouteHandler,
  type PluginOptions,
  type QueuedRun,
  type RedisInput,
  type RedisMasterInput,
  type Run,
  type RunBody,
  type RunContext,
  type Scheduler,
  type SchedulerEvents,
  type SchedulerListener,
  type SchedulerOptions,
  type SkipReason,
  type TriggerInput,
  type WithLockResult
} from '../lib/index.js'

// What is written here is checked by the compiler; `ran` shows that it is no dead code.

t.test("a handler's context is inferred", async (t) => {
  let ran = 0
  const app = { db: 'postgres' }
  const own = createScheduler({ app })
  expectTypeOf(own).toEqualTypeOf<Scheduler<{ db: string }>>()
  own.add({
    id: 'a',
    trigger: { interval: '1h' },
    data: { table: 'orders' },
    handler: async ({ app, job, run, data, log, signal, fencingToken }) => {
      ran++
      expectTypeOf(app).toEqualTypeOf<{ db: string }>()
      expectTypeOf(job).toEqualTypeOf<Job>()
      expectTypeOf(run).toEqualTypeOf<Run>()
      expectTypeOf(data).toEqualTypeOf<{ table: string }>()
      expectTypeOf(log).toEqualTypeOf<FastifyBaseLogger>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(fencingToken).toEqualTypeOf<number | null>()
    }
  })
  own.interval('b', '1h', ({ data }) => void expectTypeOf(data).toEqualTypeOf<number>(), { data: 5 })
  own.cron('c', '@hourly', ({ data }) => void expectTypeOf(data).toEqualTypeOf<string[]>(), { data: ['x'] })
  own.date('d', new Date(), ({ data }) => void expectTypeOf(data).toBeUnknown())
  own.add<{ n: number }>({
    id: 'e',
    trigger: { interval: 1000 },
    data: { n: 1 },
    handler: ({ data }) => void expectTypeOf(data).toEqualTypeOf<{ n: number }>()
  })
  await own.start()
  await own.trigger('a', { wait: true })
  t.equal(ran, 1)
  const handler: JobHandler<{ db: string }, string> = ({ data }) => data.length
  own.modify('e', { handler, data: 'x' })
  // @ts-expect-error the data is not what the handler takes
  own.modify('e', { handler, data: 5 })
  // @ts-expect-error a handler for another app
  own.add({ id: 'x', trigger: { interval: 1000 }, handler: (_: RunContext<{ other: 1 }>) => {} })
  await own.close()

  expectTypeOf(createScheduler()).toEqualTypeOf<Scheduler<undefined>>()
})

t.test('a handler that is promised data has some', async (t) => {
  interface Import {
    readonly table: string
  }
  const own = createScheduler()
  const trigger = { interval: '1h' } as const
  const take = ({ data }: RunContext<undefined, Import>): string => data.table
  const maybe = ({ data }: RunContext<undefined, Import | undefined>): string | undefined => data?.table
  const any = ({ data }: RunContext): unknown => data
  const data = { table: 'orders' }

  own.add<Import>({ id: 'a', trigger, data, handler: ({ data }) => data.table })
  own.add({ id: 'b', trigger, data, handler: take })
  own.add({ id: 'c', trigger, handler: maybe })
  own.add<Import | undefined>({ id: 'd', trigger, handler: ({ data }) => data?.table })
  own.add({ id: 'e', trigger, handler: any })
  const typed: JobOptions<undefined, Import> = { id: 'f', trigger, data, handler: take }
  own.add(typed)
  own.cron<Import>('g', '@daily', take, { data, timezone: 'UTC' })
  own.cron('h', '@daily', maybe)
  own.cron<Import | undefined>('i', '@daily', maybe, { timezone: 'UTC' })
  own.interval('j', '1h', take, { data, lock: false })
  own.interval('k', '1h', any, { lock: false })
  own.date('l', '2099-01-01', take, { data })
  own.date('m', '2099-01-01', ({ data }) => data.table, { data })

  // @ts-expect-error the handler would have undefined
  own.add<Import>({ id: '1', trigger, handler: ({ data }) => data.table })
  // @ts-expect-error the handler would have undefined
  own.add({ id: '2', trigger, handler: take })
  // @ts-expect-error the handler would have undefined
  const untyped: JobOptions<undefined, Import> = { id: '3', trigger, handler: take }
  // @ts-expect-error the handler would have undefined
  own.cron<Import>('4', '@daily', ({ data }) => data.table)
  // @ts-expect-error the handler would have undefined
  own.cron('5', '@daily', take, { timezone: 'UTC' })
  // @ts-expect-error the handler would have undefined
  own.interval('6', '1h', take)
  // @ts-expect-error the handler would have undefined
  own.date<Import>('7', '2099-01-01', take, {})
  // @ts-expect-error data of another type than the handler's
  own.interval('8', '1h', take, { data: { tabel: 'orders' } })
  t.equal(untyped.data, undefined)
  await own.close()
})

t.test('a client is known by its shape', async (t) => {
  expectTypeOf<Redis | Cluster | Redis5 | Cluster5 | RedisOptions | RedisOptions5>().toExtend<RedisInput>()
  expectTypeOf<readonly (Redis | Redis5 | RedisOptions5 | string)[]>().toExtend<RedisInput>()
  expectTypeOf<Cluster>().not.toExtend<RedisMasterInput>()
  expectTypeOf<Cluster5>().not.toExtend<RedisMasterInput>()
  expectTypeOf<readonly (Redis | Cluster)[]>().not.toExtend<RedisInput>()
  expectTypeOf<Map<string, string>>().not.toExtend<RedisInput>()
  expectTypeOf<{ hots: string }>().not.toExtend<RedisInput>()
  expectTypeOf<number>().not.toExtend<RedisInput>()
  t.pass('checked by the compiler')
})

t.test('a listener may return what it likes', async (t) => {
  const own = createScheduler()
  const ids: string[] = []
  own.on('added', async ({ job }) => ids.push(job.id))
  own.once('added', ({ job }) => ids.push(job.id))
  own.on('removed', () => Promise.resolve('a value'))
  // What linters look at: a promise is not thrown away where `void` is expected.
  expectTypeOf<SchedulerListener<'added'>>().returns.toBeUnknown()
  own.interval('a', '1h', () => {})
  t.same(ids, ['a', 'a'])
  await own.close()
})

t.test('options say what they take', async (t) => {
  expectTypeOf<SchedulerOptions['redis']>().toEqualTypeOf<RedisInput | undefined>()
  expectTypeOf<{ redis: Redis; prefix: string }>().toExtend<SchedulerOptions>()
  expectTypeOf<{ redis: Cluster; prefix: string }>().toExtend<SchedulerOptions>()
  expectTypeOf<{ cron: string }>().toExtend<TriggerInput>()
  expectTypeOf<{ cron: { minute: string; dayOfWeek: 'mon-fri' } }>().toExtend<TriggerInput>()
  expectTypeOf<{ interval: { minutes: number }; after: 'completion' }>().toExtend<TriggerInput>()
  expectTypeOf<{ any: { date: Date }[] }>().toExtend<TriggerInput>()
  expectTypeOf<{ at: number }>().not.toExtend<TriggerInput>()
  expectTypeOf<{ interval: '5m'; after: 'start' }>().not.toExtend<TriggerInput>()
  expectTypeOf<{ lock: true }>().not.toExtend<SchedulerOptions['defaults']>()
  expectTypeOf<JobOptions>().toHaveProperty('trigger').toEqualTypeOf<TriggerInput | null | undefined>()
  expectTypeOf<{ every: { weeks: number }; at: string; on: string[]; startDate: string }>().toExtend<TriggerInput>()
  expectTypeOf<{
    cron: string
    except: [string, { from: string; to: Date }, { interval: '1h' }]
  }>().toExtend<TriggerInput>()
  expectTypeOf<{ every: { weeks: number } }>().not.toExtend<TriggerInput>()
  expectTypeOf<JobOptions['id']>().toBeString()
  // Fastify gives these itself.
  expectTypeOf<PluginOptions>().not.toHaveProperty('app')
  expectTypeOf<PluginOptions>().not.toHaveProperty('logger')
  // Frozen in, as all options are.
  const options: SchedulerOptions = {}
  // @ts-expect-error options are read-only
  options.prefix = 'a'
  t.pass('checked by the compiler')
})

t.test('with exactOptionalPropertyTypes, undefined is no value', async (t) => {
  // @ts-expect-error left out, or a string
  const prefix: SchedulerOptions = { prefix: undefined }
  // @ts-expect-error left out, or a duration
  const jitter: JobOptions['jitter'] extends infer Jitter ? { jitter?: Exclude<Jitter, undefined> } : never = {
    jitter: undefined
  }
  // A user who has an optional value of their own spreads it.
  const build = (timezone?: string): SchedulerOptions => ({ ...(timezone === undefined ? {} : { timezone }) })
  t.same(
    [Object.keys(prefix), Object.keys(jitter), build(), build('UTC')],
    [['prefix'], ['jitter'], {}, { timezone: 'UTC' }]
  )
  // At run time it is as if left out.
  await createScheduler(prefix as SchedulerOptions<undefined>).close()
})

t.test('each event has a payload of its own', async (t) => {
  const own = createScheduler()
  const heard: string[] = []
  own.on('added', (event) => {
    heard.push('added')
    expectTypeOf(event).toEqualTypeOf<{ readonly job: Job }>()
  })
  own.on('executed', (event) => void expectTypeOf(event).toEqualTypeOf<{ readonly job: Job; readonly run: Run }>())
  own.on('error', ({ error }) => void expectTypeOf(error).toBeUnknown())
  own.once('missed', ({ job, scheduledTime, reason }) => {
    expectTypeOf(job).toEqualTypeOf<Job>()
    expectTypeOf(scheduledTime).toBeNumber()
    expectTypeOf(reason).toEqualTypeOf<SkipReason>()
  })
  own.off('lockFailed', ({ reason }) => void expectTypeOf(reason).toEqualTypeOf<'held' | 'error'>())
  // @ts-expect-error there is no such event
  t.throws(() => own.on('finished', () => {}))
  // @ts-expect-error this event has no run
  own.on('added', ({ run }) => run)
  expectTypeOf<keyof SchedulerEvents>().toEqualTypeOf<
    | 'submitted'
    | 'executed'
    | 'error'
    | 'retried'
    | 'missed'
    | 'skipped'
    | 'lockAcquired'
    | 'lockFailed'
    | 'lockLost'
    | 'paused'
    | 'resumed'
    | 'changed'
    | 'added'
    | 'modified'
    | 'removed'
  >()
  own.interval('a', '1h', () => {})
  t.same(heard, ['added'])
  await own.close()
})

t.test('withLock and trigger tell what they resolve to', async (t) => {
  const own = createScheduler()
  const result = await own.withLock('report', { ttl: '300s' }, async ({ signal, fencingToken }) => {
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
    expectTypeOf(fencingToken).toBeNumber()
    return 'value'
  })
  expectTypeOf(result).toEqualTypeOf<WithLockResult<string>>()
  if (result.acquired) t.equal(result.value, 'value')
  // @ts-expect-error the value is there only when the lock was acquired
  t.equal(result.value, 'value')
  expectTypeOf(() => own.trigger('report')).returns.resolves.toEqualTypeOf<Run | null>()
  expectTypeOf(() => own.trigger('report', { wait: true })).returns.resolves.toEqualTypeOf<Run | null>()
  expectTypeOf(() => own.trigger('report', { overlap: 'wait' })).returns.resolves.toEqualTypeOf<Run | QueuedRun>()
  expectTypeOf(() => own.trigger('report', { overlap: 'wait', wait: true })).returns.resolves.toEqualTypeOf<Run>()
  expectTypeOf(own.get).returns.toEqualTypeOf<Job | undefined>()
  expectTypeOf(own.preview).returns.toEqualTypeOf<number[]>()
  expectTypeOf<Run['outcome']>().toEqualTypeOf<
    'success' | 'error' | 'timeout' | 'cancelled' | 'lock_lost' | 'abandoned' | null
  >()
  await own.close()
})

t.test('Fastify knows app.jobs and config.triggerJob', async (t) => {
  const app = Fastify()
  app.register(scheduler, {
    redis: 'redis://127.0.0.1:1',
    prefix: 'types',
    metrics: { endpoint: '/internal', prefix: 'a_' },
    jobs: [
      {
        id: 'a',
        trigger: { cron: { hour: 3 } },
        handler: ({ app, data }) => {
          expectTypeOf(app).toEqualTypeOf<FastifyInstance>()
          expectTypeOf(data).toBeAny()
        }
      }
    ]
  })
  // @ts-expect-error the logger is Fastify's
  app.register(scheduler, { logger: app.log }).then(undefined, () => {})
  const unused = Fastify()
  await unused.register(scheduler)
  expectTypeOf(unused.jobs).toEqualTypeOf<FastifyScheduler>()
  unused.jobs.interval('a', '1h', ({ app }) => void expectTypeOf(app).toEqualTypeOf<FastifyInstance>())
  unused.post('/a', { config: { triggerJob: 'a' } }, async () => 'ok')
  // @ts-expect-error an id is a string
  unused.get('/b', { config: { triggerJob: 5 } }, async () => 'ok')
  const route = unused.jobs.route('a', { wait: true, data: (request) => request.body })
  expectTypeOf(route).toEqualTypeOf<JobRouteHandler>()
  expectTypeOf(route).returns.resolves.toEqualTypeOf<RunBody>()
  unused.post('/c', route)
  unused.post<{ Body: { id: number } }>('/d', unused.jobs.route('a'))
  type Ordered = FastifyRequest<{ Params: { order: string } }>
  unused.post('/e/:order', unused.jobs.route('a', { data: async (request: Ordered) => request.params.order.length }))
  expectTypeOf<RunBody['startedAt']>().toBeString()
  expectTypeOf<RunBody['finishedAt']>().toEqualTypeOf<string | null>()
  await t.rejects(async () => void (await unused.ready()), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
  await unused.close()
  await app.close().then(undefined, () => {})
})

t.test('routes that run jobs may be of HTTPS and HTTP/2', async (t) => {
  const [https, http2, http2s] = [Fastify({ https: {} }), Fastify({ http2: true }), Fastify({ http2: true, https: {} })]
  const jobs: PluginOptions['jobs'] = [{ id: 'a', trigger: { interval: '1h' }, handler() {} }]
  await https.register(scheduler, { jobs })
  await http2.register(scheduler, { jobs })
  await http2s.register(scheduler, { jobs })
  https.post('/a', https.jobs.route('a'))
  http2.post('/a', http2.jobs.route('a', { wait: true, data: (request) => request.body }))
  http2.post('/b', { preHandler: async () => {} }, http2.jobs.route('a'))
  http2.route({ method: 'POST', url: '/c', config: { triggerJob: 'a' }, handler: http2.jobs.route('a') })
  http2s.post('/a', http2s.jobs.route('a'))
  http2s.jobs.interval('b', '1h', ({ app }) => app.log.info('ran'))
  t.pass('checked by the compiler')
  for (const app of [https, http2, http2s]) await app.close()
})
