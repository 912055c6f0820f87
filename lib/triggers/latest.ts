import type { Trigger } from '../../types/trigger.js'
import { SECOND } from '../base/duration.js'

/**
 * The latest tick later than `since` and not later than `until`, or `null` when there is none.
 *
 * The number of calls of `next` grows with the logarithm of the range, not with the number of ticks in it: a binary
 * search works, as a tick follows up to `until` from every time before the tick sought, and from none at or after it.
 */
export function latestTick(trigger: Trigger, since: number, until: number): number | null {
  const from = Math.floor(since)
  const to = Math.floor(until)
  const within = (after: number): number | null => {
    const tick = trigger.next(after)
    return tick !== null && tick <= to ? tick : null
  }
  // Steps back from the end, doubling the step, to a time that a tick follows.
  let high = to
  let low = to
  let latest: number | null = null
  for (let step = SECOND; latest === null; step *= 2) {
    if (low <= from) return null
    high = low
    low = Math.max(from, to - step)
    latest = within(low)
  }
  // The tick found becomes the lower end, so that nothing before it is searched again. There may be one at the upper end.
  low = latest
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    const tick = within(middle)
    if (tick === null) high = middle
    else low = latest = tick
  }
  return latest
}
