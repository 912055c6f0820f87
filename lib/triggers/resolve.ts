import type { Duration } from '../../types/duration.js'
import type { TriggerInput } from '../../types/trigger.js'
import { copyKnown, isPlainObject } from '../base/check.js'
import { parseDuration, SECOND } from '../base/duration.js'
import { PEER_TRIGGER_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { CronInvalidError, DurationInvalidError, isSchedulerError, TriggerInvalidError } from '../errors.js'
import { readBounds } from './bounds.js'
import { Budget, MAX_STEPS } from './budget.js'
import { AllTrigger, AnyTrigger } from './combine.js'
import { CronTrigger } from './cron.js'
import { readCronFields } from './cron-fields.js'
import { readCron } from './cron-string.js'
import { DateTrigger } from './date.js'
import { readDate } from './dates.js'
import { CompletionTrigger, IntervalTrigger } from './interval.js'
import type { TickSource } from './source.js'
import { checkTimezone } from './timezone.js'

/** The scheduler's defaults for options that a trigger leaves out. */
export interface TriggerDefaults {
  readonly timezone: string
}

type Kind = 'cron' | 'interval' | 'date' | 'any' | 'all'
type Options = Readonly<Record<string, unknown>>

interface Context {
  readonly timezone: string
  readonly onBareInterval: ((interval: number) => void) | undefined
  /** Shared by all searches of one call, so that nested triggers cannot multiply them; made when first needed. */
  budget: Budget | null
  /** How many triggers the tree may still have. */
  triggers: number
}

const BOUNDS = ['startDate', 'endDate', 'timezone']
const DURATION_PARTS = ['weeks', 'days', 'hours', 'minutes', 'seconds', 'milliseconds']
const KINDS: Readonly<Record<Kind, readonly string[]>> = {
  cron: ['cron', ...BOUNDS],
  interval: ['interval', 'offset', 'after', ...BOUNDS],
  date: ['date', 'timezone'],
  any: ['any'],
  all: ['all']
}
const KIND_NAMES: readonly Kind[] = ['cron', 'interval', 'date', 'any', 'all']
const KNOWN = [...new Set(Object.values(KINDS).flat())]

/** How deep `any` and `all` may be nested. */
const MAX_DEPTH = 5
/** How many triggers one list may have. */
const MAX_LIST = 50
/** How many triggers one tree may have: lists within lists multiply. */
const MAX_TRIGGERS = 250

/**
 * Validates a trigger's definition and makes a trigger of it: an immutable value that keeps no reference to the input.
 *
 * All ticks may lie in the past, as that of a past date does; `next` then returns `null`. Only a trigger that never had
 * and never will have a tick is refused.
 *
 * @param onBareInterval called for an interval given as a number so small that seconds may be meant
 * @throws TriggerInvalidError, OptionUnknownError, CronInvalidError, DateInvalidError, DurationInvalidError,
 *   TimezoneInvalidError, TriggerNeverError, TriggerUndecidedError
 */
export function resolveTrigger(
  input: TriggerInput,
  defaults: TriggerDefaults,
  onBareInterval?: (interval: number) => void
): TickSource {
  const context: Context = {
    timezone: checkTimezone(defaults.timezone),
    onBareInterval,
    budget: null,
    triggers: MAX_TRIGGERS
  }
  try {
    return read(input, context, 0)
  } catch (error) {
    // A getter, a proxy or a toString of the input may throw anything.
    if (isSchedulerError(error)) throw error
    throw new TriggerInvalidError('it cannot be read', show(input))
  }
}

function read(given: unknown, context: Context, depth: number): TickSource {
  const input = typeof given === 'string' ? { cron: given } : given
  if (!isPlainObject(input)) {
    throw new TriggerInvalidError("expected an object such as { interval: '5m' }, or a cron expression", show(input))
  }
  if (--context.triggers < 0) {
    throw new TriggerInvalidError(`expected at most ${MAX_TRIGGERS} triggers in all`, show(input))
  }
  const options = copyKnown(input, KNOWN, 'the trigger', PEER_TRIGGER_NAMES)
  const [kind, ...others] = KIND_NAMES.filter((name) => options[name] !== undefined)
  if (kind === undefined || others.length > 0) {
    throw new TriggerInvalidError(`expected exactly one of ${KIND_NAMES.join(', ')}`, show(input))
  }
  copyKnown(options, KINDS[kind], `the ${kind} trigger`)
  if (kind === 'any' || kind === 'all') return readList(kind, options[kind], context, depth)

  const timezone = options.timezone === undefined ? context.timezone : checkTimezone(options.timezone)
  if (kind === 'date') return new DateTrigger(readDate(options.date, 'date', timezone))
  if (kind === 'cron') return readCronTrigger(options, timezone)
  return readInterval(options, timezone, depth, context)
}

function readCronTrigger(options: Options, timezone: string): TickSource {
  const { cron } = options
  const bounds = readBounds(options, timezone)
  if (typeof cron === 'string') return new CronTrigger(readCron(cron), timezone, bounds)
  if (isPlainObject(cron)) return new CronTrigger(readCronFields(cron), timezone, bounds)
  throw new CronInvalidError(show(cron), 'it must be a string or an object of fields')
}

function readInterval(options: Options, timezone: string, depth: number, context: Context): TickSource {
  const { interval, offset, after, startDate } = options
  const period = readDuration(interval, 'interval', 1)
  const bounds = readBounds(options, timezone)
  if (offset !== undefined && startDate !== undefined) {
    throw new TriggerInvalidError('`offset` and `startDate` both anchor the interval, give one', show({ ...options }))
  }
  const shift = offset === undefined ? 0 : readDuration(offset, 'offset', 0)
  if (typeof interval === 'number' && interval < SECOND) context.onBareInterval?.(interval)
  if (after === undefined) return new IntervalTrigger(period, shift, bounds)
  if (after !== 'completion') throw new TriggerInvalidError("expected `after` to be 'completion'", show(after))
  if (offset !== undefined) {
    throw new TriggerInvalidError("`after: 'completion'` has no grid that `offset` could shift", show(offset))
  }
  if (depth > 0) {
    throw new TriggerInvalidError("`after: 'completion'` is not allowed inside `any` and `all`", show({ ...options }))
  }
  return new CompletionTrigger(period, bounds)
}

function readDuration(value: unknown, name: string, min: number): number {
  if (!isPlainObject(value)) {
    if (typeof value === 'object') throw new DurationInvalidError(name, 'a duration', show(value))
    return parseDuration(value as Duration, name, { min })
  }
  const parts = copyKnown(value, DURATION_PARTS, `\`${name}\``)
  if (Object.values(parts).some((part) => typeof part !== 'number')) {
    throw new DurationInvalidError(name, 'a duration whose parts are numbers', show(value))
  }
  return parseDuration({ ...parts }, name, { min })
}

function readList(kind: 'any' | 'all', list: unknown, context: Context, depth: number): TickSource {
  if (depth >= MAX_DEPTH) throw new TriggerInvalidError(`expected at most ${MAX_DEPTH} levels`, show(list))
  if (!Array.isArray(list)) throw new TriggerInvalidError(`expected \`${kind}\` to be an array`, show(list))
  const { length } = list
  if (!(length >= 1 && length <= MAX_LIST)) {
    throw new TriggerInvalidError(`expected \`${kind}\` to have 1 to ${MAX_LIST} triggers`, show(list))
  }
  const byKey = new Map<string, TickSource>()
  for (let i = 0; i < length; i++) {
    const source = read(list[i], context, depth + 1)
    // A list nested in a list of the same kind is equivalent to one longer list.
    const same = kind === 'any' ? source instanceof AnyTrigger : source instanceof AllTrigger
    for (const part of same ? (source as AnyTrigger | AllTrigger).sources : [source]) byKey.set(part.key, part)
  }
  const sources = [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source)
  if (sources.length === 1) return sources[0]!
  if (kind === 'any') return new AnyTrigger(sources)
  // Half of the budget of later calls, so that they can find again what is found here.
  context.budget ??= new Budget(MAX_STEPS / 2)
  return new AllTrigger(sources, context.budget)
}
