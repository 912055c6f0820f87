import fc from 'fast-check'
import t from 'tap'
import { createScheduler, type JobOptions, type SchedulerOptions } from '../lib/index.js'
import { resolveOptions, SCHEDULER_KEYS } from '../lib/options.js'

t.setTimeout(170_000)

/** Durations, dates and so on that are nearly right: what is all wrong is refused too early to be of interest. */
const nearly = fc.oneof(
  fc.constantFrom(
    ...['', '5m', '-5m', '5', '1.5h', '0', 'UTC', 'Europe/Vienna', '* * * * *', '*/5 * * * *', '@hourly', '61 * * * *'],
    ...['2027-01-01', 'redis://127.0.0.1:6379', 'redis://:x@', 'a', '__proto__', 'completion', 'last', '2nd fri'],
    ...[0, 1, -1, 5, 1000, 60_000, 1.5, Number.NaN, Number.POSITIVE_INFINITY, -0, 2 ** 53, null, undefined, true, false]
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.integer(),
  fc.anything({
    maxDepth: 2,
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
    withBoxedValues: true
  })
)
const parts = fc.dictionary(
  fc.constantFrom('minutes', 'hours', 'seconds', 'ttl', 'limit', 'delay', 'factor', '__proto__', 'constructor', 'x'),
  nearly,
  { maxKeys: 4, noNullPrototype: false }
)
const handler = fc.constantFrom<unknown>(() => {}, 'x', null, undefined)
const good = fc.constantFrom<unknown>(
  { interval: '5m' },
  { cron: '*/5 * * * *' },
  { date: '2027-01-01' },
  { any: [{ interval: 5 }, { cron: '@hourly' }] },
  { every: { weeks: 2 }, at: '09:00', on: 'mon', startDate: 0, except: ['2026-12-24'] }
)
const trigger = fc.oneof(
  good,
  nearly,
  fc.dictionary(
    fc.constantFrom(
      'cron',
      'interval',
      'every',
      'at',
      'on',
      'except',
      'date',
      'any',
      'all',
      'after',
      'offset',
      'startDate',
      'endDate',
      'timezone',
      'x'
    ),
    fc.oneof(nearly, parts),
    { maxKeys: 3 }
  )
)
const shared = {
  lock: fc.oneof(nearly, parts),
  misfireGraceTime: fc.oneof(nearly, parts),
  coalesce: fc.oneof(nearly, fc.constantFrom('latest', 'earliest', 'all')),
  recovery: fc.oneof(nearly, fc.constantFrom('none', 'rerun')),
  onRedisError: fc.oneof(nearly, fc.constantFrom('skip', 'run')),
  jitter: fc.oneof(nearly, parts),
  timeout: fc.oneof(nearly, parts),
  retry: fc.oneof(nearly, parts),
  priority: fc.oneof(nearly, fc.constantFrom('high', 'normal', 'low'))
}
const id = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom<unknown>('a', 'b', 5, null, undefined, {}))
const job = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record(
      { id, trigger, handler, name: nearly, paused: nearly, ...shared },
      { requiredKeys: ['id', 'trigger', 'handler'] }
    )
  },
  { weight: 4, arbitrary: fc.record({ id: fc.uuid(), trigger, handler: fc.constant(() => {}) }) },
  { weight: 1, arbitrary: fc.dictionary(fc.string(), nearly) },
  { weight: 1, arbitrary: nearly }
)
const options = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record(
      {
        prefix: nearly,
        timezone: nearly,
        concurrency: nearly,
        maxEventLoopDelay: fc.oneof(nearly, parts),
        closeTimeout: fc.oneof(nearly, parts),
        maxClockSkew: nearly,
        replicaId: nearly,
        defaults: fc.oneof(nearly, fc.record(shared, { requiredKeys: [] })),
        jobs: fc.oneof(nearly, fc.array(job, { maxLength: 3 })),
        metrics: fc.oneof(
          nearly,
          fc.dictionary(fc.constantFrom('prefix', 'register', 'client', 'perJob', 'durationBuckets', 'x'), nearly)
        ),
        logger: nearly,
        clock: nearly,
        coordination: nearly,
        redis: nearly,
        app: nearly
      },
      { requiredKeys: [] }
    )
  },
  { weight: 1, arbitrary: fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...SCHEDULER_KEYS)), nearly) },
  { weight: 1, arbitrary: nearly }
)

