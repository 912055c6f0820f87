import type { Trigger } from '../../types/trigger.js'
import type { Budget } from './budget.js'
import type { Grid } from './grids.js'

/** The grid that all ticks of a stretch of time lie on, `null` if it has none, and the exclusive end of the stretch. */
export interface Stretch {
  readonly grid: Grid | null
  readonly to: number
}

/** A trigger as the other triggers of this folder see it. */
export interface TickSource extends Trigger {
  /** No tick is earlier than this; `-Infinity` when there is no such bound. */
  readonly first: number
  /** No tick is later than this; `Infinity` when there is no such bound. */
  readonly last: number
  /** @param budget charged with the work done */
  next(after: number, budget?: Budget): number | null
  /**
   * The grid on which the ticks lie from a time on, until clocks change. Only a tick at the very moment of a change may
   * lie off the grid.
   */
  stretchAt(at: number, budget?: Budget): Stretch
  /**
   * The exclusive end of a stretch in which every time is a tick that lies `period`, or a multiple of it, after a tick,
   * while clocks do not change. It may be shorter than it could be; at least it is later than that tick.
   *
   * @param at a tick of this trigger
   * @param period milliseconds
   */
  coveredUntil(at: number, period: number, budget?: Budget): number
}
