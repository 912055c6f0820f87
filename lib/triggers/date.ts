import type { Budget } from './budget.js'
import { EVERY_MILLISECOND } from './grids.js'
import type { Stretch, TickSource } from './source.js'

/** One tick. */
export class DateTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number

  /** @param at milliseconds since the Unix epoch */
  constructor(at: number) {
    this.first = at
    this.last = at
    this.key = `date ${at}`
    Object.freeze(this)
  }

  next(after: number, budget?: Budget): number | null {
    budget?.spend(1)
    return after < this.first ? this.first : null
  }

  stretchAt(): Stretch {
    return { grid: EVERY_MILLISECOND, to: Number.POSITIVE_INFINITY }
  }

  coveredUntil(at: number): number {
    return at + 1
  }
}
