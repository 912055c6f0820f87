import type { Trigger } from '../../types/trigger.js'
import { DAY } from '../base/duration.js'
import { latestTick } from './latest.js'

/** How long before a time its last tick is looked for. */
const LOOK_BACK = 5 * 366 * DAY

/**
 * The period that a time lies in, in milliseconds: between the last tick and the next one, or between the first two where there
 * was none before. `null` where there is no next tick.
 */
export function periodAround(trigger: Trigger, time: number): number | null {
  if (trigger.afterCompletion !== null) return trigger.afterCompletion
  const next = trigger.next(time)
  if (next === null) return null
  const last = latestTick(trigger, time - LOOK_BACK, time)
  if (last !== null) return next - last
  return (trigger.next(next) ?? next + DAY) - next
}
