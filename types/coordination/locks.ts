import type { RunReport } from './history.js'

/** What keeps runs apart: the lock of a job, taken with its claim, and locks by name. */
export interface Locks {
  /** Gives a lock its whole TTL from now on. `'lost'` is final; `'unavailable'` may be tried again. */
  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'>
  /** Ends runs: records their end, and releases each lock that is still the run's own. The answers are in the order given. */
  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]>
  /**
   * Takes a lock by name, apart from all jobs.
   *
   * @param token unique across replicas; a call repeated with the same token gets the same lock
   */
  acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer>
  /** Releases a lock taken by `acquire`. */
  release(lock: HeldLock): Promise<ReleaseAnswer>
}

/** A lock this process holds, or held. */
export interface HeldLock {
  /** The job's id, or the name given to `acquire`. */
  readonly name: string
  readonly kind: 'job' | 'named'
  /** What identifies the holder: for a job's lock the run's id. */
  readonly token: string
  /**
   * Which of the job's slots it is, from 1 on; 0 where that is not known, as the claim was not answered.
   *
   * @default 1
   */
  readonly slot?: number
  /** Its time to live in milliseconds. */
  readonly ttl: number
  /**
   * Until when the holder may believe in it, on the monotonic clock; set anew by every extension. It is counted from
   * before the request was sent, less the drift Redlock allows for: 1% of the TTL and 2 ms.
   */
  validUntil: number
}

/** A run that is over. */
export interface Ending {
  readonly lock: HeldLock
  /** False for a run that another replica is to take over: its lock is released, its tick stays unfinished. */
  readonly finished: boolean
  /**
   * Whether it never began: a takeover counts as no attempt then, and a run that is `finished` as none.
   *
   * @default false
   */
  readonly unbegun?: boolean
  /**
   * Whether another run was to replace it, which the store need not remember any longer; only where it is `finished`.
   *
   * @default false
   */
  readonly replaced?: boolean
  /**
   * Whether the handler goes on although the run's outcome is known: its lock stays as it is.
   *
   * @default false
   */
  readonly keepsLock?: boolean
  /**
   * Whether the store did not answer when it was told before. If not, a success counts as none where the lock is not the run's own
   * any more: its outcome is corrected, see `Records.note`.
   *
   * @default false
   */
  readonly isToldAgain?: boolean
  /**
   * The run's outcome; `null` where it has none here, or was told before.
   *
   * @default null
   */
  readonly report?: RunReport | null
}

/**
 * `lost`: the lock was not the run's own any more. `abandoned`: the same, and the run was recorded as abandoned.
 * `unavailable`: the store did not answer; the lock will end with its TTL.
 */
export type ReleaseAnswer = 'released' | 'lost' | 'abandoned' | 'unavailable'

export type AcquireAnswer =
  | { readonly status: 'granted'; readonly lock: HeldLock; readonly fencingToken: number }
  | { readonly status: 'held' }
  | { readonly status: 'unavailable'; readonly error: Error }
