import type { Trigger } from '../../types/trigger.js'
import { SECOND } from '../base/duration.js'

/**
 * The latest tick later than `since` and not later than `until`, or `null` when there is none.
 *
 * It asks `next` a number of times that grows with the logarithm of the range, not with the number of ticks in it:
 * whether a tick follows within `until` is true up to the tick looked for, and false from there on.
 */
export function latestTick(trigger: Trigger, since: number, until: number): number | null {
  const from = Math.floor(since)
  const to = Math.floor(until)
  const within = (after: number): number | null => {
    const tick = trigger.next(after)
    return tick !== null && tick <= to ? tick : null
  }
  // Backwards from the end, in steps that double, to a place that a tick follows.
  let high = to
  let low = to
  let latest: number | null = null
  for (let step = SECOND; latest === null; step *= 2) {
    if (low <= from) return null
    high = low
    low = Math.max(from, to - step)
    latest = within(low)
  }
  // A tick at `latest` moves the lower end up to itself: nothing between the two is looked at again.
  low = latest
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2)
    const tick = within(middle)
    if (tick === null) high = middle
    else low = latest = tick
  }
  return latest
}
