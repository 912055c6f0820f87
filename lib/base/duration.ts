import ms, { type StringValue } from 'ms'
import type { Duration } from '../../types/duration.js'
import { DurationInvalidError } from '../errors.js'
import { copyKnown } from './check.js'
import { show } from './show.js'

export const MILLISECOND = 1
export const SECOND = 1000 * MILLISECOND
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
export const WEEK = 7 * DAY

const PARTS = { weeks: WEEK, days: DAY, hours: HOUR, minutes: MINUTE, seconds: SECOND, milliseconds: MILLISECOND }

const PART_NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

/** The range a duration is checked against, both ends included, in milliseconds. */
export interface DurationRange {
  /** @default 0 */
  readonly min?: number
  /** @default 100 years */
  readonly max?: number
}

const CENTURY = 36_525 * DAY

// `ms` reads the first as milliseconds and the second as minutes; other tools read them as seconds and months.
const UNITLESS = /^\s*[-+]?[\d.]+\s*$/
const MONTHS = /^\s*[-+]?[\d.]+\s*M$/

/**
 * Reads a duration.
 *
 * @param name the option's name, for the error's message
 * @returns whole milliseconds
 * @throws DurationInvalidError when the value cannot be read, is not a whole number of milliseconds, or is out of range
 */
export function parseDuration(value: Duration, name: string, { min = 0, max = CENTURY }: DurationRange = {}): number {
  const parsed = read(value, name)
  if (parsed === null || !Number.isInteger(parsed)) throw new DurationInvalidError(name, expectedOf(value), show(value))
  if (parsed < min || parsed > max) {
    const bound = parsed < min ? `of at least ${min} ms` : 'of at most 100 years'
    const expected = `a duration ${max === CENTURY ? bound : `from ${min} to ${max} ms`}`
    throw new DurationInvalidError(name, expected, show(value))
  }
  return parsed
}

/** What to write instead of a value that cannot be read. */
function expectedOf(value: unknown): string {
  if (typeof value === 'string' && UNITLESS.test(value)) {
    return `a duration with its unit, such as '30s', or '30ms' for milliseconds`
  }
  if (typeof value === 'string' && MONTHS.test(value)) {
    return "a duration of one meaning: '1m' or { minutes: 1 } for a minute, { days: 30 } for a month's length"
  }
  return "whole milliseconds, a string such as '5m', or an object such as { minutes: 5 }"
}

function read(value: unknown, name: string): number | null {
  if (typeof value === 'number') return value
  if (typeof value === 'string') {
    if (value.length === 0 || value.length > 100 || UNITLESS.test(value) || MONTHS.test(value)) return null
    // `ms` returns undefined or NaN for a string that it cannot read, whatever its types say.
    const parsed = ms(value as StringValue) as number | undefined
    return parsed === undefined || Number.isNaN(parsed) ? null : exact(parsed)
  }
  if (typeof value !== 'object' || value === null) return null
  const parts = copyKnown(value, PART_NAMES, `\`${name}\``)
  let sum = 0
  let given = false
  for (const part of PART_NAMES) {
    const count = parts[part]
    if (count === undefined) continue
    if (typeof count !== 'number' || !(count >= 0)) return null
    sum += count * PARTS[part]
    given = true
  }
  return given ? exact(sum) : null
}

/** Rounds off the error of binary fractions: 1.1 hours are computed as 3960000.0000000005 ms. */
function exact(length: number): number {
  const whole = Math.round(length)
  return Math.abs(length - whole) <= 8 * Number.EPSILON * whole ? whole : length
}
