import { hash32 } from '../hash.js'
import type { ResolvedRetry } from '../job-options.js'

/**
 * How long to wait after a failed attempt: exponential backoff, capped, and with `jitter` times a factor from 1 to 2
 * that a hash of the run and the attempt gives.
 *
 * @param attempt the attempt that failed, from 1
 * @returns whole milliseconds
 */
export function retryDelay(retry: ResolvedRetry, runId: string, attempt: number): number {
  const delay = Math.min(retry.maxDelay, retry.delay * retry.factor ** (attempt - 1))
  const spread = retry.jitter ? 1 + hash32(`${runId} ${attempt}`) / 2 ** 32 : 1
  return Math.round(Math.min(retry.maxDelay, delay * spread))
}
