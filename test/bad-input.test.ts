import { Cluster, Redis } from 'ioredis'
import prometheus from 'prom-client'
import t from 'tap'
import { createScheduler, type JobOptions, type SchedulerOptions } from '../lib/index.js'
import { Simulation } from '../lib/testing/index.js'
import { logLines } from './fixtures/log-lines.js'

const noop = (): void => {}
const job = (changes: object): JobOptions<undefined> =>
  ({ id: 'a', trigger: { interval: '1h' }, handler: noop, ...changes }) as JobOptions<undefined>

/** The value received, as it must be shown in the message. */
type Wrong = readonly [options: unknown, code: string, shown: RegExp]

const OPTION = 'FST_ERR_RLS_OPTION_INVALID'
const UNKNOWN = 'FST_ERR_RLS_OPTION_UNKNOWN'
const DURATION = 'FST_ERR_RLS_DURATION_INVALID'
const ID = 'FST_ERR_RLS_JOB_ID_INVALID'
const TRIGGER = 'FST_ERR_RLS_TRIGGER_INVALID'
const CRON = 'FST_ERR_RLS_CRON_INVALID'
const DATE = 'FST_ERR_RLS_DATE_INVALID'
const TIMEZONE = 'FST_ERR_RLS_TIMEZONE_INVALID'
const URL_INVALID = 'FST_ERR_RLS_REDIS_URL_INVALID'
const local = 'redis://127.0.0.1:6379'

class Odd {
  readonly redis = local
}

