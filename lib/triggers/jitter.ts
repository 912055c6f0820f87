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
  return Math.floor(fraction(jobId, scheduledTime) * (longest + 1))
}

// Two lanes of FNV-1a with different primes, each finished by MurmurHash3's mixer: 53 bits, as many as a number has.
function fraction(jobId: string, tick: number): number {
  let a = 0x811c9dc5
  let b = 0x9747b28c
  const add = (word: number): void => {
    a = Math.imul(a ^ word, 0x01000193)
    b = Math.imul(b ^ word, 0x5bd1e995)
    b ^= b >>> 15
  }
  for (let i = 0; i < jobId.length; i++) add(jobId.charCodeAt(i))
  add(jobId.length)
  add(tick | 0)
  add(Math.floor(tick / 2 ** 32) | 0)
  const high = mix(a ^ mix(b)) >>> 5
  const low = mix(b + Math.imul(a, 5)) >>> 6
  return (high * 2 ** 26 + low) / 2 ** 53
}

function mix(word: number): number {
  let hash = word
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
