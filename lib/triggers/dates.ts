import { isDate } from 'node:util/types'
import { show } from '../base/show.js'
import { DateInvalidError } from '../errors.js'
import { zoneOf } from './timezone.js'

/** The largest distance from the Unix epoch that a `Date` can have, in milliseconds. */
export const MAX_TIME = 8.64e15

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/

/**
 * Reads a date: a `Date`, whole milliseconds since the Unix epoch, or an ISO 8601 string.
 *
 * A string without an offset is read in `timezone`, never in the process's own zone; without a time it is midnight
 * there. A local time that occurs twice is its first occurrence, one that a clock change skips is the end of the gap,
 * which is when a cron trigger would run it.
 *
 * @param name the option's name, for the error's message
 * @returns milliseconds since the Unix epoch
 * @throws DateInvalidError
 */
export function readDate(value: unknown, name: string, timezone: string): number {
  const at = read(value, timezone)
  if (at === null || !Number.isInteger(at) || Math.abs(at) > MAX_TIME) throw new DateInvalidError(name, show(value))
  return at
}

function read(value: unknown, timezone: string): number | null {
  if (typeof value === 'number') return value
  if (typeof value === 'string') return readIso(value, timezone)
  return isDate(value) ? Date.prototype.getTime.call(value) : null
}

function readIso(text: string, timezone: string): number | null {
  const parts = text.length > 40 ? null : ISO.exec(text)
  if (parts === null) return null
  const part = (index: number): number => Number(parts[index] ?? 0)
  const date = new Date(0)
  date.setUTCFullYear(part(1), part(2) - 1, part(3))
  if (date.getUTCMonth() !== part(2) - 1 || date.getUTCDate() !== part(3)) return null
  if (part(4) > 23 || part(5) > 59 || part(6) > 59) return null
  const milliseconds = Number((parts[7] ?? '').padEnd(3, '0').slice(0, 3))
  const wall = date.getTime() + ((part(4) * 60 + part(5)) * 60 + part(6)) * 1000 + milliseconds
  const offset = parts[8]
  if (offset === undefined) return zoneOf(timezone).read(wall).at
  if (offset === 'Z') return wall
  const hours = Number(offset.slice(1, 3))
  const minutes = Number(offset.slice(3).replace(':', '') || 0)
  if (hours > 23 || minutes > 59) return null
  const shift = (hours * 60 + minutes) * 60_000
  return offset.startsWith('-') ? wall + shift : wall - shift
}
