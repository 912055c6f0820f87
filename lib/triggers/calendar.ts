import { DAY, HOUR, MINUTE, SECOND } from '../base/duration.js'

/** The local times at which a cron expression matches, whatever its time zone. */
export interface CalendarFields {
  /** Ascending, as are the other lists. */
  readonly seconds: readonly number[]
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  /** 1 to 12. */
  readonly months: readonly number[]
  /** The first matching year not before `year`, or `null` when there is none. */
  nextYear(year: number): number | null
  /** The matching days of a month: bit 1 for the 1st to bit 31 for the 31st. Days past the month's end are ignored. */
  days(year: number, month: number): number
}

const FIRST_YEAR = 1
const LAST_YEAR = 9999
// The Gregorian calendar repeats, weekdays included, after this many years.
const CYCLE = 400
const START = new Date(0).setUTCFullYear(FIRST_YEAR, 0, 1)

/** The number of days of a month, 1 to 12. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** The weekday of a date, 0 to 6, where 0 is Sunday. */
export function weekdayOf(year: number, month: number, day: number): number {
  return new Date(midnight(year, month, day)).getUTCDay()
}

/** Midnight of a date as if local time were UTC. A day of 0 is the last of the month before. */
export function midnight(year: number, month: number, day: number): number {
  // Date.UTC reads the years 0 to 99 as 1900 to 1999.
  if (year >= 100) return Date.UTC(year, month - 1, day)
  return new Date(0).setUTCFullYear(year, month - 1, day)
}

/**
 * Searches a calendar's matches in wall time, which is local time written as the milliseconds it would be in UTC. It
 * knows nothing of time zones.
 */
export class Calendar {
  readonly #fields: CalendarFields
  // For each value the first match that is not smaller, or -1. One slot more than values, so that `value + 1` exists.
  readonly #second: Int8Array
  readonly #minute: Int8Array
  readonly #hour: Int8Array
  readonly #month: Int8Array

  constructor(fields: CalendarFields) {
    this.#fields = fields
    this.#second = following(fields.seconds, 60)
    this.#minute = following(fields.minutes, 60)
    this.#hour = following(fields.hours, 24)
    this.#month = following(fields.months, 13)
  }

  /** The first match strictly later than `wall`, or `null` when there is none up to the year 9999. */
  next(wall: number): number | null {
    const from = Math.max(Math.floor(wall / SECOND) * SECOND + SECOND, START)
    const date = new Date(from)
    const year = date.getUTCFullYear()
    const day = date.getUTCDate()
    const start = Math.floor(from / DAY) * DAY
    if (this.#matches(year, date.getUTCMonth() + 1, day)) {
      const time = this.#nextTime(from - start)
      if (time !== null) return start + time
    }
    const later = this.#nextDay(year, date.getUTCMonth() + 1, day + 1)
    return later === null ? null : later + (this.#nextTime(0) as number)
  }

  /**
   * The exclusive end of a stretch in which all times are matches that lie `period` or a multiple of it after a match.
   *
   * @param wall a match
   * @param period whole seconds, in milliseconds
   */
  matchesUntil(wall: number, period: number): number {
    const { seconds, minutes, hours } = this.#fields
    // Times whose distance is whole minutes all have the match's second, and so on.
    if (period % MINUTE !== 0 && seconds.length < 60) return wall + 1
    const start = Math.floor(wall / DAY) * DAY
    if (period % HOUR !== 0 && minutes.length < 60) {
      const hour = Math.floor(wall / HOUR) * HOUR
      return hour + runEnd(this.#minute, Math.floor((wall - hour) / MINUTE)) * MINUTE
    }
    if (period % DAY !== 0 && hours.length < 24) {
      return start + runEnd(this.#hour, Math.floor((wall - start) / HOUR)) * HOUR
    }
    const date = new Date(start)
    return this.#daysUntil(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())
  }

  /** Midnight of the first day after a matching one that does not match, or of one about a year later. */
  #daysUntil(fromYear: number, fromMonth: number, fromDay: number): number {
    let [year, month, day] = [fromYear, fromMonth, fromDay]
    for (let months = 0; months < 12; months++) {
      const length = daysInMonth(year, month)
      const mask = this.#days(year, month)
      while (day <= length && (mask & (1 << day)) !== 0) day++
      if (day <= length) break
      year += month === 12 ? 1 : 0
      month = month === 12 ? 1 : month + 1
      day = 1
    }
    return midnight(year, month, day)
  }

  #matches(year: number, month: number, day: number): boolean {
    return (this.#days(year, month) & (1 << day)) !== 0
  }

  /** The matching days of a month, as in `CalendarFields`. */
  #days(year: number, month: number): number {
    if (year > LAST_YEAR || this.#month[month] !== month || this.#fields.nextYear(year) !== year) return 0
    return this.#fields.days(year, month)
  }

  /** Milliseconds since midnight of the first match not before `time`. */
  #nextTime(time: number): number | null {
    const second = Math.floor(time / SECOND) % 60
    const minute = Math.floor(time / MINUTE) % 60
    const hour = Math.floor(time / HOUR)
    if (this.#hour[hour] === hour) {
      if (this.#minute[minute] === minute) {
        const found = this.#second[second] as number
        if (found >= 0) return hour * HOUR + minute * MINUTE + found * SECOND
      }
      const found = this.#minute[minute + (this.#minute[minute] === minute ? 1 : 0)] as number
      if (found >= 0) return hour * HOUR + found * MINUTE + (this.#second[0] as number) * SECOND
    }
    const found = this.#hour[hour + (this.#hour[hour] === hour ? 1 : 0)] as number
    if (found < 0) return null
    return found * HOUR + (this.#minute[0] as number) * MINUTE + (this.#second[0] as number) * SECOND
  }

  /** Midnight of the first matching day not before the given one. */
  #nextDay(fromYear: number, fromMonth: number, fromDay: number): number | null {
    let year = this.#fields.nextYear(fromYear)
    const limit = year === null ? 0 : Math.min(LAST_YEAR, year + CYCLE)
    let month = year === fromYear ? fromMonth : 1
    let day = year === fromYear ? fromDay : 1
    while (year !== null && year <= limit) {
      const found = this.#month[month] as number
      if (found < 0) {
        year = this.#fields.nextYear(year + 1)
        month = 1
        day = 1
        continue
      }
      if (found !== month) day = 1
      month = found
      // Shifts count modulo 32, so a day past the 31st must not reach one.
      const mask = day > 31 ? 0 : this.#fields.days(year, month) & (-1 << day)
      if (mask !== 0) {
        const match = 31 - Math.clz32(mask & -mask)
        if (match <= daysInMonth(year, month)) return midnight(year, month, match)
      }
      month++
      day = 1
    }
    return null
  }
}

/** The first value after a match, or after the matches that follow it, that is none. */
function runEnd(table: Int8Array, match: number): number {
  let value = match + 1
  while (table[value] === value) value++
  return value
}

function following(values: readonly number[], size: number): Int8Array {
  const table = new Int8Array(size + 1).fill(-1)
  const allowed = new Set(values)
  for (let i = size - 1; i >= 0; i--) table[i] = allowed.has(i) ? i : (table[i + 1] as number)
  return table
}
