import type { Trigger } from '../../types/trigger.js'
import { IntervalTrigger } from './interval.js'

/** How many ticks are counted one by one; those of an interval are computed, however many they are. */
const MAX_COUNT = 10_000

/** How many ticks lie between two times, neither included; of a trigger that is no interval `MAX_COUNT` at most. */
export function countTicks(trigger: Trigger, after: number, before: number): number {
  const first = trigger.next(after)
  if (first === null || first >= before) return 0
  if (trigger instanceof IntervalTrigger) {
    const last = Math.min(before - 1, trigger.last)
    return Math.floor((last - first) / trigger.period) + 1
  }
  let count = 0
  for (let tick: number | null = first; tick !== null && tick < before && count < MAX_COUNT; count++) {
    tick = trigger.next(tick)
  }
  return count
}
