import type { Duration } from '../../types/duration.js'
import type { JobChanges, JobDefaults, JobOptions, LockOptions, RetryOptions } from '../../types/job-options.js'
import type { JobCondition } from '../../types/run.js'
import type { TriggerInput } from '../../types/trigger.js'
import { copyKnown, oneOf } from '../base/check.js'
import { DAY, MINUTE, parseDuration, SECOND } from '../base/duration.js'
import { PEER_DEFAULT_NAMES, PEER_JOB_NAMES, PEER_LOCK_NAMES, PEER_RETRY_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { inJob, JobIdInvalidError, OptionInvalidError, TriggerInvalidError } from '../errors.js'
import { isOnce, type JobDefinition, LATER_DEFAULTS, type ResolvedDefaults, type ResolvedRetry } from './definition.js'
import type { HandlerResolver, ResolvedHandler } from './handler.js'
import { checkHeartbeat } from './heartbeat-url.js'
import { ownAjv } from './own-ajv.js'
import { PRIORITIES } from './priority.js'
import { type DataSchema, resolveSchema, type SchemaCompiler } from './schema.js'

/** A job's validated options: its definition, and the handler that the definition's `task` refers to. */
export interface ResolvedJob {
  readonly definition: JobDefinition
  readonly handler: ResolvedHandler
  /** What its data has to be; `null` for anything. */
  readonly schema: DataSchema | null
  /** Its `when`; `null` for none. */
  readonly condition: JobCondition | null
  /** The URL that its runs ping; `null` for none. It is secret, and so no part of the definition, which is shared. */
  readonly heartbeat: string | null
}

export const DEFAULT_KEYS = [
  'lock',
  'misfireGraceTime',
  'coalesce',
  'recovery',
  'onRedisError',
  'jitter',
  'timeout',
  'retry',
  'priority'
] as const satisfies (keyof JobDefaults)[]
export const JOB_KEYS = [
  'id',
  'name',
  'trigger',
  'handler',
  'data',
  'schema',
  'paused',
  'maxInstances',
  'overlap',
  'when',
  'maxRuns',
  'runOnStart',
  'pauseAfterFailures',
  'group',
  'description',
  'heartbeat',
  ...DEFAULT_KEYS
] as const satisfies (keyof JobOptions)[]
/** Options of ticks, refused where they are given to a job without a trigger. `defaults` may have them all the same. */
export const TICK_KEYS = [
  'misfireGraceTime',
  'coalesce',
  'overlap',
  'when',
  'maxRuns',
  'runOnStart',
  'onRedisError',
  'jitter'
] as const satisfies (keyof JobOptions)[]
export const RETRY_KEYS = ['limit', 'delay', 'factor', 'maxDelay', 'jitter'] as const satisfies (keyof RetryOptions)[]

/** The default of `misfireGraceTime`; capped below the distance to the next tick. */
export const DEFAULT_GRACE = 30 * SECOND

/** The default of `lock.ttl`. */
export const DEFAULT_LOCK_TTL = 30 * SECOND

const FACTORY_DEFAULTS = Object.freeze({
  lockTtl: DEFAULT_LOCK_TTL,
  misfireGraceTime: null,
  coalesce: 'latest',
  recovery: 'none',
  onRedisError: 'skip',
  jitter: 0,
  timeout: 0,
  retry: null,
  priority: 'normal'
}) satisfies ResolvedDefaults

const OVERLAPS = ['skip', 'wait', 'replace'] as const

/** The longest name of a group, and the longest text for people. */
const MAX_GROUP = 100
const MAX_BY = 200
const MAX_TEXT = 500

/** Cc are the control characters, Zl and Zp break lines, Cs are halves of a character that UTF-8 cannot carry. */
const NAME = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]+$/u

/** The most slots of a job. */
export const MAX_INSTANCES = 1000

/** The longest delay that `setTimeout` accepts. */
const MAX_TIMER = 2 ** 31 - 1

/** @throws OptionInvalidError, OptionUnknownError, DurationInvalidError */
export function resolveDefaults(defaults: JobDefaults | undefined): ResolvedDefaults {
  if (defaults === undefined) return FACTORY_DEFAULTS
  const given = copyKnown(defaults, DEFAULT_KEYS, '`defaults`', PEER_DEFAULT_NAMES) as JobDefaults
  return Object.freeze(resolveShared(given, FACTORY_DEFAULTS))
}