/** Whether a value was accepted; throws when it was refused with anything but a coded error. */
function accepts(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown }
    if (error instanceof Error && /^FST_ERR_RLS_/.test(String(code)) && String(message).length < 5000) return false
    throw error
  }
}

/** As `accepts`, and refuses what takes longer than 50 ms of this process' time; the compiler and the collector get three tries. */
function acceptsSoon(attempt: () => unknown): boolean {
  for (let tries = 1; ; tries++) {
    const started = performance.now()
    const before = process.cpuUsage()
    const accepted = accepts(attempt)
    if (performance.now() - started <= 50) return accepted
    const { user, system } = process.cpuUsage(before)
    const took = (user + system) / 1000
    if (took <= 50) return accepted
    if (tries === 3) throw new Error(`it took ${took} ms`)
  }
}

/** What pollution of a prototype would change. */
function prototypes(): string {
  const all = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Number.prototype, Map.prototype]
  return JSON.stringify(all.map((prototype) => Reflect.ownKeys(prototype).map(String)))
}

// Together with the cron expressions below 100,000 inputs.
const RUNS = { numRuns: 39_000, seed: 20270101, interruptAfterTimeLimit: 120_000, markInterruptAsFailure: true }

t.test('resolveOptions: any object is taken, or refused with a coded error', async (t) => {
  const before = prototypes()
  let accepted = 0
  fc.assert(
    fc.property(options, (given) => {
      if (!acceptsSoon(() => resolveOptions(given as SchedulerOptions))) return
      accepted++
    }),
    RUNS
  )
  t.ok(accepted > 100, `${accepted} were accepted`)
  t.equal(prototypes(), before)
})

t.test('add: any object is taken, or refused with a coded error and without a trace', async (t) => {
  const before = prototypes()
  const scheduler = createScheduler({ metrics: false })
  let accepted = 0
  fc.assert(
    fc.property(job, (given) => {
      const count = scheduler.list().length
      const added = accepts(() => scheduler.add(given as JobOptions<undefined>))
      if (added) accepted++
      return scheduler.list().length === count + (added ? 1 : 0)
    }),
    { ...RUNS, endOnFailure: true }
  )
  t.ok(accepted > 100, `${accepted} were accepted`)
  t.equal(scheduler.list().length, accepted)
  t.equal(prototypes(), before)
  await scheduler.close()
})

t.test('createScheduler and modify: no metric, no job and no change stays behind', async (t) => {
  const scheduler = createScheduler({ metrics: false })
  const view = scheduler.interval('a', '1h', () => {})
  fc.assert(
    fc.property(job, (given) => {
      const before = JSON.stringify({ name: view.name, trigger: view.trigger })
      const changes =
        typeof given === 'object' && given !== null ? { ...given, id: undefined, paused: undefined } : given
      const modified = accepts(() => scheduler.modify('a', changes as object))
      return modified || JSON.stringify({ name: view.name, trigger: view.trigger }) === before
    }),
    { ...RUNS, numRuns: 2000, endOnFailure: true }
  )
  t.equal(scheduler.list().length, 1)
  await scheduler.close()
})

const cronPart = fc.oneof(
  fc.constantFrom(
    '*',
    '?',
    'L',
    'W',
    '#',
    '/',
    ',',
    '-',
    '*/',
    '0-',
    'mon',
    'jan',
    '61',
    '99999999999',
    '1-5',
    '*/7',
    ' '
  ),
  fc.nat(70).map(String),
  fc.string({ unit: 'binary', maxLength: 4 })
)
const cronField = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('*', '*/5', '1', '0', '1-5', '3,7', '10', '*/2') },
  { weight: 1, arbitrary: fc.array(cronPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')) }
)
const cronText = fc.oneof(
  { weight: 5, arbitrary: fc.array(cronField, { minLength: 4, maxLength: 7 }).map((fields) => fields.join(' ')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom('*', '/', ',', '-', '9', ' '), maxLength: 5000 }) }
)

t.test('any text is a cron expression whose ticks are found, or is refused with a coded error, soon', async (t) => {
  const before = prototypes()
  const scheduler = createScheduler({ metrics: false })
  let accepted = 0
  fc.assert(
    fc.property(cronText, (cron) => {
      if (acceptsSoon(() => scheduler.preview({ cron }, { from: '2027-01-01', count: 3 }))) accepted++
    }),
    { ...RUNS, numRuns: 20_000 }
  )
  t.ok(accepted > 100, `${accepted} were accepted`)
  t.equal(prototypes(), before)
  await scheduler.close()
})