const SCHEDULER: readonly Wrong[] = [
  [null, OPTION, /null/],
  [[], OPTION, /\[\]/],
  ['redis', OPTION, /'redis'/],
  [new Odd(), OPTION, /Odd/],
  [{ rediss: local }, UNKNOWN, /`rediss`.*did you mean `redis`/],
  [{ timezon: 'UTC' }, UNKNOWN, /`timezon`.*did you mean `timezone`/],
  [{ somethingElse: 1 }, UNKNOWN, /`somethingElse`.*known are redis, prefix/],
  [{ redis: local }, OPTION, /prefix.*undefined/],
  [{ prefix: '' }, OPTION, /''/],
  [{ prefix: 'a b' }, OPTION, /'a b'/],
  [{ prefix: 'a{b}' }, OPTION, /'a{b}'/],
  [{ prefix: 'a\n' }, OPTION, /'a\\n'/],
  [{ prefix: 'x'.repeat(101) }, OPTION, /'xxx/],
  [{ prefix: 5 }, OPTION, /5 \(number\)/],
  [{ replicaId: '' }, OPTION, /replicaId.*''/],
  [{ replicaId: null }, OPTION, /replicaId.*null/],
  [{ timezone: 'Europe/Wien' }, TIMEZONE, /'Europe\/Wien'/],
  [{ timezone: '' }, TIMEZONE, /''/],
  [{ timezone: 1 }, TIMEZONE, /1 \(number\)/],
  [{ timezone: null }, TIMEZONE, /null/],
  ...[0, -1, 1.5, Number.NaN, '64', 1_000_001, null].map(
    (concurrency): Wrong => [{ concurrency }, OPTION, new RegExp(`concurrency.*${concurrency}`)]
  ),
  ...[9, '61s', -1, '200', null, false].map(
    (maxEventLoopDelay): Wrong => [
      { maxEventLoopDelay },
      DURATION,
      new RegExp(`maxEventLoopDelay.*${maxEventLoopDelay}`)
    ]
  ),
  [{ maxEventLoopUtilization: 0.9 }, UNKNOWN, /`maxEventLoopUtilization`.*`maxEventLoopDelay`/],
  [{ defaults: { priority: 'urgent' } }, OPTION, /`priority`.*'high', 'normal', 'low'.*'urgent'/],
  [{ closeTimeout: '-1s' }, DURATION, /closeTimeout.*'-1s'/],
  [{ closeTimeout: '25h' }, DURATION, /closeTimeout.*'25h'/],
  [{ closeTimeout: 'soon' }, DURATION, /'soon'/],
  [{ maxClockSkew: 1.5 }, DURATION, /maxClockSkew.*1\.5/],
  [{ maxClockSkew: '2h' }, DURATION, /'2h'/],
  [{ defaults: null }, OPTION, /`defaults`.*null/],
  [{ defaults: { lok: {} } }, UNKNOWN, /`lok` in `defaults`.*did you mean `lock`/],
  [{ defaults: { misfireGraceTime: 0 } }, DURATION, /misfireGraceTime.*0/],
  [{ defaults: { id: 'a' } }, UNKNOWN, /`id`/],
  [{ jobs: {} }, OPTION, /jobs.*{}/],
  [{ jobs: [null] }, OPTION, /null/],
  [{ jobs: [job({}), job({})] }, 'FST_ERR_RLS_JOB_DUPLICATE', /'a'/],
  [{ jobs: [job({}), job({ id: 'b', trigger: { cron: 'x' } })] }, CRON, /'x'/],
  [{ metrics: true }, OPTION, /metrics.*true/],
  [{ metrics: null }, OPTION, /metrics.*null/],
  [{ metrics: { regster: {} } }, UNKNOWN, /did you mean `register`/],
  [{ metrics: { register: {} } }, OPTION, /metrics\.register.*{}/],
  [{ metrics: { register: null } }, OPTION, /null/],
  [{ metrics: { client: {} } }, OPTION, /metrics\.client.*{}/],
  [{ metrics: { prefix: '1a' } }, OPTION, /metrics\.prefix.*'1a'/],
  [{ metrics: { prefix: 'a-' } }, OPTION, /'a-'/],
  [{ metrics: { prefix: '' } }, OPTION, /''/],
  [{ metrics: { perJob: 'false' } }, OPTION, /metrics\.perJob.*true or false.*'false'/],
  [{ metrics: { perJob: null } }, OPTION, /metrics\.perJob.*null/],
  ...[[], [2, 1], [1, 1], ['1'], [Number.NaN], [1, Number.POSITIVE_INFINITY], new Array(3), 5].map(
    (durationBuckets): Wrong => [{ metrics: { durationBuckets } }, OPTION, /metrics\.durationBuckets/]
  ),
  [{ logger: {} }, OPTION, /logger.*{}/],
  [{ logger: console.log }, OPTION, /logger/],
  [{ clock: Date }, OPTION, /clock/],
  [{ clock: { now: Date.now } }, OPTION, /clock.*now/]
]

const TOO_LONG = 'x'.repeat(201)
const JOB: readonly Wrong[] = [
  [undefined, OPTION, /undefined/],
  [[], OPTION, /\[\]/],
  [job({ trigerr: {} }), UNKNOWN, /`trigerr`.*did you mean `trigger`/],
  ...['', TOO_LONG, 'a\0', 'a\nb', '\x7f', '\u2028', '\ud800', 5, null, undefined, {}, ['a'], Symbol('a')].map(
    (id): Wrong => [job({ id }), ID, id === '' ? /''/ : /`id`/]
  ),
  [job({ name: '' }), ID, /`name`.*''/],
  [job({ name: 5 }), ID, /`name`.*5/],
  [job({ handler: undefined }), OPTION, /handler.*undefined/],
  [job({ handler: 'run' }), OPTION, /handler.*'run'/],
  [job({ paused: 'yes' }), OPTION, /paused.*'yes'/],
  [job({ lock: true }), OPTION, /lock.*true/],
  [job({ lock: null }), OPTION, /lock.*null/],
  [job({ lock: { ttl: 99 } }), DURATION, /lock\.ttl.*99/],
  [job({ lock: { ttl: '25h' } }), DURATION, /'25h'/],
  [job({ lock: { ttl: -1 } }), DURATION, /-1/],
  [job({ lock: { tll: 500 } }), UNKNOWN, /`tll`.*did you mean `ttl`/],
  [job({ timeout: -1 }), DURATION, /timeout.*-1/],
  [job({ timeout: 2 ** 31 }), DURATION, /2147483648/],
  [job({ jitter: '1 fortnight' }), DURATION, /jitter.*'1 fortnight'/],
  [job({ misfireGraceTime: {} }), DURATION, /misfireGraceTime.*{}/],
  [job({ misfireGraceTime: { minuts: 5 } }), UNKNOWN, /`minuts`.*did you mean `minutes`/],
  [job({ misfireGraceTime: { minutes: '5' } }), DURATION, /'5'/],
  [job({ misfireGraceTime: Number.POSITIVE_INFINITY }), DURATION, /Infinity/],
  [job({ retry: true }), OPTION, /retry.*true/],
  [job({ retry: -1 }), OPTION, /`retry`.*-1/],
  [job({ retry: 1.5 }), OPTION, /`retry`.*1\.5/],
  [job({ retry: 101 }), OPTION, /`retry`.*101/],
  [job({ retry: '3' }), OPTION, /retry.*'3'/],
  [job({ retry: { limit: 1, delay: '10m', maxDelay: '5m' } }), OPTION, /retry\.maxDelay.*600000 ms.*'5m'/],
  [job({ lock: 99 }), DURATION, /`lock`.*99/],
  [job({ lock: '' }), DURATION, /`lock`.*''/],
  [job({ lock: '25h' }), DURATION, /`lock`.*'25h'/],
  [job({ retry: {} }), OPTION, /retry\.limit.*undefined/],
  [job({ retry: { limit: 101 } }), OPTION, /101/],
  [job({ retry: { limit: 1, factor: 0.5 } }), OPTION, /retry\.factor.*0\.5/],
  [job({ retry: { limit: 1, delay: 'x' } }), DURATION, /retry\.delay.*'x'/],
  [job({ retry: { limit: 1, maxDelay: -5 } }), DURATION, /retry\.maxDelay.*-5/],
  [job({ retry: { limit: 1, jitter: 1 } }), OPTION, /retry\.jitter.*1/],
  [job({ retry: { limits: 1 } }), UNKNOWN, /did you mean `limit`/],
  ...[0, 1, 10, 'HIGH', '', null, ['low'], true].map(
    (priority): Wrong => [job({ priority }), OPTION, /`priority`.*one of 'high', 'normal', 'low'/]
  ),
  [job({ trigger: undefined }), TRIGGER, /undefined/],
  [job({ trigger: '* * * *' }), CRON, /'\* \* \* \*'/],
  [job({ trigger: '' }), CRON, /''/],
  [job({ trigger: {} }), TRIGGER, /{}/],
  [job({ trigger: { cron: '* * * * *', interval: 5 } }), TRIGGER, /cron/],
  [job({ trigger: { cron: '* * * *' } }), CRON, /'\* \* \* \*'/],
  [job({ trigger: { cron: '60 * * * *' } }), CRON, /'60 \* \* \* \*'/],
  [job({ trigger: { cron: '' } }), CRON, /''/],
  [job({ trigger: { cron: 5 } }), CRON, /5/],
  [job({ trigger: { cron: { minutes: 5 } } }), /./ as never, /minutes/],
  [job({ trigger: { cron: '0 0 30 2 *' } }), 'FST_ERR_RLS_TRIGGER_NEVER', /30 2/],
  [job({ trigger: { cron: '@hourly', timezone: 'Mars/Olympus' } }), TIMEZONE, /'Mars\/Olympus'/],
  [job({ trigger: { interval: 0 } }), DURATION, /interval.*0/],
  [job({ trigger: { interval: '5x' } }), DURATION, /'5x'/],
  [job({ trigger: { interval: 5, after: 'start' } }), TRIGGER, /'start'/],
  [job({ trigger: { date: 'tomorrow' } }), DATE, /'tomorrow'/],
  [job({ trigger: { date: new Date(Number.NaN) } }), DATE, /Invalid Date/],
  [job({ trigger: { date: '2027-02-30' } }), DATE, /'2027-02-30'/],
  [job({ trigger: { interval: 5, startDate: 2, endDate: 1 } }), TRIGGER, /endDate/],
  [job({ trigger: { any: [] } }), TRIGGER, /\[\]/]
]

const connections = (): string[] =>
  process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|GetAddrInfo|Timeout/.test(name))

