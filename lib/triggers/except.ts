import { Budget } from './budget.js'
import { requireTick } from './first-tick.js'
import type { Stretch, TickSource } from './source.js'

/** A range of instants, both ends included. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/**
 * The ticks of a trigger without those that lie in some ranges of time or that other triggers have as well. A search
 * that exceeds its budget ends without a tick.
 */
export class ExceptTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  /** The trigger whose ticks these are. */
  readonly source: TickSource
  /** Ascending, without overlaps. */
  readonly ranges: readonly TimeRange[]
  readonly triggers: readonly TickSource[]

  /**
   * @param ranges ascending, without overlaps
   * @param triggers in the order of their keys
   * @param budget what is left of the budget for finding a first tick
   * @throws TriggerNeverError when there is none, TriggerUndecidedError when none was found within the budget
   */
  constructor(source: TickSource, ranges: readonly TimeRange[], triggers: readonly TickSource[], budget: Budget) {
    this.source = source
    this.ranges = ranges
    this.triggers = triggers
    this.first = source.first
    this.last = source.last
    const parts = [...ranges.map(rangeKey), ...triggers.map(({ key }) => key)]
    this.key = `except(${source.key} - ${parts.join(', ')})`
    requireTick(this, budget, '`except` leaves out too many of its ticks, or all')
    Object.freeze(this)
  }

  next(after: number, budget: Budget = new Budget()): number | null {
    let from = after
    for (;;) {
      const tick = this.source.next(from, budget)
      if (tick === null) return null
      const until = this.#leftOutUntil(tick, budget)
      if (until === tick) return tick
      if (budget.isSpent) return null
      from = until - 1
    }
  }

  stretchAt(at: number, budget?: Budget): Stretch {
    return this.source.stretchAt(at, budget)
  }

  coveredUntil(at: number): number {
    return at + 1
  }

  /** The exclusive end of a stretch from a tick on in which all ticks are left out; the tick itself if it is not. */
  #leftOutUntil(tick: number, budget: Budget): number {
    const range = this.#rangeOf(tick)
    budget.spend(1)
    if (range !== undefined) return range.to + 1
    for (const trigger of this.triggers) {
      if (trigger.next(tick - 1, budget) !== tick) continue
      const { grid, to } = this.source.stretchAt(tick, budget)
      // At a change of clocks a tick may lie off the grid.
      if (grid === null || (tick - grid.anchor) % grid.period !== 0) return tick + 1
      return Math.min(to, trigger.coveredUntil(tick, grid.period, budget))
    }
    return tick
  }

  #rangeOf(time: number): TimeRange | undefined {
    let [low, high] = [0, this.ranges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.ranges[middle] as TimeRange).to < time) low = middle + 1
      else high = middle
    }
    const range = this.ranges[low]
    return range !== undefined && range.from <= time ? range : undefined
  }
}

function rangeKey({ from, to }: TimeRange): string {
  return from === to ? `${from}` : `${from}..${to}`
}