/**
 * Resolves a job's options or, with `base`, the changes to an existing job.
 *
 * @param compile compiles the job's `schema` if that is a JSON Schema
 * @throws JobIdInvalidError, OptionInvalidError, OptionUnknownError, DurationInvalidError, and the errors of the schema
 *   and of data that it refuses
 */
export function resolveJob(
  options: JobOptions | JobChanges,
  defaults: ResolvedDefaults,
  resolveHandler: HandlerResolver,
  base?: Readonly<ResolvedJob>,
  compile: SchemaCompiler = ownAjv
): ResolvedJob {
  const given = copyKnown(options, JOB_KEYS, describeJob(options), PEER_JOB_NAMES) as Partial<JobOptions>
  const before = base?.definition
  const { id = before?.id, trigger = before?.trigger ?? null, data = before?.data } = given
  checkName(id, "a job's `id`")
  try {
    checkTrigger(options, given, trigger)
    const { name = before?.name ?? id, paused = before?.pausedInitially ?? false } = given
    checkName(name, "a job's `name`")
    const handler = base !== undefined && given.handler === undefined ? base.handler : resolveHandler(given.handler)
    const { maxInstances = before?.maxInstances ?? LATER_DEFAULTS.maxInstances } = given
    if (!Number.isInteger(maxInstances) || maxInstances < 1 || maxInstances > MAX_INSTANCES) {
      throw new OptionInvalidError('maxInstances', 'a whole number from 1 to 1,000', show(maxInstances))
    }
    const condition = given.when === undefined ? (base?.condition ?? null) : given.when
    if (condition !== null && typeof condition !== 'function') {
      throw new OptionInvalidError('when', 'a function', show(condition))
    }
    const { maxRuns = before?.maxRuns ?? LATER_DEFAULTS.maxRuns } = given
    if (maxRuns !== null && !(Number.isSafeInteger(maxRuns) && maxRuns >= 1)) {
      throw new OptionInvalidError('maxRuns', 'a whole number, 1 or more', show(maxRuns))
    }
    const { runOnStart = before?.runOnStart ?? LATER_DEFAULTS.runOnStart } = given
    if (typeof runOnStart !== 'boolean') throw new OptionInvalidError('runOnStart', 'true or false', show(runOnStart))
    const { pauseAfterFailures = before?.pauseAfterFailures ?? null } = given
    if (pauseAfterFailures !== null && !(Number.isSafeInteger(pauseAfterFailures) && pauseAfterFailures >= 1)) {
      throw new OptionInvalidError('pauseAfterFailures', 'a whole number, 1 or more', show(pauseAfterFailures))
    }
    const { group = before?.group ?? null, description = before?.description ?? null } = given
    if (group !== null) checkGroup(group)
    if (description !== null) checkText(description, 'description')
    const { heartbeat = base?.heartbeat ?? null } = given
    if (heartbeat !== null) checkHeartbeat(heartbeat)
    if (typeof paused !== 'boolean') throw new OptionInvalidError('paused', 'true or false', show(paused))
    const schema = given.schema === undefined ? (base?.schema ?? null) : resolveSchema(given.schema, compile)
    const definition: JobDefinition = Object.freeze({
      id,
      name,
      trigger: typeof trigger === 'string' ? { cron: trigger } : trigger,
      task: id,
      data,
      schema: schema?.json ?? null,
      pausedInitially: paused,
      maxInstances,
      overlap: oneOf(given.overlap, 'overlap', OVERLAPS, before?.overlap ?? LATER_DEFAULTS.overlap),
      maxRuns,
      runOnStart,
      pauseAfterFailures,
      group,
      description,
      ...resolveShared(given, before ?? defaults)
    })
    checkTogether(definition)
    if (schema !== null) checkData(schema, data, given, trigger)
    return { definition, handler, schema, condition, heartbeat }
  } catch (error) {
    throw inJob(error, id)
  }
}

