import { copyKnown } from '../base/check.js'
import { DAY } from '../base/duration.js'
import { show } from '../base/show.js'
import { CronInvalidError } from '../errors.js'
import type { CalendarFields } from './calendar.js'
import { daysInMonth, midnight, weekdayOf } from './calendar.js'
import type { FieldExpression, FieldName } from './cron-field.js'
import { FIELD_NAMES, RANGES, readField, writeField } from './cron-field.js'
import type { LocalTimes } from './local.js'
import { valuesOf } from './wrapped.js'

type Fields = Readonly<Record<FieldName, readonly FieldExpression[]>>

/**
 * Reads APScheduler's cron fields, with APScheduler's meaning: every field must match, and a field left
 * out is `*` when it is more significant than the least significant one given, else its minimum (`week` and
 * `dayOfWeek`: `*`).
 *
 * Source: APScheduler 3's user guide and code, `apscheduler.triggers.cron`.
 *
 * @throws CronInvalidError, OptionUnknownError
 */
export function readCronFields(input: unknown): LocalTimes {
  const given = copyKnown(input, FIELD_NAMES, '`cron`')
  const least = FIELD_NAMES.findLastIndex((name) => given[name] !== undefined)
  if (least < 0) throw new CronInvalidError(show(input), `expected at least one of ${FIELD_NAMES.join(', ')}`)
  const read = (name: FieldName): FieldExpression[] => {
    const star = FIELD_NAMES.indexOf(name) < least || name === 'week' || name === 'dayOfWeek'
    const value = given[name]
    return readField(name, value === undefined ? (star ? '*' : RANGES[name].min) : value)
  }
  const fields: Fields = {
    year: read('year'),
    month: read('month'),
    day: read('day'),
    week: read('week'),
    dayOfWeek: read('dayOfWeek'),
    hour: read('hour'),
    minute: read('minute'),
    second: read('second')
  }
  const texts = FIELD_NAMES.map((name) => writeField(fields[name]))
  const fixed = (['hour', 'minute', 'second'] as const).every((name) => !writeField(fields[name]).includes('*'))
  return { key: `cron {${texts.join('; ')}}`, fields: calendarOf(fields), fixed }
}

function calendarOf({ year, month, day, week, dayOfWeek, hour, minute, second }: Fields): CalendarFields {
  const weeks = isAll(week) ? null : new Set(values(week, 'week'))
  const weekdays = isAll(dayOfWeek) ? null : new Set(values(dayOfWeek, 'dayOfWeek'))
  const numbered = values(day, 'day').reduce((mask, value) => mask | (1 << value), 0)
  const last = day.some((expression) => expression.kind === 'last')
  const positions = day.filter((expression) => expression.kind === 'position')

  const days = (y: number, m: number): number => {
    const length = daysInMonth(y, m)
    const first = (weekdayOf(y, m, 1) + 6) % 7
    let mask = last ? numbered | (1 << length) : numbered
    for (const { nth, weekday } of positions) {
      const earliest = 1 + ((weekday - first + 7) % 7)
      const found = nth === 6 ? earliest + 7 * Math.floor((length - earliest) / 7) : earliest + 7 * (nth - 1)
      if (found <= length) mask |= 1 << found
    }
    if (weekdays === null && weeks === null) return mask
    let weekday = first
    let week = weeks === null ? 0 : isoWeek(y, m, 1)
    for (let d = 1; d <= length; d++) {
      if (weekdays !== null && !weekdays.has(weekday)) mask &= ~(1 << d)
      if (weeks !== null && !weeks.has(week)) mask &= ~(1 << d)
      weekday = (weekday + 1) % 7
      if (weeks !== null && weekday === 0) week = isoWeek(y, m, d + 1)
    }
    return mask
  }
  return {
    seconds: values(second, 'second'),
    minutes: values(minute, 'minute'),
    hours: values(hour, 'hour'),
    months: values(month, 'month'),
    nextYear: (from) => nextYear(year, from),
    days
  }
}

function isAll(expressions: readonly FieldExpression[]): boolean {
  return writeField(expressions) === '*'
}

function values(expressions: readonly FieldExpression[], name: FieldName): number[] {
  const found = new Set<number>()
  for (const expression of expressions) {
    if (expression.kind !== 'range') continue
    const { from, to, step } = expression
    for (const value of valuesOf(from, to, step, RANGES[name])) found.add(value)
  }
  return [...found].sort((a, b) => a - b)
}

function nextYear(expressions: readonly FieldExpression[], year: number): number | null {
  let next: number | null = null
  for (const expression of expressions) {
    if (expression.kind !== 'range') continue
    const { from, to, step } = expression
    const found = year <= from ? from : from + Math.ceil((year - from) / step) * step
    if (found <= to && (next === null || found < next)) next = found
  }
  return next
}

/** ISO 8601: week 1 is the week, from Monday, with the year's first Thursday. */
function isoWeek(year: number, month: number, day: number): number {
  const at = midnight(year, month, day)
  const thursday = at + (3 - ((weekdayOf(year, month, day) + 6) % 7)) * DAY
  const newYear = midnight(new Date(thursday).getUTCFullYear(), 1, 1)
  return 1 + Math.floor((thursday - newYear) / (7 * DAY))
}
