import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock } from '../types/clock.js'
import type { CoordinationFactory } from '../types/coordination.js'
import type { Duration } from '../types/duration.js'
import type { JobOptions } from '../types/job-options.js'
import type { Logger } from '../types/logger.js'
import type { RedisInput } from '../types/redis.js'
import type { MetricsOptions, SchedulerOptions } from '../types/scheduler-options.js'
import { detachedClock } from './base/async-context.js'
import { copyKnown } from './base/check.js'
import { systemClock } from './base/clock.js'
import { HOUR, MINUTE, parseDuration, SECOND } from './base/duration.js'
import { PEER_METRICS_NAMES, PEER_SCHEDULER_NAMES } from './base/peer-names.js'
import { show } from './base/show.js'
import { OptionInvalidError } from './errors.js'
import type { ResolvedDefaults } from './jobs/definition.js'
import { resolveDefaults } from './jobs/options.js'
import { type ResolvedHistory, resolveHistory } from './observability/history/options.js'
import { silentLogger } from './observability/log.js'
import type { ResolvedMetrics } from './observability/metrics/metrics.js'
import { stderrLogger } from './observability/stderr-logger.js'
import { checkTimezone } from './triggers/index.js'

/** The scheduler's options: validated, copied, complete and frozen. Durations are in milliseconds. */
export interface ResolvedOptions {
  readonly redis: RedisInput | undefined
  readonly prefix: string
  readonly timezone: string
  readonly isTimezoneGiven: boolean
  readonly concurrency: number
  /** 0 for no limit. */
  readonly maxEventLoopDelay: number
  readonly closeTimeout: number
  readonly maxClockSkew: number
  readonly replicaId: string
  readonly defaults: ResolvedDefaults
  readonly jobs: readonly JobOptions[]
  readonly metrics: ResolvedMetrics | null
  readonly durationBuckets: readonly number[]
  readonly history: ResolvedHistory | null
  readonly log: Logger
  readonly app: unknown
  readonly clock: Clock
  /** The clock as the user gave it; its identity distinguishes the schedulers of one test from those of others. */
  readonly givenClock: Clock
  readonly coordination: CoordinationFactory | undefined
}

export const SCHEDULER_KEYS = [
  'redis',
  'prefix',
  'timezone',
  'concurrency',
  'maxEventLoopDelay',
  'closeTimeout',
  'maxClockSkew',
  'replicaId',
  'defaults',
  'jobs',
  'metrics',
  'history',
  'logger',
  'app',
  'clock',
  'coordination'
] as const satisfies (keyof SchedulerOptions)[]

export const METRICS_KEYS = [
  'register',
  'client',
  'prefix',
  'perJob',
  'durationBuckets'
] as const satisfies (keyof MetricsOptions)[]

/** With the second that aborted handlers have left, it stays below the 10 s that Docker and Fastify allow. */
export const CLOSE_TIMEOUT = 8 * SECOND

const DURATION_BUCKETS = Object.freeze([0.1, 0.5, 1, 2, 5, 10, 30, 60])

/** @throws OptionInvalidError, OptionUnknownError, DurationInvalidError, TimezoneInvalidError */
export function resolveOptions(options: SchedulerOptions): ResolvedOptions {
  const {
    redis,
    prefix,
    timezone,
    concurrency = 64,
    maxEventLoopDelay = 0,
    closeTimeout = CLOSE_TIMEOUT,
    maxClockSkew = SECOND,
    replicaId = `${hostname()
      .replace(/[^\w.-]/g, '-')
      .slice(0, 60)}-${process.pid}-${randomBytes(3).toString('hex')}`,
    defaults,
    jobs = [],
    metrics,
    history,
    logger = stderrLogger(),
    app,
    clock = systemClock,
    coordination
  } = copyKnown(options, SCHEDULER_KEYS, "the scheduler's options", PEER_SCHEDULER_NAMES) as SchedulerOptions
  // Two apps with the same prefix would take each other's ticks, so there is no default.
  if (redis !== undefined && prefix === undefined) {
    throw new OptionInvalidError('prefix', 'the name of the app in Redis, which `redis` requires', show(prefix))
  }
  if (prefix !== undefined) checkToken(prefix, 'prefix')
  checkToken(replicaId, 'replicaId')
  checkConcurrency(concurrency)
  if (!Array.isArray(jobs)) throw new OptionInvalidError('jobs', 'an array of jobs', show(jobs))
  if (logger !== false) checkMethods(logger, 'logger', ['info', 'warn', 'error', 'debug', 'child'])
  checkMethods(clock, 'clock', ['now', 'monotonic', 'setTimeout', 'setImmediate'])
  if (coordination !== undefined && (typeof coordination !== 'function' || redis !== undefined)) {
    throw new OptionInvalidError('coordination', 'a function, and given without `redis`', show(coordination))
  }
  return Object.freeze({
    redis,
    prefix: prefix ?? '',
    timezone: checkTimezone(timezone === undefined ? 'UTC' : timezone),
    isTimezoneGiven: timezone !== undefined,
    concurrency,
    maxEventLoopDelay: resolveEventLoopDelay(maxEventLoopDelay),
    closeTimeout: parseDuration(closeTimeout, 'closeTimeout', { max: 24 * HOUR }),
    maxClockSkew: parseDuration(maxClockSkew, 'maxClockSkew', { max: HOUR }),
    replicaId,
    defaults: resolveDefaults(defaults),
    jobs: Object.freeze([...jobs]),
    ...resolveMetrics(metrics),
    history: resolveHistory(history),
    log: logger === false ? silentLogger : logger,
    app,
    clock: detachedClock(clock),
    givenClock: clock,
    coordination
  })
}

