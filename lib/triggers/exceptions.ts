import { copyKnown, isPlainObject } from '../base/check.js'
import { DAY } from '../base/duration.js'
import { PEER_RANGE_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { TriggerInvalidError } from '../errors.js'
import { AnyTrigger } from './combine.js'
import { DateTrigger } from './date.js'
import { readDate } from './dates.js'
import type { TimeRange } from './except.js'
import type { TickSource } from './source.js'
import { zoneOf } from './timezone.js'

/** What `except` leaves out. */
export interface Exceptions {
  /** Ascending, without overlaps. */
  readonly ranges: readonly TimeRange[]
  /** In the order of their keys. */
  readonly triggers: readonly TickSource[]
  /** Whether any of the ranges was written in local time. */
  readonly isLocal: boolean
}

const MAX_EXCEPTIONS = 500
const WHOLE_DAY = /^\d{4}-\d\d-\d\d$/
const OFFSET = /T.*(?:Z|[+-]\d\d(?::?\d\d)?)$/

/**
 * Reads `except`: dates, ranges of dates, and triggers. A date without a time is a whole day of the calendar in
 * `timezone`; any other date is one instant.
 *
 * @param isTrigger whether an object is a trigger and not a range
 * @throws TriggerInvalidError, OptionUnknownError, DateInvalidError, and what `readTrigger` throws
 */
export function readExceptions(
  list: unknown,
  timezone: string,
  isTrigger: (item: object) => boolean,
  readTrigger: (item: unknown) => TickSource
): Exceptions {
  if (!Array.isArray(list)) {
    throw new TriggerInvalidError('expected `except` to be an array of dates, ranges and triggers', show(list))
  }
  const { length } = list
  if (length > MAX_EXCEPTIONS) {
    throw new TriggerInvalidError(`expected \`except\` to have at most ${MAX_EXCEPTIONS} entries`, show(list))
  }
  const ranges: TimeRange[] = []
  const triggers = new Map<string, TickSource>()
  let isLocal = false
  for (let i = 0; i < length; i++) {
    const item: unknown = list[i]
    if (isPlainObject(item) ? isTrigger(item) : isCron(item)) {
      const trigger = readTrigger(item)
      // A list is equivalent to its parts, and a date to an instant.
      for (const part of trigger instanceof AnyTrigger ? trigger.sources : [trigger]) {
        if (part instanceof DateTrigger) ranges.push({ from: part.first, to: part.first })
        else triggers.set(part.key, part)
      }
      continue
    }
    const { from, to } = readEnds(item)
    isLocal ||= isLocalText(from) || isLocalText(to)
    const range = { from: firstOf(from, timezone), to: lastOf(to, timezone) }
    if (from !== to && range.from > range.to) {
      throw new TriggerInvalidError('`from` must not be later than `to`', show(item))
    }
    // A day that a zone has left out, when it crossed the date line, has no time at all.
    if (range.from <= range.to) ranges.push(range)
  }
  const sorted = [...triggers.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  return { ranges: merged(ranges), triggers: sorted, isLocal }
}

/** Ranges without overlaps, ascending. Those with nothing between them become one. */
export function merged(ranges: readonly TimeRange[]): TimeRange[] {
  const result: TimeRange[] = []
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const before = result.at(-1)
    if (before === undefined || from > before.to + 1) result.push({ from, to })
    else if (to > before.to) result[result.length - 1] = { from: before.from, to }
  }
  return result
}

/** Whether a text is a cron expression: these have spaces or begin with `@`, and dates begin with a year. */
function isCron(item: unknown): boolean {
  return typeof item === 'string' && !/^\d{4}-/.test(item) && /^@|\s/.test(item)
}

function readEnds(item: unknown): { readonly from: unknown; readonly to: unknown } {
  if (!isPlainObject(item)) return { from: item, to: item }
  const { from, to } = copyKnown(item, ['from', 'to'], 'a range of `except`', PEER_RANGE_NAMES)
  if (from !== undefined && to !== undefined) return { from, to }
  throw new TriggerInvalidError('expected a range of `except` to have `from` and `to`', show(item))
}

function isLocalText(date: unknown): boolean {
  return typeof date === 'string' && !OFFSET.test(date)
}

function isWholeDay(date: unknown): date is string {
  return typeof date === 'string' && WHOLE_DAY.test(date)
}

function firstOf(date: unknown, timezone: string): number {
  return readDate(date, 'except', timezone)
}

function lastOf(date: unknown, timezone: string): number {
  const first = readDate(date, 'except', timezone)
  return isWholeDay(date) ? zoneOf(timezone).read(Date.parse(date) + DAY).at - 1 : first
}
