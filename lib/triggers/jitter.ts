import { hash32 } from '../base/hash.js'

/**
 * The delay of a job's tick: the same on every replica, evenly spread over jobs and ticks, and always less than the
 * distance to the next tick.
 *
 * @param scheduledTime the tick, in milliseconds since the Unix epoch
 * @param jitter the longest delay, in milliseconds
 * @param period milliseconds from this tick to the next, or `null` when there is no next one
 * @returns whole milliseconds from 0 to the smaller of `jitter` and `period - 1`
 */
export function jitterOf(jobId: string, scheduledTime: number, jitter: number, period: number | null): number {
  const longest = Math.floor(period === null ? jitter : Math.min(jitter, period - 1))
  if (!(longest > 0)) return 0
  return Math.floor((hash32(`${jobId} ${scheduledTime}`) / 2 ** 32) * (longest + 1))
}
