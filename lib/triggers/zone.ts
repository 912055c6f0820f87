import { DAY, HOUR } from '../duration.js'

/** A stretch of time, `from` inclusive and `to` exclusive, in which a zone's offset from UTC does not change. */
export interface Segment {
  readonly from: number
  readonly to: number
  /** Local time minus UTC, in milliseconds. */
  readonly offset: number
}

/** What a local (wall clock) time means in a zone. */
export interface WallReading {
  /** The instant: of a time that occurs twice the first one, of a time that is skipped the end of the gap. */
  readonly at: number
  /** How many milliseconds of local time are skipped around the time read; 0 when it exists. */
  readonly gap: number
}

// Offsets are looked up a block at a time. Since 1970 no zone has had two changes less than 6.9 days apart (Recife,
// October 2000; found by walking the tz database), so a probe every 4 days misses none.
const BLOCK = 128 * DAY
const PROBE = 4 * DAY
const MAX_BLOCKS = 2048
// Further back than the earliest local time of an instant, whatever the offset.
const MAX_OFFSET = 16 * HOUR
const EARLIEST = Date.UTC(1600, 0, 1)
const LATEST = 8.64e15 - BLOCK

/**
 * A time zone's offsets by Intl's data, cached, so that a conversion costs an array look-up instead of a formatter.
 *
 * A wall time is given as the milliseconds that the same reading would have in UTC.
 */
export class Zone {
  readonly #format: Intl.DateTimeFormat | null
  readonly #blocks = new Map<number, readonly Segment[]>()
  #recent: Segment

  /** @throws RangeError when Intl does not know the zone */
  constructor(timezone: string) {
    // Intl's first formatter takes 12 ms, for which an app whose times are all UTC need not wait.
    this.#format =
      timezone.toUpperCase() === 'UTC'
        ? null
        : new Intl.DateTimeFormat('en-US', {
            timeZone: timezone,
            calendar: 'gregory',
            numberingSystem: 'latn',
            hourCycle: 'h23',
            year: 'numeric',
            month: 'numeric',
            day: 'numeric',
            hour: 'numeric',
            minute: 'numeric',
            second: 'numeric'
          })
    const fixed = this.#format === null || this.#format.resolvedOptions().timeZone === 'UTC'
    this.#recent = fixed
      ? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY, offset: 0 }
      : { from: 0, to: 0, offset: 0 }
  }

  /** The segment that an instant lies in. Neighbouring segments may have equal offsets. */
  segmentAt(at: number): Segment {
    const recent = this.#recent
    if (at >= recent.from && at < recent.to) return recent
    const index = Math.floor(at / BLOCK)
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

  /** Reads a wall time. */
  read(wall: number): WallReading {
    let segment = this.segmentAt(wall - MAX_OFFSET)
    let before = segment.offset
    for (;;) {
      const at = wall - segment.offset
      if (at < segment.from) return { at: segment.from, gap: segment.offset - before }
      if (at < segment.to) return { at, gap: 0 }
      before = segment.offset
      segment = this.segmentAt(segment.to)
    }
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

  #offset(instant: number): number {
    const at = Math.min(Math.max(instant, EARLIEST), LATEST)
    let year = 0
    let month = 0
    let day = 0
    let rest = 0
    for (const { type, value } of this.#format!.formatToParts(at)) {
      if (type === 'year') year = Number(value)
      else if (type === 'month') month = Number(value)
      else if (type === 'day') day = Number(value)
      else if (type === 'hour') rest += Number(value) * 3600
      else if (type === 'minute') rest += Number(value) * 60
      else if (type === 'second') rest += Number(value)
    }
    // Blocks and probes lie on whole seconds, and so do all offsets.
    return Date.UTC(year, month - 1, day) + rest * 1000 - at
  }
}
