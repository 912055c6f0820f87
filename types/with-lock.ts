import type { Duration } from './duration.js'

export interface WithLockOptions {
  /**
   * How long Redis keeps the lock of a process that has died. It is extended every third of this time while `fn` runs.
   *
   * @default the scheduler's `defaults.lock.ttl`
   */
  readonly ttl?: Duration
}

export interface WithLockContext {
  /** Aborted with `FST_ERR_RLS_LOCK_LOST` when the lock is lost. */
  readonly signal: AbortSignal
  readonly fencingToken: number
}

/** The result of `withLock`; `acquired` is `false` when the lock was held elsewhere, so that `fn` was not called. */
export type WithLockResult<Value> = { readonly acquired: true; readonly value: Value } | { readonly acquired: false }
