import type { Bounds } from './bounds.js'
import { boundsKey } from './bounds.js'
import type { Budget } from './budget.js'
import { MAX_TIME } from './dates.js'
import { EVERY_MILLISECOND, type Grid, nextOn } from './grids.js'
import type { Stretch, TickSource } from './source.js'

/**
 * Ticks at `anchor + n * period`. Each is computed from the anchor, never from the one before it, so that nothing
 * drifts and replicas that started at different times agree. The anchor is `startDate`, else the Unix epoch plus
 * `offset`.
 */
export class IntervalTrigger implements TickSource, Grid {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  /** Milliseconds between two ticks. */
  readonly period: number
  /** One of the ticks, or where one would be. */
  readonly anchor: number

  /** @param offset milliseconds from the Unix epoch; only the part below one period counts */
  constructor(period: number, offset: number, bounds: Bounds) {
    const start = Number.isFinite(bounds.start)
    this.period = period
    this.anchor = start ? bounds.start : offset % period
    this.first = bounds.start
    this.last = Math.min(bounds.end, MAX_TIME)
    this.key = `interval ${period}${start || this.anchor === 0 ? '' : `+${this.anchor}`}${boundsKey(bounds)}`
    Object.freeze(this)
  }

  next(after: number, budget?: Budget): number | null {
    budget?.spend(1)
    const from = Math.max(Math.floor(after), this.first - 1, -MAX_TIME)
    if (!(from < this.last)) return null
    const tick = nextOn(this, from)
    return tick <= this.last ? tick : null
  }

  stretchAt(): Stretch {
    return { grid: this, to: Number.POSITIVE_INFINITY }
  }

  coveredUntil(at: number, period: number): number {
    return period % this.period === 0 ? this.last + 1 : at + 1
  }
}

/** A tick one period after the end of the job's last run. */
export class CompletionTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion: number
  readonly first: number
  readonly last: number

  constructor(period: number, bounds: Bounds) {
    this.afterCompletion = period
    this.first = bounds.start
    this.last = Math.min(bounds.end, MAX_TIME)
    this.key = `interval ${period} after completion${boundsKey(bounds)}`
    Object.freeze(this)
  }

  /** @param after the end of the last run */
  next(after: number): number | null {
    const tick = Math.max(Math.floor(after) + this.afterCompletion, this.first)
    return tick <= this.last ? Math.max(tick, -MAX_TIME) : null
  }

  stretchAt(): Stretch {
    return { grid: EVERY_MILLISECOND, to: Number.POSITIVE_INFINITY }
  }

  coveredUntil(at: number): number {
    return at + 1
  }
}