t.test('a wrong option of the scheduler is refused, and nothing is half done', async (t) => {
  const before = connections()
  for (const [options, code, shown] of SCHEDULER) {
    const register = new prometheus.Registry()
    const isPlain = options?.constructor === Object
    const given =
      isPlain && !('metrics' in (options as object)) ? { ...(options as object), metrics: { register } } : options
    t.throws(() => createScheduler(given as SchedulerOptions<undefined>), { code, message: shown }, `${shown}`)
    t.equal(register.getMetricsAsArray().length, 0)
  }
  t.same(connections(), before, 'no connection and no timer is left')
})

t.test('a wrong option of a job is refused by add and by the option jobs alike', async (t) => {
  const before = connections()
  const scheduler = createScheduler()
  const events: string[] = []
  scheduler.on('added', ({ job }) => void events.push(job.id))
  for (const [options, code, shown] of JOB) {
    const wanted = { code: typeof code === 'string' ? code : /^FST_ERR_RLS_/, message: shown }
    t.throws(() => scheduler.add(options as JobOptions<undefined>), wanted, `${shown}`)
    const register = new prometheus.Registry()
    const all = { jobs: [job({ id: 'first' }), options as JobOptions<undefined>] }
    const redis = { redis: local, prefix: 'bad-input' }
    t.throws(() => createScheduler({ ...all, ...redis, metrics: { register } }), wanted, `${shown} in jobs`)
    t.equal(register.getMetricsAsArray().length, 0)
  }
  t.same(scheduler.list(), [])
  t.same(events, [])
  await scheduler.close()
  t.same(connections(), before, 'no connection and no timer is left')
})

