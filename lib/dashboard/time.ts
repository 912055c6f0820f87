// Times and durations in words. The zone is always given: nothing here knows a clock, or where the reader is.

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** The farthest from the epoch that a `Date` can be. */
const FARTHEST = 8.64e15

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const formats = new Map<string, Intl.DateTimeFormat>()

/** A time on the calendar of a zone. */
interface Local {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly weekday: string
  readonly hour: string
  readonly minute: string
  readonly second: string
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known !== undefined) return known
  const options = {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23'
  } as const
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { ...options, timeZone: zone })
  } catch {
    // A zone that this browser does not know yet; its name stands beside the time.
    format = new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' })
  }
  formats.set(zone, format)
  return format
}

function localOf(time: number, zone: string): Local | null {
  if (!(Math.abs(time) <= FARTHEST)) return null
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of formatOf(zone).formatToParts(time)) parts[type] = value
  const { year, month, day, weekday = '', hour = '', minute = '', second = '' } = parts
  return { year: Number(year), month: Number(month), day: Number(day), weekday, hour, minute, second }
}

/** What stands where a time is none. */
const UNKNOWN = '?'

function told(time: number, zone: string, words: (local: Local) => string): string {
  const local = localOf(time, zone)
  return local === null ? UNKNOWN : words(local)
}

/** `14:32:18` */
export function hms(time: number, zone: string): string {
  return told(time, zone, ({ hour, minute, second }) => `${hour}:${minute}:${second}`)
}

/** `14:32` */
export function hm(time: number, zone: string): string {
  return told(time, zone, ({ hour, minute }) => `${hour}:${minute}`)
}

/** `14:32`, or `14:32:10` where there are seconds: the name of a tick within a day. */
export function clock(time: number, zone: string): string {
  return told(time, zone, ({ hour, minute, second }) =>
    second === '00' ? `${hour}:${minute}` : `${hour}:${minute}:${second}`
  )
}

/** `14:32:18.021` */
export function hmsMillis(time: number, zone: string): string {
  const millis = ((Math.floor(time) % SECOND) + SECOND) % SECOND
  return `${hms(time, zone)}.${String(millis).padStart(3, '0')}`
}

/** `Thu` */
export function weekday(time: number, zone: string): string {
  return told(time, zone, (local) => local.weekday)
}

/** `26 Nov` */
export function date(time: number, zone: string): string {
  return told(time, zone, ({ day, month }) => `${day} ${MONTHS[month - 1]}`)
}

/** `Thu 26 Nov` */
export function day(time: number, zone: string): string {
  return told(time, zone, (local) => `${local.weekday} ${local.day} ${MONTHS[local.month - 1]}`)
}

/** Whether two times are on one day. */
export function isSameDay(a: number, b: number, zone: string): boolean {
  const [x, y] = [localOf(a, zone), localOf(b, zone)]
  return x !== null && y !== null && x.day === y.day && x.month === y.month && x.year === y.year
}

/**
 * A time as short as it can be told: `14:32:18` today, `Fri 09:00` within six days, `24 Nov 16:20` within the year.
 *
 * @param clockOf how it is told today
 */
export function when(time: number, now: number, zone: string, clockOf = hms): string {
  if (isSameDay(time, now, zone)) return clockOf(time, zone)
  return `${dayNear(time, now, zone)} ${hm(time, zone)}`
}

/** `Fri` within six days, `24 Nov` within the year, else `24 Nov 2025`. */
export function dayNear(time: number, now: number, zone: string): string {
  if (Math.abs(time - now) < 6 * DAY) return weekday(time, zone)
  const [there, here] = [localOf(time, zone), localOf(now, zone)]
  if (there === null || there.year === here?.year) return date(time, zone)
  return `${date(time, zone)} ${there.year}`
}

/** `tomorrow at 12:30`, `at 12:30`, `on Sat 28 Nov at 12:30`. */
export function on(time: number, now: number, zone: string): string {
  const at = `at ${clock(time, zone)}`
  if (isSameDay(time, now, zone)) return at
  if (isSameDay(time, now + DAY, zone)) return `tomorrow ${at}`
  return `on ${day(time, zone)} ${at}`
}

/** `620 ms`, `9.4 s`, `45 s`, `1 min 41 s`, `2 h 26 min`, `1 d 2 h`, `12 d`. */
export function duration(ms: number): string {
  if (!(ms > 0)) return '0 ms'
  if (ms === Number.POSITIVE_INFINITY) return UNKNOWN
  if (Math.round(ms) < SECOND) return `${Math.round(ms)} ms`
  const tenths = Math.round(ms / 100)
  if (tenths < 100) return `${(tenths / 10).toFixed(tenths % 10 === 0 ? 0 : 1)} s`
  const seconds = Math.round(ms / SECOND)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (seconds < 60) return `${seconds} s`
  if (minutes < 60) return withRest(minutes, 'min', seconds % 60, 's')
  if (hours < 24) return withRest(hours, 'h', minutes % 60, 'min')
  return withRest(days, 'd', days < 7 ? hours % 24 : 0, 'h')
}

function withRest(whole: number, unit: string, rest: number, smaller: string): string {
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smaller}`
}

/** A countdown: whole seconds below ten minutes, whole minutes above. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / SECOND)) * SECOND
  if (seconds === 0) return '0 s'
  return duration(seconds < 10 * MINUTE ? seconds : Math.floor(seconds / MINUTE) * MINUTE)
}

/** `7 days`, or what else a retention is. */
export function days(ms: number): string {
  const count = ms / DAY
  return Number.isInteger(count) && count > 0 ? `${count} ${count === 1 ? 'day' : 'days'}` : duration(ms)
}

/** `in 7 min 42 s` */
export function until(time: number, now: number): string {
  return `in ${countdown(time - now)}`
}

/** An age: whole seconds below a minute, whole minutes above. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND)) * SECOND
  if (seconds === 0) return '0 s'
  return duration(seconds < MINUTE ? seconds : Math.floor(seconds / MINUTE) * MINUTE)
}

/** `32 min ago` */
export function ago(time: number, now: number): string {
  return `${age(now - time)} ago`
}

/** `due in 6 min`: of what is expected, minutes will do, rounded up. */
export function dueIn(time: number, now: number): string {
  return `due in ${duration(Math.max(1, Math.ceil((time - now) / MINUTE)) * MINUTE)}`
}

/** `New York` of `America/New_York`. */
export function city(zone: string): string {
  return (zone.split('/').at(-1) ?? zone).replaceAll('_', ' ')
}

/** The zone of who reads. */
export function readersZone(): string {
  try {
    return new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
  } catch {
    return 'UTC'
  }
}

/** Whether two zones tell a time alike: where they do, one is enough. */
export function isSameClock(a: string, b: string, time: number): boolean {
  return a === b || (hms(time, a) === hms(time, b) && isSameLocalDay(time, a, b))
}

function isSameLocalDay(time: number, a: string, b: string): boolean {
  return day(time, a) === day(time, b)
}
