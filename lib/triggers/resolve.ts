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
import { readCronFields } from './cron-fields.js'
import { readCron } from './cron-string.js'
import { DateTrigger } from './date.js'
import { readDate } from './dates.js'
import { readEvery } from './every.js'
import { ExceptTrigger } from './except.js'
import { merged, readExceptions } from './exceptions.js'
import { CompletionTrigger, IntervalTrigger } from './interval.js'
import { type LocalTimes, LocalTrigger } from './local.js'
import type { TickSource } from './source.js'
import { checkTimezone } from './timezone.js'

/** The scheduler's defaults for options that a trigger leaves out. */
export interface TriggerDefaults {
  readonly timezone: string
}

type Kind = 'cron' | 'interval' | 'every' | 'date' | 'any' | 'all'
type Options = Readonly<Record<string, unknown>>

interface Context {
  readonly onBareInterval: ((interval: number) => void) | undefined
  /** Shared by all searches of one call, so that nested triggers cannot multiply them; made when first needed. */
  budget: Budget | null
  /** How many triggers the tree may still have. */
  triggers: number
  /** The time zones that the parts of the list at hand name. */
  named: Set<string>
}

/** Where in the tree a trigger is read. */
interface Place {
  readonly depth: number
  /** The time zone of a trigger that names none. */
  readonly timezone: string
}

const BOUNDS = ['startDate', 'endDate', 'timezone']
const DURATION_PARTS = ['weeks', 'days', 'hours', 'minutes', 'seconds', 'milliseconds']
const KINDS: Readonly<Record<Kind, readonly string[]>> = {
  cron: ['cron', 'except', ...BOUNDS],
  interval: ['interval', 'offset', 'after', 'except', ...BOUNDS],
  every: ['every', 'at', 'on', 'except', ...BOUNDS],
  date: ['date', 'timezone'],
  any: ['any', 'except', 'timezone'],
  all: ['all', 'except', 'timezone']
}
const KIND_NAMES = Object.keys(KINDS) as Kind[]
const KNOWN = [...new Set(Object.values(KINDS).flat())]

/** How deep `any`, `all` and `except` may be nested. */
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
    onBareInterval,
    budget: null,
    triggers: MAX_TRIGGERS,
    named: new Set()
  }
  const timezone = checkTimezone(defaults.timezone)
  try {
    return read(input, context, { depth: 0, timezone })
  } catch (error) {
    // A getter, a proxy or a toString of the input may throw anything.
    if (isSchedulerError(error)) throw error
    throw new TriggerInvalidError('it cannot be read', show(input))
  }
}

function read(given: unknown, context: Context, place: Place): TickSource {
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
    const isDate = kind === undefined && options.at !== undefined
    const hint = isDate ? ' (`at` is the time of day of `every`; for one tick write `date`)' : ''
    throw new TriggerInvalidError(`expected exactly one of ${KIND_NAMES.join(', ')}${hint}`, show(input))
  }
  if (kind === 'date' && options.except !== undefined) {
    throw new TriggerInvalidError('`except` could leave out only the one tick of a `date`', show(input))
  }
  copyKnown(options, KINDS[kind], `the ${kind} trigger`)
  const timezone = options.timezone === undefined ? place.timezone : checkTimezone(options.timezone)
  const here = { depth: place.depth, timezone }
  if (options.timezone !== undefined) context.named.add(timezone.toLowerCase())
  if (kind === 'any' || kind === 'all') return readList(kind, options, context, here)
  if (kind === 'date') return new DateTrigger(readDate(options.date, 'date', timezone))
  if (kind === 'interval') return withExcept(readInterval(options, context, here), options, context, here)
  const bounds = readBounds(options, timezone)
  const times = kind === 'cron' ? readLocalTimes(options.cron) : readEvery(options, timezone, bounds)
  return withExcept(new LocalTrigger(times, timezone, bounds), options, context, here)
}