t.test('ids that are just right', async (t) => {
  const scheduler = createScheduler()
  const ids = ['a', 'x'.repeat(200), ' ', '"', '{}', ':', '__proto__', 'constructor', 'toString', 'ä 時計 🕰']
  for (const id of ids) t.equal(scheduler.add(job({ id })).id, id)
  t.same(
    scheduler.list().map(({ id }) => id),
    ids
  )
  t.equal(scheduler.get('hasOwnProperty'), undefined)
  await scheduler.close()
})

t.test('an enormous name of an option or a value does not make an enormous message', async (t) => {
  const long = 'x'.repeat(1_000_000)
  const wrong = [
    { [long]: 1 },
    { prefix: long },
    { timezone: long },
    { closeTimeout: long },
    { redis: long, prefix: 'a' }
  ]
  for (const options of wrong) {
    try {
      createScheduler(options as never)
      t.fail('accepted')
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      t.match(code, /^FST_ERR_RLS_/)
      t.ok(message.length < 2000, `a message of ${message.length} characters`)
    }
  }
})

t.test('an error says which job it is about', (t) => {
  const scheduler = createScheduler()
  const job = { id: 'cleanup', trigger: { interval: 1000 }, handler() {} }
  const wrongs: object[] = [
    { maxInstance: 2 },
    { maxInstances: 0 },
    { timeout: -1 },
    { trigger: { cron: '* * * *' } },
    { handler: 5 },
    { lock: { tll: 1 } },
    { paused: 1 }
  ]
  for (const wrong of wrongs) {
    t.throws(() => scheduler.add({ ...job, ...wrong } as never), { message: /job 'cleanup'/i }, JSON.stringify(wrong))
  }
  scheduler.add(job)
  t.throws(() => scheduler.modify('cleanup', { timeout: -1 }), { message: /Job 'cleanup'/ })
  t.end()
})

t.test('an own client needs its settings: others are refused, the rest is as asked for', async (t) => {
  for (const key of ['lazyConnect', 'enableOfflineQueue', 'autoResendUnfulfilledCommands', 'maxRetriesPerRequest']) {
    const redis = { port: 6379, [key]: 'other' } as object
    t.throws(() => createScheduler({ redis, prefix: 'a' }), {
      code: OPTION,
      message: new RegExp(`redis.${key}.*other`)
    })
  }
  const own = createScheduler({ redis: { port: 6379, lazyConnect: true, retryStrategy: () => 10 }, prefix: 'a' })
  await own.close()
})