/** @throws OptionInvalidError */
export function checkConcurrency(value: unknown): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000) return
  throw new OptionInvalidError('concurrency', 'a whole number from 1 to 1,000,000', show(value))
}

/** Below 10 ms every process is late at times, whatever it does. */
function resolveEventLoopDelay(value: Duration): number {
  if (parseDuration(value, 'maxEventLoopDelay') === 0) return 0
  return parseDuration(value, 'maxEventLoopDelay', { min: 10, max: MINUTE })
}

function resolveMetrics(metrics: unknown): Pick<ResolvedOptions, 'metrics' | 'durationBuckets'> {
  if (metrics === false) return { metrics: null, durationBuckets: [] }
  const options = copyKnown(
    metrics === undefined ? {} : metrics,
    METRICS_KEYS,
    '`metrics`',
    PEER_METRICS_NAMES
  ) as MetricsOptions
  const { client } = options
  if (client !== undefined && typeof client?.Registry !== 'function') {
    throw new OptionInvalidError('metrics.client', 'a module with a `Registry`, such as prom-client', show(client))
  }
  const {
    register = client && new client.Registry(),
    prefix = 'apscheduler_',
    perJob = true,
    durationBuckets = DURATION_BUCKETS
  } = options as MetricsOptions
  if (register !== undefined) {
    checkMethods(register, 'metrics.register', ['registerMetric', 'getSingleMetric', 'removeSingleMetric', 'metrics'])
  }
  if (typeof prefix !== 'string' || !/^[a-zA-Z_:][\w:]{0,99}$/.test(prefix)) {
    throw new OptionInvalidError('metrics.prefix', 'the beginning of a metric name', show(prefix))
  }
  if (typeof perJob !== 'boolean') throw new OptionInvalidError('metrics.perJob', 'true or false', show(perJob))
  // Copied, as a copy has no holes, which `every` would skip.
  const bounds: readonly number[] = Array.isArray(durationBuckets) ? [...durationBuckets] : []
  const isAscending = bounds.every(
    (bound, index) => Number.isFinite(bound) && (index === 0 || bound > (bounds[index - 1] as number))
  )
  if (!isAscending || bounds.length === 0 || bounds.length > 100) {
    const expected = '1 to 100 ascending numbers of seconds'
    throw new OptionInvalidError('metrics.durationBuckets', expected, show(durationBuckets))
  }
  return { metrics: Object.freeze({ register, prefix, perJob }), durationBuckets: Object.freeze(bounds) }
}

function checkToken(value: unknown, name: string): void {
  // Braces would break the hash tag of a Cluster, spaces the record of a claim.
  if (typeof value === 'string' && /^[^\s{}\p{Cc}\p{Cs}]{1,100}$/u.test(value)) return
  throw new OptionInvalidError(
    name,
    'a string of 1 to 100 characters without spaces, braces or control characters',
    show(value)
  )
}

function checkMethods(value: unknown, name: string, methods: readonly string[]): void {
  const has = (method: string): boolean => typeof (value as Record<string, unknown>)[method] === 'function'
  if (typeof value === 'object' && value !== null && methods.every(has)) return
  throw new OptionInvalidError(name, `an object with the methods ${methods.join(', ')}`, show(value))
}