function readLocalTimes(cron: unknown): LocalTimes {
  if (typeof cron === 'string') return readCron(cron)
  if (isPlainObject(cron)) return readCronFields(cron)
  throw new CronInvalidError(show(cron), 'it must be a string or an object of fields')
}

function readInterval(options: Options, context: Context, { depth, timezone }: Place): TickSource {
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
    throw new TriggerInvalidError(
      "`after: 'completion'` is not allowed inside `any`, `all` and `except`",
      show({ ...options })
    )
  }
  if (options.except !== undefined) {
    throw new TriggerInvalidError(
      "`after: 'completion'` has no ticks that `except` could leave out",
      show({ ...options })
    )
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

function readList(kind: 'any' | 'all', options: Options, context: Context, place: Place): TickSource {
  const list = options[kind]
  const { depth, timezone } = place
  if (depth >= MAX_DEPTH) throw new TriggerInvalidError(`expected at most ${MAX_DEPTH} levels`, show(list))
  if (!Array.isArray(list)) throw new TriggerInvalidError(`expected \`${kind}\` to be an array`, show(list))
  const { length } = list
  if (!(length >= 1 && length <= MAX_LIST)) {
    throw new TriggerInvalidError(`expected \`${kind}\` to have 1 to ${MAX_LIST} triggers`, show(list))
  }
  const before = context.named
  context.named = new Set()
  const byKey = new Map<string, TickSource>()
  for (let i = 0; i < length; i++) {
    const source = read(list[i], context, { depth: depth + 1, timezone })
    // A list nested in a list of the same kind is equivalent to one longer list.
    const same = kind === 'any' ? source instanceof AnyTrigger : source instanceof AllTrigger
    for (const part of same ? (source as AnyTrigger | AllTrigger).sources : [source]) byKey.set(part.key, part)
  }
  const sources = [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source)
  const trigger = withExcept(listOf(kind, sources, context), options, context, place, context.named)
  for (const each of context.named) before.add(each)
  context.named = before
  return trigger
}

function listOf(kind: 'any' | 'all', sources: readonly TickSource[], context: Context): TickSource {
  if (sources.length === 1) return sources[0]!
  return kind === 'any' ? new AnyTrigger(sources) : new AllTrigger(sources, budgetOf(context))
}

/**
 * A trigger without what its `except` leaves out. Of that, dates and triggers that name no time zone are in the
 * trigger's.
 *
 * @param named the time zones that the trigger's parts name
 */
function withExcept(
  source: TickSource,
  options: Options,
  context: Context,
  { depth, timezone }: Place,
  named: ReadonlySet<string> = new Set()
): TickSource {
  const { except } = options
  if (except === undefined) return source
  if (depth >= MAX_DEPTH) throw new TriggerInvalidError(`expected at most ${MAX_DEPTH} levels`, show(except))
  const isTrigger = (item: object): boolean => Object.keys(item).some((key) => KIND_NAMES.includes(key as Kind))
  const readTrigger = (item: unknown): TickSource => read(item, context, { depth: depth + 1, timezone })
  const { ranges, triggers, isLocal } = readExceptions(except, timezone, isTrigger, readTrigger)
  if (isLocal && options.timezone === undefined && [...named].some((each) => each !== timezone.toLowerCase())) {
    throw new TriggerInvalidError(
      'expected a `timezone` for the dates of `except`, as the parts name theirs',
      show({ ...options })
    )
  }
  if (ranges.length === 0 && triggers.length === 0) return source
  if (!(source instanceof ExceptTrigger)) return new ExceptTrigger(source, ranges, triggers, budgetOf(context))
  const byKey = new Map([...source.triggers, ...triggers].map((each) => [each.key, each]))
  const sorted = [...byKey.keys()].sort().map((key) => byKey.get(key) as TickSource)
  return new ExceptTrigger(source.source, merged([...source.ranges, ...ranges]), sorted, budgetOf(context))
}

/** Half of the budget of later calls, so that they can find again what is found here. */
function budgetOf(context: Context): Budget {
  context.budget ??= new Budget(MAX_STEPS / 2)
  return context.budget
}
