import { copyKnown, isPlainObject } from '../base/check.js'
import { DAY, HOUR, MINUTE, SECOND } from '../base/duration.js'
import { PEER_EVERY_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { TriggerInvalidError } from '../errors.js'
import type { Bounds } from './bounds.js'
import { daysInMonth } from './calendar.js'
import { type DayOfMonth, dayCycle, dayNumber, LAST_DAY, monthCycle, monthNumber } from './cycles.js'
import { MAX_TIME } from './dates.js'
import type { LocalTimes } from './local.js'
import { placeOf, WEEKDAYS } from './names.js'
import { zoneOf } from './timezone.js'

type Unit = 'days' | 'weeks' | 'months' | 'years'
type Options = Readonly<Record<string, unknown>>

/** A date of the calendar. */
interface LocalDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}

// A hundred years each, as durations.
const MOST: Readonly<Record<Unit, number>> = { days: 36_525, weeks: 5217, months: 1200, years: 100 }
const UNITS = Object.keys(MOST) as Unit[]
/** As many as the days of a leap year. */
const MAX_DAYS = 366
const TIME = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/
const MONTH_DAY = /^(\d\d)-(\d\d)$/
/** 1970-01-01, day 0, was a Thursday. */
const DAY_OF_EPOCH = 3

/**
 * Reads a calendar trigger: `every`, `at`, `on`. Days, weeks from Monday, months or years are counted from the one that
 * `startDate` lies in, as RFC 5545 counts them.
 *
 * @throws TriggerInvalidError, OptionUnknownError
 */
export function readEvery(options: Options, timezone: string, { start }: Bounds): LocalTimes {
  const { unit, n } = readPeriod(options.every)
  const time = readTime(options.at)
  const { on } = options
  const from = Number.isFinite(start) ? dateAt(start, timezone) : null
  if (n > 1 && from === null) {
    throw new TriggerInvalidError(`expected a \`startDate\` to count every ${n} ${unit} from`, show({ ...options }))
  }
  if (unit === 'days') {
    if (on !== undefined)
      throw new TriggerInvalidError('`on` names days of weeks, months or years, not of days', show(on))
    return dayCycle(n, [from === null ? 0 : dayNumber(from.year, from.month, from.day)], time)
  }
  if (on === undefined && from === null) {
    throw new TriggerInvalidError(
      `expected \`on\`, ${DAY_OF[unit]}, or a \`startDate\` to say the day`,
      show({ ...options })
    )
  }
  const days = on === undefined ? null : readDays(on, unit)
  if (unit === 'weeks') return weekly(n, days?.map(readWeekday) ?? null, from, time)
  if (unit === 'months') return monthly(n, days?.map(readDayOfMonth) ?? null, from, time)
  return yearly(n, days?.map(readDayOfYear) ?? null, from, time)
}

const DAY_OF: Readonly<Record<Exclude<Unit, 'days'>, string>> = {
  weeks: "'mon' to 'sun'",
  months: "1 to 31 or 'last'",
  years: "a month and a day, such as '12-24'"
}

function weekly(n: number, on: readonly number[] | null, from: LocalDate | null, time: number): LocalTimes {
  const start = from === null ? 0 : dayNumber(from.year, from.month, from.day)
  const weekday = (((start + DAY_OF_EPOCH) % 7) + 7) % 7
  const monday = start - weekday
  return dayCycle(7 * n, on === null ? [start] : on.map((each) => monday + each), time)
}

function monthly(n: number, on: readonly number[] | null, from: LocalDate | null, time: number): LocalTimes {
  const month = from === null ? 0 : monthNumber(from.year, from.month)
  const days = on ?? [(from as LocalDate).day]
  return monthCycle(
    n,
    days.map((day) => ({ month, day })),
    time
  )
}

function yearly(n: number, on: readonly DayOfMonth[] | null, from: LocalDate | null, time: number): LocalTimes {
  const year = from === null ? 0 : from.year
  const days = on ?? [from as LocalDate]
  return monthCycle(
    12 * n,
    days.map(({ month, day }) => ({ month: monthNumber(year, month), day })),
    time
  )
}

function readPeriod(every: unknown): { readonly unit: Unit; readonly n: number } {
  if (!isPlainObject(every)) {
    const reason =
      "expected `every` to count days, weeks, months or years, such as { weeks: 2 }; a length of time is `interval: '5m'`"
    throw new TriggerInvalidError(reason, show(every))
  }
  const given = copyKnown(every, UNITS, '`every`', PEER_EVERY_NAMES)
  const [unit, ...others] = UNITS.filter((name) => given[name] !== undefined)
  if (unit === undefined || others.length > 0) {
    throw new TriggerInvalidError(`expected \`every\` to have exactly one of ${UNITS.join(', ')}`, show(every))
  }
  const n = given[unit]
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > MOST[unit]) {
    throw new TriggerInvalidError(`expected \`every.${unit}\` to be a whole number from 1 to ${MOST[unit]}`, show(n))
  }
  return { unit, n }
}

/** Reads a time of day, in milliseconds. */
function readTime(at: unknown): number {
  const [, hour, minute, second = '0'] = (typeof at === 'string' && at.length < 9 && TIME.exec(at)) || []
  const isTime = hour !== undefined && Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60
  if (isTime) return Number(hour) * HOUR + Number(minute) * MINUTE + Number(second) * SECOND
  throw new TriggerInvalidError(
    "expected `at` to be a time of day of 24 hours, such as '09:00' or '17:30:15'",
    show(at)
  )
}

function readDays(on: unknown, unit: Exclude<Unit, 'days'>): readonly unknown[] {
  if (!Array.isArray(on)) return [on]
  if (on.length >= 1 && on.length <= MAX_DAYS) return Array.from(on)
  throw new TriggerInvalidError(
    `expected \`on\` to be ${DAY_OF[unit]}, or a list of 1 to ${MAX_DAYS} of these`,
    show(on)
  )
}

/** From Monday, 0, to Sunday, 6. */
function readWeekday(day: unknown): number {
  const place = typeof day === 'string' ? placeOf(day.toLowerCase(), WEEKDAYS) : -1
  if (place >= 0) return (place + 6) % 7
  const reason = typeof day === 'number' ? ', as the numbers of weekdays differ from system to system' : ''
  throw new TriggerInvalidError(`expected \`on\` to be ${DAY_OF.weeks}${reason}`, show(day))
}

function readDayOfMonth(day: unknown): number {
  if (day === 'last') return LAST_DAY
  if (typeof day === 'number' && Number.isInteger(day) && day >= 1 && day <= LAST_DAY) return day
  throw new TriggerInvalidError(`expected \`on\` to be ${DAY_OF.months}`, show(day))
}

function readDayOfYear(text: unknown): DayOfMonth {
  const [, month, day] = (typeof text === 'string' && MONTH_DAY.exec(text)) || []
  const found = { month: Number(month), day: Number(day) }
  // 2000 was a leap year.
  if (found.month >= 1 && found.month <= 12 && found.day >= 1 && found.day <= daysInMonth(2000, found.month))
    return found
  throw new TriggerInvalidError(`expected \`on\` to be ${DAY_OF.years}`, show(text))
}

function dateAt(at: number, timezone: string): LocalDate {
  const wall = Math.max(at + zoneOf(timezone).segmentAt(at).offset, -MAX_TIME)
  const date = new Date(Math.floor(wall / DAY) * DAY)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
}
