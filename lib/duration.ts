import type { StringValue } from 'ms'
import type { Duration } from '../types/duration.js'
import { copyKnown } from './check.js'
import { DurationInvalidError } from './errors.js'
import { loadMs } from './lazy.js'
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

/**
 * Reads a duration.
 *
 * @param name the option's name, for the error's message
 * @returns whole milliseconds
 * @throws DurationInvalidError when the value cannot be read, is not a whole number of milliseconds, or is out of range
 */
export function parseDuration(value: Duration, name: string, { min = 0, max = CENTURY }: DurationRange = {}): number {
  const parsed = read(value, name)
  if (parsed === null || !Number.isInteger(parsed)) {
    const expected = "whole milliseconds, a string such as '5m', or an object such as { minutes: 5 }"
    throw new DurationInvalidError(name, expected, show(value))
  }
  if (parsed < min || parsed > max) {
    const expected = max === CENTURY ? `a duration of at least ${min} ms` : `a duration from ${min} to ${max} ms`
    throw new DurationInvalidError(name, expected, show(value))
  }
  return parsed
}

function read(value: unknown, name: string): number | null {
  if (typeof value === 'number') return value
  if (typeof value === 'string') {
    if (value.length === 0 || value.length > 100) return null
    // `ms` answers undefined or NaN for what it cannot read, whatever its types say.
    const parsed = loadMs()(value as StringValue) as number | undefined
    return parsed === undefined || Number.isNaN(parsed) ? null : parsed
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
  return given ? sum : null
}
