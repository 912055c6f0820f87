import { hash32 } from '../base/hash.js'
import type { ResolvedRetry } from '../jobs/definition.js'

/**
 * How long to wait after a failed attempt: exponential backoff, capped. With `jitter` it is multiplied by 1 to 2, which a
 * hash of the run and the attempt gives; at the cap, where there is no room above, it is spread over the upper half below it.
 *
 * @param attempt the attempt that failed, from 1
 * @returns whole milliseconds
 */
export function retryDelay(retry: ResolvedRetry, runId: string, attempt: number): number {
  const { maxDelay, jitter } = retry
  const delay = retry.delay * retry.factor ** (attempt - 1)
  if (!jitter) return Math.round(Math.min(maxDelay, delay))
  return Math.round(Math.min(maxDelay / 2, delay) * (1 + hash32(`${runId} ${attempt}`) / 2 ** 32))
}
