import type { Trigger } from '../../types/trigger.js'

/** How much searching one call may still do: see `combine.ts`. */
export interface Budget {
  left: number
}

/** A trigger as the others of this folder see it. */
export interface TickSource extends Trigger {
  /** No tick is earlier than this; `-Infinity` when there is no such bound. */
  readonly first: number
  /** No tick is later than this; `Infinity` when there is no such bound. */
  readonly last: number
  /** @param budget charged with the work done */
  next(after: number, budget?: Budget): number | null
}
