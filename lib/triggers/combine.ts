import { TriggerNeverError } from '../errors.js'
import { commonGrid } from './grids.js'
import { IntervalTrigger } from './interval.js'
import type { Budget, TickSource } from './source.js'

/**
 * How much searching one call of `next` may do before it gives up, in look-ups of a tick; a look-up that has to walk
 * the calendar counts one more for each year. It is counted, not timed, so that every replica gives up at the same
 * point. All of it takes some ten milliseconds.
 */
export const MAX_STEPS = 10_000

// Where the search for a first common tick begins when no trigger has a bound: today's time zones, not those of 1900.
const PRESENT = Date.UTC(2000, 0, 1)
const MAX_KEY_SHOWN = 400
const YEAR = 366 * 86_400_000

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

  next(after: number, budget: Budget = { left: MAX_STEPS }): number | null {
    let earliest: number | null = null
    for (const source of this.sources) {
      const tick = source.next(after, budget)
      if (tick !== null && (earliest === null || tick < earliest)) earliest = tick
    }
    return earliest
  }
}

/**
 * The times at which all triggers in a list have a tick. Where none is found within `MAX_STEPS`, there is none.
 */
export class AllTrigger implements TickSource {
  readonly key: string
  readonly afterCompletion = null
  readonly first: number
  readonly last: number
  readonly sources: readonly TickSource[]

  // The sources, with all intervals made one.
  readonly #searched: readonly TickSource[]

  /**
   * @param budget what is left of the budget for finding a first common tick
   * @throws TriggerNeverError when there is none
   */
  constructor(sources: readonly TickSource[], budget: Budget = { left: MAX_STEPS }) {
    this.sources = sources
    this.key = `all(${sources.map((source) => source.key).join(' & ')})`
    this.#searched = merge(sources)
    this.first = Math.max(...this.#searched.map((source) => source.first))
    this.last = Math.min(...this.#searched.map((source) => source.last))
    const start = this.first === Number.NEGATIVE_INFINITY ? Math.min(PRESENT, this.last - 30 * YEAR) : this.first - 1
    if (this.#searched.length === 0 || this.next(start, budget) === null) {
      throw new TriggerNeverError(this.key.slice(0, MAX_KEY_SHOWN))
    }
    Object.freeze(this)
  }

  next(after: number, budget: Budget = { left: MAX_STEPS }): number | null {
    const sources = this.#searched
    let tick = Math.max(after, this.first - 1)
    if (!(tick < this.last)) return null
    // Each source in turn moves the tick up to its own next one, until a whole round leaves it where it is.
    let agreed = 0
    for (let i = 0; agreed < sources.length; i = (i + 1) % sources.length) {
      if (budget.left <= 0) return null
      const found = sources[i]!.next(agreed === 0 ? tick : tick - 1, budget)
      if (found === null) return null
      agreed = found === tick && agreed > 0 ? agreed + 1 : 1
      tick = found
    }
    return tick
  }
}

/** The same ticks by fewer sources; none when two intervals never meet. */
function merge(sources: readonly TickSource[]): TickSource[] {
  const merged: TickSource[] = []
  for (const source of sources) {
    const index = merged.findIndex((other) => other instanceof IntervalTrigger)
    const other = merged[index]
    const grid =
      other instanceof IntervalTrigger && source instanceof IntervalTrigger ? commonGrid(other, source) : undefined
    if (grid === null) return []
    if (grid === undefined) merged.push(source)
    else merged[index] = grid
  }
  return merged
}