/** Refuses options that make no sense together. @throws OptionInvalidError */
function checkTogether(definition: JobDefinition): void {
  const { maxInstances, overlap, lockTtl, coalesce, trigger, maxRuns, runOnStart, onRedisError, pauseAfterFailures } =
    definition
  if (overlap !== 'skip') {
    const refuse = (why: string): never => {
      throw new OptionInvalidError('overlap', `'skip' ${why}`, show(overlap))
    }
    if (lockTtl === null) refuse('with `lock: false`, which counts no runs')
    if (coalesce === 'all') refuse("with `coalesce: 'all'`, whose ticks all wait")
    if ((trigger as { after?: unknown } | undefined)?.after === 'completion') {
      refuse("with `after: 'completion'`, which is not due while a run goes on")
    }
  }
  if (maxInstances > 1 && lockTtl === null) {
    throw new OptionInvalidError('maxInstances', '1 with `lock: false`, which counts no runs', show(maxInstances))
  }
  if (maxRuns !== null) {
    const refuse = (why: string): never => {
      throw new OptionInvalidError('maxRuns', `left out with ${why}`, show(maxRuns))
    }
    if (lockTtl === null) refuse('`lock: false`, which counts no runs')
    if (onRedisError === 'run') refuse("`onRedisError: 'run'`, which begins runs that nobody counts")
  }
  if (pauseAfterFailures !== null && lockTtl === null) {
    const expected = 'left out with `lock: false`, whose runs fail on each replica by itself'
    throw new OptionInvalidError('pauseAfterFailures', expected, show(pauseAfterFailures))
  }
  if (runOnStart && isOnce(definition)) {
    throw new OptionInvalidError('runOnStart', 'left out with a date, which has one run', show(runOnStart))
  }
}

/**
 * Refuses what several masters cannot do.
 *
 * @param masters how many there are
 * @throws OptionInvalidError
 */
export function checkForMasters({ id, maxInstances, overlap, maxRuns }: JobDefinition, masters = 1): void {
  if (masters === 1) return
  const refuse = (name: string, expected: string, value: unknown): never => {
    throw inJob(new OptionInvalidError(name, `${expected} with several Redis masters`, show(value)), id)
  }
  if (maxInstances > 1) refuse('maxInstances', '1', maxInstances)
  if (overlap !== 'skip') refuse('overlap', "'skip'", overlap)
  if (maxRuns !== null) refuse('maxRuns', 'left out', maxRuns)
}

/** Checks a job's own data. A job without a trigger needs none: it runs with what each `trigger()` gives. */
function checkData(schema: DataSchema, data: unknown, given: Partial<JobOptions>, trigger: unknown): void {
  const isNew = given.schema !== undefined || given.data !== undefined || given.trigger !== undefined
  if (isNew && (data !== undefined || (trigger ?? null) !== null)) schema.parse(data)
}

/**
 * Refuses a trigger that is `undefined`, as a setting may be that was forgotten, and options of ticks for a job that has
 * none.
 *
 * @throws TriggerInvalidError, OptionInvalidError
 */
function checkTrigger(options: object, given: Partial<JobOptions>, trigger: TriggerInput | null): void {
  if (given.trigger === undefined && isOwn(options, 'trigger')) {
    throw new TriggerInvalidError('expected one, or null for a job that runs by hand only', 'undefined')
  }
  const option = trigger === null ? TICK_KEYS.find((key) => given[key] !== undefined) : undefined
  if (option !== undefined) {
    throw new OptionInvalidError(option, 'left out, as the job has no trigger and so no ticks', show(given[option]))
  }
}

function isOwn(options: object, key: string): boolean {
  try {
    return Object.keys(options).includes(key)
  } catch {
    return false
  }
}

/** Names a job in an error before its options have been validated. */
function describeJob(options: unknown): string {
  try {
    const { id } = options as { id?: unknown }
    return typeof id === 'string' && id.length <= 200 ? `the job '${id}'` : 'a job'
  } catch {
    return 'a job'
  }
}

/**
 * Refuses an id or a name that Redis, a metric's label or a log line could not carry well.
 *
 * @throws JobIdInvalidError
 */
export function checkName(value: unknown, what: string): asserts value is string {
  if (typeof value === 'string' && value.length <= 200 && NAME.test(value)) return
  throw new JobIdInvalidError(what, show(value))
}

/** Refuses the name of a group that Redis or a log line could not carry well. @throws OptionInvalidError */
export function checkGroup(value: unknown): asserts value is string {
  if (typeof value === 'string' && value.length <= MAX_GROUP && NAME.test(value)) return
  throw new OptionInvalidError(
    'group',
    `a string of 1 to ${MAX_GROUP} characters without control characters`,
    show(value)
  )
}

