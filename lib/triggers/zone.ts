import { DAY, HOUR } from '../base/duration.js'
import type { Budget } from './budget.js'

/** A stretch of time, `from` inclusive and `to` exclusive, in which a zone's offset from UTC does not change. */
export interface Segment {
  readonly from: number
  readonly to: number
  /** Local time minus UTC, in milliseconds. */
  readonly offset: number
}

/** The instant that a local (wall clock) time stands for in a zone. */
export interface WallReading {
  /** The instant; the first for a time that occurs twice, the end of the gap for a time that is skipped. */
  readonly at: number
  /** How many milliseconds of local time are skipped around the time read; 0 when it exists. */
  readonly gap: number
}

// Offsets are looked up a block at a time. Since 1970 no zone has had two changes less than 6.9 days apart (Recife,
// October 2000; found by walking the tz database), so a probe every 4 days misses none.
const BLOCK = 128 * DAY
const PROBE = 4 * DAY
// No zone changes its offset before `FIRST`. A year's kind is its length and first weekday. Every kind occurs in the 28
// years from `KINDS_FROM`, and every later year has the changes of the year of its kind among them.
const FIRST = Date.UTC(1800, 0, 1)
const KINDS_FROM = 2101
const KINDS_TO = 2129
const KINDS_END = Date.UTC(KINDS_TO, 0, 1)
const MAX_BLOCKS = 2048
// More than any zone's offset from UTC.
const MAX_OFFSET = 16 * HOUR
// Further ahead than any search goes.
const LAST = Date.UTC(200_000, 0, 1)

/**
 * A time zone's offsets by Intl's data, cached, so that a conversion costs an array look-up instead of a formatter.
 *
 * A wall time is expressed as the milliseconds since the epoch that the same reading would have in UTC.
 */
export class Zone {
  readonly #format: Intl.DateTimeFormat | null
  readonly #blocks = new Map<number, readonly Segment[]>()
  readonly #isFixed: boolean
  #recent: Segment

  /** @throws RangeError when Intl does not know the zone */
  constructor(timezone: string) {
    // Intl's first formatter takes 12 ms, which an app with UTC times alone is spared.
    this.#format =
      timezone.toUpperCase() === 'UTC'
        ? null
        : new Intl.DateTimeFormat('en-US', {
            timeZone: timezone,
            calendar: 'gregory',
            numberingSystem: 'latn',
            hourCycle: 'h23',
            day: 'numeric',
            hour: 'numeric',
            minute: 'numeric',
            second: 'numeric'
          })
    this.#isFixed = this.#format === null || this.#format.resolvedOptions().timeZone === 'UTC'
    this.#recent = this.#isFixed
      ? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY, offset: 0 }
      : { from: 0, to: 0, offset: 0 }
  }

  /** The segment that an instant lies in. Neighbouring segments may have equal offsets. */
  segmentAt(at: number, budget?: Budget): Segment {
    const recent = this.#recent
    // The charge must not depend on what earlier searches have cached.
    const isRecent = at >= recent.from && at < recent.to
    if (isRecent && (budget === undefined || this.#isFixed)) return recent
    if (at < FIRST || at >= LAST) return this.#outerSegment(at)
    if (at >= KINDS_END) return this.#farSegment(at, budget)
    const index = Math.floor(at / BLOCK)
    budget?.read(this, index)
    if (isRecent) return recent
    let block = this.#blocks.get(index)
    if (block === undefined) {
      if (this.#blocks.size >= MAX_BLOCKS) this.#blocks.clear()
      block = this.#readBlock(index * BLOCK)
      this.#blocks.set(index, block)
    }
    let segment = block[0] as Segment
    for (let i = 1; segment.to <= at; i++) segment = block[i] as Segment
    this.#recent = segment
    return segment
  }

  /** The instant that a wall time stands for. */
  read(wall: number, budget?: Budget): WallReading {
    let segment = this.segmentAt(wall - MAX_OFFSET, budget)
    let before = segment.offset
    for (;;) {
      const at = wall - segment.offset
      if (at < segment.from) return { at: segment.from, gap: segment.offset - before }
      if (at < segment.to) return { at, gap: 0 }
      before = segment.offset
      segment = this.segmentAt(segment.to, budget)
    }
  }

  #outerSegment(at: number): Segment {
    return at < FIRST
      ? { from: Number.NEGATIVE_INFINITY, to: FIRST, offset: this.#offset(FIRST) }
      : { from: LAST, to: Number.POSITIVE_INFINITY, offset: this.#offset(LAST) }
  }

  /** The segment as in the year of the same kind from `KINDS_FROM` on. */
  #farSegment(at: number, budget: Budget | undefined): Segment {
    const year = new Date(at).getUTCFullYear()
    const start = Date.UTC(year, 0, 1)
    const length = Date.UTC(year + 1, 0, 1) - start
    let like = KINDS_FROM + ((year - KINDS_FROM) % (KINDS_TO - KINDS_FROM))
    while (!isSameKind(like, year)) like = like + 1 < KINDS_TO ? like + 1 : KINDS_FROM
    const shift = start - Date.UTC(like, 0, 1)
    const { from, to, offset } = this.segmentAt(at - shift, budget)
    const segment = { from: Math.max(from + shift, start), to: Math.min(to + shift, start + length), offset }
    this.#recent = segment
    return segment
  }

  #readBlock(start: number): Segment[] {
    const segments: Segment[] = []
    const end = start + BLOCK
    let from = start
    let offset = this.#offset(start)
    for (let known = start; known < end; known += PROBE) {
      const next = this.#offset(known + PROBE)
      if (next === offset) continue
      let low = known
      let high = known + PROBE
      while (high - low > 1000) {
        const middle = low + Math.floor((high - low) / 2000) * 1000
        if (this.#offset(middle) === offset) low = middle
        else high = middle
      }
      if (high >= end) break
      segments.push({ from, to: high, offset })
      from = high
      offset = next
    }
    segments.push({ from, to: end, offset })
    return segments
  }

  /** @param instant on a whole second, as blocks and probes are, and so are all offsets */
  #offset(instant: number): number {
    // A text such as `31, 19:00:00`; `formatToParts` would take three times as long.
    const text = this.#format!.format(instant)
    const time = Number(text.slice(-8, -6)) * 3600 + Number(text.slice(-5, -3)) * 60 + Number(text.slice(-2))
    const distance = Number.parseInt(text, 10) - new Date(instant).getUTCDate()
    // The day before or after may be in another month.
    const days = Math.abs(distance) > 1 ? -Math.sign(distance) : distance
    return days * DAY + time * 1000 - (((instant % DAY) + DAY) % DAY)
  }
}

function isSameKind(a: number, b: number): boolean {
  const [start, other] = [Date.UTC(a, 0, 1), Date.UTC(b, 0, 1)]
  const isSameLength = Date.UTC(a + 1, 0, 1) - start === Date.UTC(b + 1, 0, 1) - other
  return isSameLength && new Date(start).getUTCDay() === new Date(other).getUTCDay()
}
