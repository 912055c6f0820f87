import { Budget } from './budget.js'
import { MAX_TIME } from './dates.js'
import { requireTick, searchStart } from './first-tick.js'
import { type Grid, join, meet, nextOn } from './grids.js'
import type { Stretch, TickSource } from './source.js'

/** Ticks of every trigger in a list; equal times are one tick. */
export class AnyTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  readonly sources: readonly TickSource[]

  constructor(sources: readonly TickSource[]) {
    this.sources = sources
    this.first = Math.min(...sources.map((source) => source.first))
    this.last = Math.max(...sources.map((source) => source.last))
    this.key = `any(${sources.map((source) => source.key).join(' | ')})`
    Object.freeze(this)
  }

  next(after: number, budget: Budget = new Budget()): number | null {
    let earliest: number | null = null
    for (const source of this.sources) {
      const tick = source.next(after, budget)
      if (tick !== null && (earliest === null || tick < earliest)) earliest = tick
    }
    return earliest
  }

  stretchAt(at: number, budget?: Budget): Stretch {
    let grid: Grid | null = null
    let to = Number.POSITIVE_INFINITY
    for (const source of this.sources) {
      const stretch = source.stretchAt(at, budget)
      to = Math.min(to, stretch.to)
      if (stretch.grid !== null) grid = grid === null ? stretch.grid : join(grid, stretch.grid)
    }
    return { grid, to }
  }

  coveredUntil(at: number, period: number, budget?: Budget): number {
    let until = at + 1
    for (const source of this.sources) {
      if (source.next(at - 1, budget) === at) until = Math.max(until, source.coveredUntil(at, period, budget))
    }
    return until
  }
}

/**
 * The times at which all triggers in a list have a tick. They lie on the common grid of the triggers, which is
 * computed, not searched for. A search of that grid that exceeds its budget ends without a tick.
 */
export class AllTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  readonly sources: readonly TickSource[]
  /** The single stretch that covers all time, if no trigger's clock ever changes; else `null`. */
  readonly #only: Stretch | null

  /**
   * @param budget what is left of the budget for finding a first common tick
   * @throws TriggerNeverError when there is none, TriggerUndecidedError when none was found within the budget
   */
  constructor(sources: readonly TickSource[], budget: Budget) {
    this.sources = sources
    this.key = `all(${sources.map((source) => source.key).join(' & ')})`
    this.first = Math.max(...sources.map((source) => source.first))
    this.last = Math.min(...sources.map((source) => source.last), MAX_TIME)
    this.#only = null
    const stretch = this.stretchAt(searchStart(this), budget)
    if (stretch.to === Number.POSITIVE_INFINITY) this.#only = stretch
    requireTick(this, budget, 'its parts meet too seldom, or never')
    Object.freeze(this)
  }

  next(after: number, budget: Budget = new Budget()): number | null {
    let from = Math.max(Math.floor(after), this.first - 1, -MAX_TIME) + 1
    let stretch: Stretch = { grid: null, to: Number.NEGATIVE_INFINITY }
    while (from <= this.last && !budget.isSpent) {
      let candidate = from
      // A tick at the very beginning of a stretch need not lie on its grid.
      if (from >= stretch.to) stretch = this.stretchAt(from, budget)
      else candidate = stretch.grid === null ? stretch.to : nextOn(stretch.grid, from - 1)
      if (candidate >= stretch.to) {
        from = stretch.to
        continue
      }
      const possible = this.#possible(candidate, budget)
      if (possible === null || possible === candidate)
        return possible !== null && possible <= this.last ? possible : null
      from = possible
    }
    return null
  }

  stretchAt(at: number, budget?: Budget): Stretch {
    if (this.#only !== null) return this.#only
    let grid: Grid | null = { period: 1, anchor: 0 }
    let to = Number.POSITIVE_INFINITY
    for (const source of this.sources) {
      const stretch = source.stretchAt(at, budget)
      to = Math.min(to, stretch.to)
      grid = grid === null || stretch.grid === null ? null : meet(grid, stretch.grid)
    }
    budget?.spend(4 * this.sources.length)
    return { grid, to }
  }

  coveredUntil(at: number, period: number, budget?: Budget): number {
    let until = Number.POSITIVE_INFINITY
    for (const source of this.sources) until = Math.min(until, source.coveredUntil(at, period, budget))
    return until
  }

  /**
   * `time` if all have a tick then, else a later time before which they have no common tick; `null` if there is none.
   */
  #possible(time: number, budget: Budget): number | null {
    for (const source of this.sources) {
      const tick = source.next(time - 1, budget)
      if (tick !== time) return tick
    }
    return time
  }
}
