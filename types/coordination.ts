/**
 * The seam between the scheduler and what its replicas share: memory, one Redis (or Cluster), and later a quorum of
 * masters implement it. Nothing here throws for contention or for Redis trouble: both are answers.
 */
export interface Coordination {
  /** What is known of the store. */
  readonly state: CoordinationState
  /**
   * The fleet's clock, by which ticks are due on every replica: the store's own, as far as it has been measured, else
   * this process'. Milliseconds since the Unix epoch.
   */
  now(): number
  /**
   * Opens what has to be opened. Resolves once the store answers, or once it is known not to for now; claims then
   * begin when it comes.
   *
   * @throws RedisAuthError when Redis refuses the credentials
   */
  open(): Promise<void>
  /**
   * Asks for all that is due in this process, in one call, with one request a job at most. The answers are in the
   * requests' order.
   * A request repeated with the same `runId` gets the same answer: a reply that was lost costs nothing.
   */
  claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimAnswer[]>
  /** Gives a lock its whole TTL from now on. `'lost'` is final; `'unavailable'` may be tried again. */
  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'>
  /** Ends runs: records their end, and releases each lock that is still the run's own. The answers are in the order given. */
  finish(locks: readonly HeldLock[]): Promise<readonly ReleaseAnswer[]>
  /** Takes a lock by name, apart from all jobs. */
  acquire(name: string, ttl: number): Promise<AcquireAnswer>
  /** Releases a lock taken by `acquire`. */
  release(lock: HeldLock): Promise<ReleaseAnswer>
  /**
   * Pauses a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  pause(jobId: string, note: string | undefined): Promise<void>
  /**
   * Resumes a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  resume(jobId: string): Promise<void>
  /**
   * Which of these jobs are paused; those of `initially` are paused first, unless the store remembers otherwise.
   *
   * @throws RedisUnavailableError
   */
  paused(jobIds: readonly string[], initially: readonly string[]): Promise<ReadonlySet<string>>
  /** Closes what `open` opened, and nothing else. */
  close(): Promise<void>
}

export interface CoordinationState {
  readonly kind: 'memory' | 'redis'
  /** Whether the last exchange with the store worked. */
  readonly up: boolean
  /** This process' wall clock minus the store's, in milliseconds, as last measured; 0 in memory. */
  readonly skew: number
}

/** What a coordination tells the scheduler on its own account. */
export interface CoordinationListener {
  /** The store can be used (again). */
  onUp(): void
  /** The store cannot be used; called once per outage, with the reason. */
  onDown(error: Error): void
  /** `now()` has moved by a step. */
  onClockStep(): void
}

/** What is asked for: a scheduled tick, the same without a run (it is missed), or a run by hand. */
export type ClaimKind = 'tick' | 'miss' | 'manual'

export interface ClaimRequest {
  readonly jobId: string
  readonly kind: ClaimKind
  /** The nominal time, in milliseconds since the Unix epoch; with `afterCompletion` the earliest it may be. */
  readonly scheduledTime: number
  /** Unique across replicas; it identifies the request when it is repeated. */
  readonly runId: string
  /** The lock's time to live in milliseconds. */
  readonly ttl: number
  /** How long the claim must be remembered, in milliseconds; a run by hand leaves that of a tick as it is. */
  readonly keep: number
  /** For a trigger measured from the last run's end, its interval in milliseconds; else 0. */
  readonly afterCompletion: number
  /** Pause the job if the store has never heard whether it is. */
  readonly pausedInitially: boolean
}

/** A lock this process holds, or held. */
export interface HeldLock {
  /** The job's id, or the name given to `acquire`. */
  readonly name: string
  readonly kind: 'job' | 'named'
  /** The value by which the holder is known: of a job's lock it is the run's id. */
  readonly token: string
  /** Its time to live in milliseconds. */
  readonly ttl: number
  /**
   * Until when the holder may believe in it, on the monotonic clock; set anew by every extension. It is counted from
   * before the request was sent and less the drift Redlock allows for: 1% of the TTL and 2 ms.
   */
  validUntil: number
}

/** The answer to one request. */
export type ClaimAnswer =
  | {
      readonly status: 'granted'
      /** `null` for a `miss`: the tick is taken, nothing is to run. */
      readonly lock: HeldLock | null
      readonly fencingToken: number
      /** The tick claimed before this one, or `null` when there is none on record. */
      readonly previous: number | null
      /** The tick claimed: the one asked for, but for `afterCompletion`, where the store knows it best. */
      readonly scheduledTime: number
    }
  | { readonly status: 'claimed_elsewhere' }
  /** A run of the job still holds its lock. The tick is taken, so that it is counted once for the fleet. */
  | { readonly status: 'overlap'; readonly previous: number | null }
  /** `first` is true for the one replica that is to count the tick. */
  | { readonly status: 'paused'; readonly first: boolean; readonly previous: number | null }
  /** The tick lies in the store's future; it is due at `due` (by the store's clock). */
  | { readonly status: 'early'; readonly due: number }
  | { readonly status: 'unavailable'; readonly error: Error }

/** `lost`: the lock was not the run's own any more. `unavailable`: the store did not answer; its TTL will end it. */
export type ReleaseAnswer = 'released' | 'lost' | 'unavailable'

export type AcquireAnswer =
  | { readonly status: 'granted'; readonly lock: HeldLock; readonly fencingToken: number }
  | { readonly status: 'held' }
  | { readonly status: 'unavailable'; readonly error: Error }