/** Refuses a name of somebody that a log line could not carry well. @throws OptionInvalidError */
export function checkBy(value: unknown): asserts value is string {
  if (typeof value === 'string' && value.length <= MAX_BY && NAME.test(value)) return
  throw new OptionInvalidError('by', `a string of 1 to ${MAX_BY} characters without control characters`, show(value))
}

/** Refuses a text for people that is too long. @throws OptionInvalidError */
export function checkText(value: unknown, name: string): asserts value is string {
  if (typeof value === 'string' && value.length <= MAX_TEXT) return
  throw new OptionInvalidError(name, `a string of at most ${MAX_TEXT} characters`, show(value))
}

/** @throws OptionInvalidError, OptionUnknownError, DurationInvalidError */
export function resolveLockTtl(ttl: Duration, name: string): number {
  return parseDuration(ttl, name, { min: 100, max: DAY })
}

function resolveShared(options: JobDefaults, defaults: ResolvedDefaults): ResolvedDefaults {
  const { lock, misfireGraceTime, coalesce, recovery, onRedisError, jitter, timeout, retry, priority } = options
  return {
    lockTtl: lock === undefined ? defaults.lockTtl : resolveLock(lock, defaults),
    misfireGraceTime:
      misfireGraceTime === undefined
        ? defaults.misfireGraceTime
        : parseDuration(misfireGraceTime, 'misfireGraceTime', { min: 1, max: 365 * DAY }),
    coalesce: oneOf(coalesce, 'coalesce', ['latest', 'earliest', 'all'], defaults.coalesce),
    recovery: oneOf(recovery, 'recovery', ['none', 'rerun'], defaults.recovery),
    onRedisError: oneOf(onRedisError, 'onRedisError', ['skip', 'run'], defaults.onRedisError),
    jitter: jitter === undefined ? defaults.jitter : parseDuration(jitter, 'jitter'),
    timeout: timeout === undefined ? defaults.timeout : parseDuration(timeout, 'timeout', { max: MAX_TIMER }),
    retry: retry === undefined ? defaults.retry : resolveRetry(retry),
    priority: oneOf(priority, 'priority', PRIORITIES, defaults.priority)
  }
}

function resolveLock(lock: unknown, defaults: ResolvedDefaults): number | null {
  if (lock === false) return null
  if (typeof lock === 'string' || typeof lock === 'number') return resolveLockTtl(lock, 'lock')
  const { ttl } = copyKnown(lock, ['ttl'], '`lock`', PEER_LOCK_NAMES) as LockOptions
  return ttl === undefined ? (defaults.lockTtl ?? DEFAULT_LOCK_TTL) : resolveLockTtl(ttl, 'lock.ttl')
}

function resolveRetry(retry: unknown): ResolvedRetry | null {
  if (retry === false) return null
  const options = typeof retry === 'number' ? { limit: retry } : retry
  const given = copyKnown(options, RETRY_KEYS, '`retry`', PEER_RETRY_NAMES) as unknown as RetryOptions
  const { limit, factor = 2, jitter = false } = given
  if (!Number.isInteger(limit) || limit < 0 || limit > 100) {
    throw new OptionInvalidError(retry === limit ? 'retry' : 'retry.limit', 'a whole number from 0 to 100', show(limit))
  }
  if (typeof factor !== 'number' || !(factor >= 1 && factor <= 100)) {
    throw new OptionInvalidError('retry.factor', 'a number from 1 to 100', show(factor))
  }
  if (typeof jitter !== 'boolean') throw new OptionInvalidError('retry.jitter', 'true or false', show(jitter))
  return Object.freeze({ limit, factor, jitter, ...resolveDelays(given, jitter) })
}

/** Reads `delay` and `maxDelay`. A default never shortens what was given. */
function resolveDelays(given: RetryOptions, jitter: boolean): Pick<ResolvedRetry, 'delay' | 'maxDelay'> {
  const read = (value: Duration, name: string): number => parseDuration(value, name, { max: MAX_TIMER })
  const max = given.maxDelay === undefined ? null : read(given.maxDelay, 'retry.maxDelay')
  const delay = given.delay === undefined ? Math.min(SECOND, max ?? SECOND) : read(given.delay, 'retry.delay')
  if (max !== null && max < delay) {
    throw new OptionInvalidError('retry.maxDelay', `at least the \`delay\` of ${delay} ms`, show(given.maxDelay))
  }
  return { delay, maxDelay: max ?? Math.min(MAX_TIMER, Math.max(MINUTE, jitter ? 2 * delay : delay)) }
}
