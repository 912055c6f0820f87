import type { HeldLock } from '../../types/coordination.js'

/**
 * How long a lock taken or extended now may be believed in: its TTL less the drift between clocks that Redlock allows
 * for, 1% of the TTL, and 2 ms for Redis' own precision in expiring keys.
 *
 * Source: the Redlock algorithm (redis.io, "Distributed Locks with Redis"), and redlock's own `driftFactor`.
 *
 * @param since when the request was sent, on the monotonic clock
 * @param ttl in milliseconds
 */
export function validUntil(since: number, ttl: number): number {
  return since + ttl - Math.round(ttl * 0.01) - 2
}

/**
 * Whether a lock may be believed in no more, so that nothing may begin under it: also one that was just granted, where its
 * answer was read late.
 *
 * @param now on the monotonic clock
 */
export function isOver({ validUntil }: Pick<HeldLock, 'validUntil'>, now: number): boolean {
  return now >= validUntil
}
