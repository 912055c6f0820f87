// Jest, `vm` and the messages of workers give objects whose prototypes are not those of the realm this package is in.
import { createContext, runInContext } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler, {
  createScheduler,
  type JobOptions,
  type PluginOptions,
  type SchedulerOptions
} from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'

const context = createContext({})

/** What an expression gives in another realm. */
function foreign<Value = never>(code: string): Value {
  return runInContext(`(${code})`, context) as Value
}

const OPTIONS = `{
  prefix: 'realms',
  timezone: 'Europe/Vienna',
  closeTimeout: { seconds: 1 },
  defaults: { lock: { ttl: { minutes: 1 } }, retry: { limit: 0, delay: '1s' } },
  metrics: { durationBuckets: [1, 2], prefix: 'realms_' },
  jobs: [
    { id: 'fields', trigger: { cron: { hour: 3, dayOfWeek: 'mon' } }, handler: async () => 'ran' },
    { id: 'date', trigger: { date: new Date('2099-01-01') }, handler: () => ({ a: [1] }), data: new Map([[1, 2]]) },
    { id: 'any', trigger: { any: [{ interval: { hours: 1 } }, { cron: '0 0 * * *' }] }, handler: () => {} },
    { id: 'all', trigger: { all: [{ cron: '0 * * * *' }, { interval: '1h' }] }, handler: () => {} },
    { id: 'fails', trigger: { interval: '1h' }, handler: async () => { throw new TypeError('foreign') } }
  ]
}`

t.test('options of another realm are options', async (t) => {
  t.not(Object.getPrototypeOf(foreign('{}')), Object.prototype, 'it is another realm')
  const own = createScheduler(foreign<SchedulerOptions<undefined>>(OPTIONS))
  t.same(
    own.list().map(({ id }) => id),
    ['fields', 'date', 'any', 'all', 'fails']
  )
  await own.start()
  t.equal(own.get('date')?.nextRun, Date.parse('2099-01-01'))
  const run = await own.trigger('fields', foreign('{ wait: true, data: { n: 1 } }'))
  t.match(run, { outcome: 'success', result: 'ran' })
  const failed = await own.trigger('fails', { wait: true })
  t.equal(failed?.outcome, 'error')
  t.match(failed?.error, { message: 'foreign' })
  t.match(await own.register?.metrics(), /^realms_job_failure_total\{job_id="fails",job_name="fails"\} 1$/m)
  own.modify('any', foreign("{ trigger: { interval: '2h', startDate: new Date(0) }, retry: false }"))
  own.reschedule('all', foreign("{ cron: { minute: '*/5' } }"))
  own.cron('cron', '@daily', () => {}, foreign("{ timezone: 'UTC', lock: false }"))
  own.date('soon', foreign<Date>("new Date('2098-01-01')"), () => {})
  t.same(own.preview(foreign("{ interval: '1d' }"), foreign('{ count: 1, from: new Date(0) }')), [86_400_000])
  t.match(await own.withLock('a', foreign("{ ttl: '1m' }"), foreign("async () => 'held'")), { value: 'held' })
  await own.close()
})

t.test('the plugin and its routes take them too', async (t) => {
  const app = Fastify()
  await app.register(scheduler, foreign<PluginOptions>(OPTIONS.replace("prefix: 'realms_'", "endpoint: '/there'")))
  app.post('/run', app.jobs.route('date', foreign("{ wait: true, data: (request) => Promise.resolve('data') }")))
  t.match((await app.inject({ method: 'POST', url: '/run' })).json(), { outcome: 'success', result: { a: [1] } })
  t.equal((await app.inject('/there')).statusCode, 200)
  await app.close()
})

t.test('what is no options object there is none here', async (t) => {
  const handler = (): void => {}
  for (const code of [
    'new Map()',
    'new Date()',
    'new (class Options {})',
    'Object.create({ timezone: 1 })',
    '[]',
    '() => {}',
    'Object.create(Object.create(null, { timezone: { value: 1 } }))'
  ]) {
    const value = foreign<never>(code)
    t.throws(() => createScheduler(value), { code: 'FST_ERR_RLS_OPTION_INVALID' }, code)
    const job: JobOptions<undefined> = { id: 'a', trigger: { cron: value }, handler }
    t.throws(() => createScheduler({ jobs: [job] }), { code: /^FST_ERR_RLS_/ }, code)
  }
  t.throws(() => createScheduler(foreign("{ timezon: 'UTC' }")), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
})

t.test('promises of another realm are waited for, and looked after', async (t) => {
  const { logger, lines } = logLines()
  const quiet = { ...logger, level: 'trace', warn: foreign("() => Promise.reject(new Error('the log is full'))") }
  const own = createScheduler<FastifyInstance | undefined>({ logger: quiet as typeof logger })
  own.add({ id: 'a', trigger: { date: '2099-01-01' }, handler: foreign("async () => { await null; return 'later' }") })
  own.on('executed', foreign("async () => { throw new Error('foreign listener') }"))
  own.once('submitted', () => Promise.reject(new Error('own listener')))
  own.on('lockAcquired', () => {
    // biome-ignore lint/suspicious/noThenProperty: a promise of some library
    return { then: (_resolve: unknown, reject: (error: Error) => void) => reject(new Error('thenable listener')) }
  })
  own.on('executed', () => Object.defineProperty({}, 'then', { get: () => foreign('null.then') }))
  await own.start()
  const executed = nextEvent(own, 'executed')
  t.equal((await own.trigger('a', { wait: true }))?.result, 'later')
  await executed
  await new Promise((resolve) => setImmediate(resolve))
  t.same(
    lines
      .filter(({ message }) => /listener/.test(message))
      .map(({ fields }) => (fields.err as Error).message)
      .map((message) => message.replace(/^Cannot read.*/, 'unreadable'))
      .sort(),
    ['foreign listener', 'own listener', 'thenable listener', 'unreadable']
  )
  await own.close()
})
