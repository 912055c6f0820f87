import { MINUTE, WEEK } from '../base/duration.js'
import { show } from '../base/show.js'
import { TimezoneInvalidError } from '../errors.js'
import { Zone } from './zone.js'

// By lower-case name. Only names that Intl knows are kept, so the cache cannot outgrow the tz database.
const zones = new Map<string, Zone>()
const NAME = /^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/

/**
 * Checks an IANA time zone's name. Offsets such as `+02:00` are refused, as they ignore daylight saving time.
 *
 * @returns the name, as it was given
 * @throws TimezoneInvalidError
 */
export function checkTimezone(value: unknown): string {
  if (typeof value !== 'string' || find(value) === null) throw new TimezoneInvalidError(show(value))
  return value
}

/**
 * The offsets of a time zone, one shared instance for each.
 *
 * @throws TimezoneInvalidError
 */
export function zoneOf(timezone: string): Zone {
  const zone = find(timezone)
  if (zone === null) throw new TimezoneInvalidError(show(timezone))
  return zone
}

/**
 * The process' own time zone if its clocks differ from those of `timezone` at some time in the coming year; else
 * `null`.
 */
export function otherProcessZone(timezone: string, now: number): string | null {
  const zone = zoneOf(timezone)
  for (let at = now; at <= now + 53 * WEEK; at += 4 * WEEK) {
    // By `Date`, as making a formatter takes milliseconds.
    const offset = -new Date(at).getTimezoneOffset() * MINUTE
    if (offset !== zone.segmentAt(at).offset) return new Intl.DateTimeFormat().resolvedOptions().timeZone
  }
  return null
}

function find(name: string): Zone | null {
  if (!NAME.test(name)) return null
  const key = name.toLowerCase()
  let zone = zones.get(key)
  if (zone === undefined) {
    try {
      zone = new Zone(name)
    } catch {
      return null
    }
    zones.set(key, zone)
  }
  return zone
}
