import { CronPattern } from 'croner'
import { show } from '../base/show.js'
import { CronInvalidError } from '../errors.js'
import type { CalendarFields } from './calendar.js'
import { daysInMonth, weekdayOf } from './calendar.js'
import { type LastDay, readWords } from './cron-words.js'
import type { LocalTimes } from './local.js'

const MAX_LENGTH = 256
const ALL_DAYS = 0xfffffffe | 0

/**
 * Reads a cron expression of 5 fields, of 6 with the seconds first, or a nickname such as `@hourly`. croner parses it
 * after `readWords` has put it into words that have one meaning everywhere.
 *
 * Day of month and day of week follow crontab(5): when both are restricted, a day that matches either one matches;
 * when one of them starts with `*`, both must match.
 *
 * @throws CronInvalidError
 */
export function readCron(text: string): LocalTimes {
  if (text.length > MAX_LENGTH) throw invalid(text, `it is longer than ${MAX_LENGTH} characters`)
  try {
    const { words, forCroner, lasts } = readWords(text)
    const pattern = new CronPattern(forCroner.join(' '), undefined, { mode: '6-part' })
    const fixed = !words.slice(0, 3).some((word) => word.includes('*'))
    return { key: `cron ${words.join(' ')}`, fields: fieldsOf(pattern, words, lasts), fixed }
  } catch (error) {
    throw invalid(text, String((error as Error).message).replace('CronPattern: ', ''))
  }
}

function invalid(text: string, reason: string): Error {
  return new CronInvalidError(show(text), reason)
}

// Copies small values only and keeps no reference to the pattern, as it holds 10,000 years.
function fieldsOf(pattern: CronPattern, words: readonly string[], lasts: readonly LastDay[]): CalendarFields {
  const { starDOW } = pattern
  // croner tests whether the field is `*`; crontab(5) and Vixie cron test whether it starts with `*`.
  const both = pattern.useAndLogic || words[3]!.startsWith('*') || words[5]!.startsWith('*')
  const numbered = pattern.day.reduce((mask, on, index) => (on ? mask | (1 << (index + 1)) : mask), 0)
  const nearest = indexes(pattern.nearestWeekdays).map((index) => index + 1)
  const weekdays = [...pattern.dayOfWeek]
  const plain = lasts.length === 0 && nearest.length === 0

  const daysOfMonth = (year: number, month: number): number => {
    if (plain) return numbered
    const length = daysInMonth(year, month)
    let mask = numbered
    for (const { back, weekday } of lasts) {
      const day = length - back
      if (day >= 1) mask |= 1 << (weekday ? nearestWeekday(year, month, day) : day)
    }
    for (const day of nearest) if (day <= length) mask |= 1 << nearestWeekday(year, month, day)
    return mask
  }
  const daysOfWeek = (year: number, month: number): number => {
    const length = daysInMonth(year, month)
    let weekday = weekdayOf(year, month, 1)
    let mask = 0
    for (let day = 1; day <= length; day++) {
      // Bit n - 1 of a weekday stands for its nth occurrence in the month, bit 5 for its last.
      const nth = weekdays[weekday] as number
      if (nth & (1 << Math.floor((day - 1) / 7)) || (nth & 32 && day + 7 > length)) mask |= 1 << day
      weekday = weekday === 6 ? 0 : weekday + 1
    }
    return mask
  }
  const days = (year: number, month: number): number =>
    both ? daysOfMonth(year, month) & daysOfWeek(year, month) : daysOfMonth(year, month) | daysOfWeek(year, month)

  return {
    seconds: indexes(pattern.second),
    minutes: indexes(pattern.minute),
    hours: indexes(pattern.hour),
    months: indexes(pattern.month).map((index) => index + 1),
    nextYear: (year) => year,
    days: starDOW ? (numbered === ALL_DAYS ? () => ALL_DAYS : daysOfMonth) : days
  }
}

function nearestWeekday(year: number, month: number, day: number): number {
  const weekday = weekdayOf(year, month, day)
  const length = daysInMonth(year, month)
  if (weekday === 0) return day === length ? day - 2 : day + 1
  if (weekday === 6) return day === 1 ? day + 2 : day - 1
  return day
}

function indexes(flags: readonly number[]): number[] {
  return flags.flatMap((flag, index) => (flag ? [index] : []))
}
