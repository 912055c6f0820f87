import { DAY, HOUR, MINUTE, SECOND } from '../base/duration.js'
import { TriggerNeverError } from '../errors.js'
import type { Bounds } from './bounds.js'
import { boundsKey } from './bounds.js'
import type { Budget } from './budget.js'
import type { CalendarFields } from './calendar.js'
import { Calendar } from './calendar.js'
import { type Grid, gcd } from './grids.js'
import type { Stretch, TickSource } from './source.js'
import { zoneOf } from './timezone.js'
import type { Segment, Zone } from './zone.js'

/** The local times of a cron expression, or of a calendar trigger. */
export interface LocalTimes {
  /** What they were read from, in canonical form. */
  readonly key: string
  readonly fields: CalendarFields
  /**
   * Whether they are particular times: no `*` in a cron expression's hour, minute and second. Only such times are moved
   * out of a gap, and kept from running twice, when clocks change.
   */
  readonly fixed: boolean
  /** A grid in wall time that all of them lie on, if one is known that is coarser than that of the times of day. */
  readonly grid?: Grid
}

// cron(8): a change of three hours or more is a correction of the clock, and skipped times are not made up for.
const CORRECTION = 3 * HOUR
// Longer than any repeated stretch of local time.
const LOOK_BACK = 25 * HOUR
// Wall times are searched for in the years 1 to 9999.
const EARLIEST = new Date(0).setUTCFullYear(1, 0, 3)
const YEAR = 365 * DAY

/**
 * Ticks at local times of a time zone, with Vixie cron's rule for changes of the clock: fixed times that are skipped run
 * right after the gap, fixed times that are repeated run once, and all others follow real time.
 *
 * Source: cron(8) of Vixie cron 3 and later, "special considerations ... daylight savings time".
 */
export class LocalTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  readonly #calendar: Calendar
  readonly #zone: Zone
  readonly #fixed: boolean
  /** The grid that all matches lie on, in wall time. */
  readonly #grid: Grid

  /** @throws TriggerNeverError when there is no tick within the bounds, past or future */
  constructor(times: LocalTimes, timezone: string, bounds: Bounds) {
    this.key = `${times.key} ${timezone.toLowerCase()}${boundsKey(bounds)}`
    this.first = bounds.start
    this.last = bounds.end
    this.#calendar = new Calendar(times.fields)
    this.#zone = zoneOf(timezone)
    this.#fixed = times.fixed
    this.#grid = times.grid ?? gridOf(times.fields)
    if (this.#never()) throw new TriggerNeverError(this.key)
    Object.freeze(this)
  }

  next(after: number, budget?: Budget): number | null {
    const from = Math.max(Math.floor(after), this.first - 1, EARLIEST)
    if (!(from < this.last)) return null
    const tick = this.#fixed ? this.#nextFixed(from, budget) : this.#nextWild(from, budget)
    budget?.spend(2 + (tick === null ? 1000 : Math.floor((tick - from) / YEAR)))
    return tick !== null && tick <= this.last ? tick : null
  }

  stretchAt(at: number, budget?: Budget): Stretch {
    const { to, offset } = this.#zone.segmentAt(at, budget)
    const { period, anchor } = this.#grid
    return { grid: { period, anchor: anchor - offset }, to }
  }

  #never(): boolean {
    // Without a start the past has no bound, so only times that name their years can end before they begin.
    const match = this.#calendar.next(EARLIEST)
    if (match === null) return true
    const bounded = this.first !== Number.NEGATIVE_INFINITY || this.last < match + 2 * DAY
    return bounded && this.next(Number.NEGATIVE_INFINITY) === null
  }

  /** See `TickSource.coveredUntil`. Fixed times are too few for a stretch. */
  coveredUntil(at: number, period: number, budget?: Budget): number {
    if (this.#fixed || period % SECOND !== 0) return at + 1
    budget?.spend(20)
    const { to, offset } = this.#zone.segmentAt(at, budget)
    return Math.min(this.#calendar.matchesUntil(at + offset, period) - offset, to, this.last + 1)
  }

  // Each match in wall time is one instant, and the instants have the order of the matches. So the next tick is the
  // instant of the first match after the latest wall time reached so far; in a repeated hour that is the hour's end.
  #nextFixed(after: number, budget?: Budget): number | null {
    const zone = this.#zone
    let segment = zone.segmentAt(after, budget)
    let wall = after + segment.offset
    while (segment.from > after - LOOK_BACK) {
      const before = zone.segmentAt(segment.from - 1, budget)
      wall = Math.max(wall, segment.from + before.offset - 1)
      segment = before
    }
    for (;;) {
      const match = this.#calendar.next(wall)
      if (match === null) return null
      const { at, gap } = zone.read(match, budget)
      if (gap < CORRECTION) return at
      wall = at + zone.segmentAt(at, budget).offset - 1
    }
  }

  // Instants whose wall time matches: within one segment, wall time and real time run alike.
  #nextWild(after: number, budget?: Budget): number | null {
    let segment: Segment = this.#zone.segmentAt(after, budget)
    let wall = after + segment.offset
    for (;;) {
      const match = this.#calendar.next(wall)
      const at = match === null ? Number.POSITIVE_INFINITY : match - segment.offset
      if (at < segment.to) return at
      // If clocks are set back soon, a past match may be repeated; otherwise no change within reach of `at` is skipped.
      const near = segment.to - after < DAY
      if (match === null && !near) return null
      const from = near ? segment.to : Math.max(segment.to, at - 2 * DAY)
      if (!Number.isFinite(from)) return null
      segment = this.#zone.segmentAt(from, budget)
      wall = from + segment.offset - 1
    }
  }
}

/** Times of day lie on the grid of the greatest common divisor of their distances. */
function gridOf({ hours, minutes, seconds }: CalendarFields): Grid {
  let period = DAY
  let anchor = 0
  for (const [values, unit] of [
    [hours, HOUR],
    [minutes, MINUTE],
    [seconds, SECOND]
  ] as const) {
    const first = values[0] as number
    anchor += first * unit
    for (const value of values) period = gcd(period, (value - first) * unit)
  }
  return { period, anchor }
}
