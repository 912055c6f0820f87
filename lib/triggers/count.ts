import type { Trigger } from '../../types/trigger.js'
import { Budget } from './budget.js'
import { IntervalTrigger } from './interval.js'
import type { TickSource } from './source.js'

/** The most ticks counted one by one; those of an interval are computed, however many. */
const MAX_COUNT = 10_000

/**
 * How many ticks lie between two times, both exclusive. Unless the trigger is an interval, at most `MAX_COUNT`, and as
 * many as a `Budget` allows to find.
 */
export function countTicks(trigger: Trigger, after: number, before: number): number {
  const first = trigger.next(after)
  if (first === null || first >= before) return 0
  if (trigger instanceof IntervalTrigger) {
    const last = Math.min(before - 1, trigger.last)
    return Math.floor((last - first) / trigger.period) + 1
  }
  let count = 0
  const budget = new Budget()
  for (let tick: number | null = first; tick !== null && tick < before && count < MAX_COUNT; count++) {
    tick = budget.isSpent ? null : (trigger as TickSource).next(tick, budget)
  }
  return count
}
