import { DAY, SECOND } from '../base/duration.js'
import { type CalendarFields, daysInMonth, midnight } from './calendar.js'
import { type Grid, gcd } from './grids.js'
import type { LocalTimes } from './local.js'

/** Days that repeat, at a time of day. */
type CycledTimes = LocalTimes & { readonly fixed: true }

/** Stands for the last day of a month, as does any day that the month does not have. */
export const LAST_DAY = 31

const ALL_MONTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
/** Days and months are written as one number in a cycle of months. */
const DAYS = 32

/** The number of a day: 1970-01-01 is 0, as in the years before and after. */
export function dayNumber(year: number, month: number, day: number): number {
  return midnight(year, month, day) / DAY
}

/** The number of a month: January of the year 0 is 0. */
export function monthNumber(year: number, month: number): number {
  return 12 * year + month - 1
}

/**
 * A time of day on days that repeat after a number of days.
 *
 * @param days numbers of days, see `dayNumber`, of which only the remainder by `period` counts
 * @param time the time of day, in milliseconds
 */
export function dayCycle(given: number, days: readonly number[], time: number): CycledTimes {
  const { period, places } = shortest(given, 1, days)
  const fields: CalendarFields = {
    ...timeFields(time),
    nextYear: (year) => yearOfDay(nextOf(places, period, dayNumber(year, 1, 1))),
    days: (year, month) => {
      const first = dayNumber(year, month, 1)
      const length = daysInMonth(year, month)
      let mask = 0
      for (const place of places) {
        for (let day = 1 + modulo(place - first, period); day <= length; day += period) mask |= 1 << day
      }
      return mask
    }
  }
  const anchor = places[0] as number
  const step = places.reduce((divisor, place) => gcd(divisor, place - anchor), period)
  const grid: Grid = { period: step * DAY, anchor: anchor * DAY + time }
  return { key: `every ${period} days on ${places.join(',')} at ${clockOf(time)}`, fields, fixed: true, grid }
}

/** A day of a month. */
export interface DayOfMonth {
  /** See `monthNumber`; only the remainder by the period counts. */
  readonly month: number
  /** 1 to 31; a day that the month does not have is its last one. */
  readonly day: number
}

/** A time of day on days of months that repeat after a number of months; `time` is in milliseconds. */
export function monthCycle(given: number, days: readonly DayOfMonth[], time: number): CycledTimes {
  const numbers = days.map(({ month, day }) => month * DAYS + (isLast(given, month, day) ? LAST_DAY : day))
  const { period, places } = shortest(given, DAYS, numbers)
  const masks = new Map<number, number>()
  for (const place of places) {
    const month = Math.floor(place / DAYS)
    masks.set(month, (masks.get(month) ?? 0) | (1 << (place % DAYS)))
  }
  const months = [...masks.keys()]
  const fields: CalendarFields = {
    ...timeFields(time),
    nextYear: (year) => Math.floor(nextOf(months, period, monthNumber(year, 1)) / 12),
    days: (year, month) => {
      const mask = masks.get(modulo(monthNumber(year, month), period)) ?? 0
      const length = daysInMonth(year, month)
      const isBeyond = length < LAST_DAY && mask >>> (length + 1) !== 0
      return isBeyond ? mask | (1 << length) : mask
    }
  }
  const written = places.map((place) => {
    const day = place % DAYS
    return `${Math.floor(place / DAYS)}/${day === LAST_DAY ? 'last' : day}`
  })
  return { key: `every ${period} months on ${written.join(',')} at ${clockOf(time)}`, fields, fixed: true }
}

/** Whether a day is the last of its month in each cycle; a cycle of whole years has always the same months. */
function isLast(period: number, month: number, day: number): boolean {
  return period % 12 === 0 && day >= daysInMonth(2000, modulo(month, 12) + 1)
}

function timeFields(time: number): Pick<CalendarFields, 'seconds' | 'minutes' | 'hours' | 'months'> {
  const seconds = time / SECOND
  return {
    seconds: [seconds % 60],
    minutes: [Math.floor(seconds / 60) % 60],
    hours: [Math.floor(seconds / 3600)],
    months: ALL_MONTHS
  }
}

function clockOf(time: number): string {
  return new Date(time).toISOString().slice(11, 19)
}

/**
 * The places of a cycle, ascending, and the shortest period after which they repeat, so that equal cycles are written
 * alike.
 *
 * @param size how many places each unit of the period has
 * @param numbers places, of which only the remainder by the period counts
 */
function shortest(given: number, size: number, numbers: readonly number[]): { period: number; places: number[] } {
  const placesIn = (period: number): number[] =>
    [...new Set(numbers.map((number) => modulo(number, period * size)))].sort((a, b) => a - b)
  const all = placesIn(given)
  for (let period = 1; 2 * period <= given; period++) {
    if (given % period !== 0 || all.length % (given / period) !== 0) continue
    const places = placesIn(period)
    if (places.length * (given / period) === all.length) return { period, places }
  }
  return { period: given, places: all }
}

/** The first number that is not before `from` and has one of the places in a period. */
function nextOf(places: readonly number[], period: number, from: number): number {
  let nearest = Number.POSITIVE_INFINITY
  for (const place of places) nearest = Math.min(nearest, from + modulo(place - from, period))
  return nearest
}

function yearOfDay(number: number): number {
  return new Date(number * DAY).getUTCFullYear()
}

function modulo(value: number, by: number): number {
  return value - Math.floor(value / by) * by
}