t.test('a wrong Redis is refused, and its password is shown nowhere', async (t) => {
  const secret = 'hunter2secret'
  const masters = (count: number) =>
    Array.from({ length: count }, (_, index) => `redis://:${secret}@host-${index}:6379`)
  const urls: [unknown, string][] = [
    ['', URL_INVALID],
    ['127.0.0.1:6379', URL_INVALID],
    ['localhost', URL_INVALID],
    ['localhost:6379', URL_INVALID],
    ['6379', URL_INVALID],
    [`http://user:${secret}@127.0.0.1`, URL_INVALID],
    [`https://:${secret}@127.0.0.1`, URL_INVALID],
    [`redis://:${secret}@127.0.0.1:99999`, URL_INVALID],
    [`redis://:${secret}@127.0.0.1:port`, URL_INVALID],
    [`redis://:${secret}@`, URL_INVALID],
    [`redis://user:${secret}`, URL_INVALID],
    [`redis://:${secret}`, URL_INVALID],
    [`redis://:a/${secret}@127.0.0.1:6379`, URL_INVALID],
    [`redis://:a#${secret}@127.0.0.1:6379`, URL_INVALID],
    [`redis://:a@${secret}@127.0.0.1:x`, URL_INVALID],
    [`redis://127.0.0.1:6379/zero?password=${secret}`, URL_INVALID],
    [`redis://127.0.0.1:6379/zero?password=a@${secret}`, URL_INVALID],
    [`redis://127.0.0.1:6379/zero?PASSWORD=${secret}`, URL_INVALID],
    [`user:${secret}@127.0.0.1`, URL_INVALID],
    [`redis:${secret}@127.0.0.1`, URL_INVALID],
    [`unix://user:${secret}@/tmp/redis.sock`, URL_INVALID],
    [`redis://:${secret}%@127.0.0.1`, URL_INVALID],
    [`redis://:100%-${secret}@127.0.0.1`, URL_INVALID],
    [`redis://me%zz:${secret}@127.0.0.1`, URL_INVALID],
    [`rediss://me:%c3%28${secret}@127.0.0.1`, URL_INVALID],
    [masters(3).map((url) => url.replace('@', '%@')), URL_INVALID],
    [{ db: -1, password: secret }, OPTION],
    [{ db: 1.5, password: secret }, OPTION],
    [{ db: 'sessions', password: secret }, OPTION],
    [null, OPTION],
    [6379, OPTION],
    [true, OPTION],
    [() => secret, OPTION],
    [[`redis://:${secret}@127.0.0.1`], OPTION],
    [[], OPTION],
    [masters(1), OPTION],
    [masters(2), OPTION],
    [masters(4), OPTION],
    [masters(101), OPTION],
    [new Array(3), OPTION],
    [new Array(100_001), OPTION],
    [[...masters(2), null], OPTION],
    [[...masters(2), masters(3)], OPTION],
    [[...masters(2), new Map([['password', secret]])], OPTION],
    [[...masters(2), { port: 7003, maxRetriesPerRequest: 5, password: secret }], OPTION],
    [[...masters(2), `user:${secret}@127.0.0.1`], URL_INVALID],
    [[...masters(2), `redis://other:${secret}@host-0:6379/1`], OPTION],
    [[...masters(2), { host: 'HOST-1', password: secret }], OPTION],
    [[`redis://:${secret}@localhost`, `redis://:${secret}@127.0.0.1:6379`, 'redis://elsewhere'], OPTION],
    [new Map([['password', secret]]), OPTION],
    [new URL(`redis://:${secret}@127.0.0.1`), OPTION],
    [{ sentinels: [], name: 'm', password: secret }, OPTION],
    [{ sentinels: 'x', password: secret }, OPTION],
    [{ sentinels: [{ host: 'sentinel' }], password: secret }, OPTION],
    [{ port: 'abc', password: secret }, OPTION],
    [{ port: 70_000, password: secret }, OPTION],
    [{ port: -1, password: secret }, OPTION],
    [{ host: 5, password: secret }, OPTION]
  ]
  const before = connections()
  const { logger, lines } = logLines()
  for (const [redis, code] of urls) {
    const register = new prometheus.Registry()
    const what = typeof redis === 'string' ? redis : JSON.stringify(redis)
    try {
      const scheduler = createScheduler({ redis: redis as string, prefix: 'a', logger, metrics: { register } })
      t.fail(`accepted ${what}`)
      await scheduler.close()
    } catch (error) {
      const { message, stack } = error as Error
      t.equal((error as { code: string }).code, code, what)
      const told = `${message} ${stack} ${JSON.stringify(error)} ${JSON.stringify(lines)}`
      t.notOk(told.includes(secret), `${what} is shown as ${message}`)
      if (code === URL_INVALID) t.match(message, /, got '/, 'the value received')
    }
    t.equal(register.getMetricsAsArray().length, 0)
  }
  t.same(connections(), before, 'no connection and no timer is left')
})

t.test('masters are an odd number of different ones, and no Clusters', async (t) => {
  const redis = new Redis({ lazyConnect: true })
  const cluster = new Cluster([{ host: '127.0.0.1', port: 7000 }], { lazyConnect: true })
  const wrong: [unknown[], RegExp][] = [
    [['redis://a', 'redis://b'], /`redis`.*odd number of masters.*got an array of 2/],
    [['redis://a', 'redis://b', 'redis://:hunter2@a:6379/1'], /`redis`.*not the same.*\[0\] and \[2\]/],
    [[redis, 'redis://b', redis], /\[0\] and \[2\]/],
    [[redis, { port: 6379 }, 'redis://b'], /\[0\] and \[1\]/],
    [[redis, { path: '/a.sock' }, { path: '/a.sock' }], /\[1\] and \[2\]/],
    [['redis://a', 'redis://b', cluster], /`redis\[2\]`.*Cluster/],
    [['redis://a', ['redis://b'], 'redis://c'], /`redis\[1\]`.*array/]
  ]
  for (const [masters, message] of wrong) {
    t.throws(() => createScheduler({ redis: masters as string[], prefix: 'a' }), { code: OPTION, message })
  }
  const right = createScheduler({ redis: [redis, 'redis://a', { port: 6380 }], prefix: 'a' })
  await right.close()
  t.equal(redis.status, 'wait', 'the client of the app is left as it was')
  redis.disconnect()
  cluster.disconnect()
})

t.test('a simulation refuses what it cannot do, and goes on as it was', async (t) => {
  for (const [options, code, shown] of [
    [null, OPTION, /null/],
    [{ sed: 1 }, UNKNOWN, /`sed`.*did you mean `seed`/],
    [{ seed: 1.5 }, OPTION, /`seed`.*1\.5/],
    [{ masters: 2 }, OPTION, /`masters`.*got 2/],
    [{ start: 'soon' }, DATE, /'soon'/]
  ] as Wrong[]) {
    t.throws(() => new Simulation(options as object), { code, message: shown })
  }
  const simulation = new Simulation()
  const { store } = simulation
  for (const [options, code, shown] of [
    [{ skew: Number.NaN }, OPTION, /`skew`.*NaN/],
    [{ screw: 1 }, UNKNOWN, /`screw`/]
  ] as Wrong[]) {
    t.throws(() => simulation.replica(options as object), { code, message: shown })
  }
  const replica = simulation.replica()
  t.equal(replica.options.replicaId, 'replica-1', 'a refused one is not counted')
  store.disturb({ delay: [1, 2], lostReplies: 0.5 })
  const { network } = store
  for (const [options, code, shown] of [
    [null, OPTION, /null/],
    [{ dealy: [1, 2] }, UNKNOWN, /`dealy`.*did you mean `delay`/],
    [{ delay: 5 }, OPTION, /`delay`.*got 5/],
    [{ delay: [5] }, OPTION, /`delay`.*\[ 5 \]/],
    [{ delay: [5, 1] }, OPTION, /`delay`.*\[ 5, 1 \]/],
    [{ delay: [-1, 1] }, OPTION, /`delay`.*\[ -1, 1 \]/],
    [{ delay: [0, Infinity] }, OPTION, /`delay`.*Infinity/],
    [{ lostReplies: 3 }, OPTION, /`lostReplies`.*got 3/],
    [{ lostRequests: '0.5' }, OPTION, /`lostRequests`.*'0\.5'/]
  ] as Wrong[]) {
    t.throws(() => store.disturb(options as object), { code, message: shown })
  }
  t.equal(store.network, network)
  t.throws(() => replica.jump('1h' as unknown as number), { code: OPTION, message: /'1h'/ })
  t.throws(() => replica.freeze('-1s'), { code: DURATION, message: /'-1s'/ })
  t.throws(() => replica.sleep(Number.NaN), { code: DURATION, message: /NaN/ })
  await t.rejects(simulation.advance('never'), { code: DURATION, message: /'never'/ })
  t.throws(() => simulation.sleep('never'), { code: DURATION, message: /'never'/ })
})
