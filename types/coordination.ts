import type { Changes } from './coordination/changes.js'
import type { Claims } from './coordination/claims.js'
import type { HistoryBounds, Records } from './coordination/history.js'
import type { Definitions, JobStates } from './coordination/job-states.js'
import type { CoordinationListener } from './coordination/listener.js'
import type { Locks } from './coordination/locks.js'
import type { OpenRuns } from './coordination/open-runs.js'
import type { Waiting } from './coordination/waiting.js'

export type * from './coordination/changes.js'
export type * from './coordination/claims.js'
export type * from './coordination/fingerprint.js'
export type * from './coordination/history.js'
export type * from './coordination/job-states.js'
export type * from './coordination/listener.js'
export type * from './coordination/locks.js'
export type * from './coordination/open-runs.js'
export type * from './coordination/waiting.js'

/**
 * The seam between the scheduler and what its replicas share. Memory, one Redis (or Cluster) and a quorum of masters
 * implement it. Nothing in it throws for contention, or for trouble with Redis unless it says so: both are answers.
 */
export interface Coordination extends Claims, Locks, OpenRuns, Changes, JobStates, Definitions, Records {
  /** What is known of the store. */
  readonly state: CoordinationState
  /** What waits for slots; left out where nothing can (several masters). */
  readonly waiting?: Waiting
  /**
   * The fleet's clock, by which ticks are due on every replica: the store's own, as far as it has been measured, else
   * that of this process. Milliseconds since the Unix epoch.
   */
  now(): number
  /**
   * Lets this process' clock be corrected by a step back, to `now`: ticks later than `floor` can be claimed again. Only in
   * memory, as every other store has a clock of its own.
   */
  correct?(now: number, floor: number): void
  /**
   * Opens connections. Resolves once the store answers, or once it is known not to answer for now; in that case
   * `onUp` says when claims can be had.
   *
   * @throws RedisAuthError when Redis refuses the credentials
   */
  open(): Promise<void>
  /** Closes what `open` opened, and nothing else. */
  close(): Promise<void>
}

export interface CoordinationState {
  readonly kind: 'memory' | 'redis'
  /** Whether claims can be had of the store, as far as is known. */
  readonly up: boolean
  /** This process' wall clock minus the store's, in milliseconds, as last measured; 0 in memory. */
  readonly skew: number
  /** The store's id of its own process, which changes with each restart; `null` or left out where it tells none. */
  readonly runId?: string | null
  /** Which server it is, for people: such as `redis-main:6379, Redis 7.4.1, one master`; `null` or left out where that is not known. */
  readonly server?: string | null
  /**
   * Of how many independent masters a majority decides. Where it is more than one, a job has one slot, and nothing waits in
   * the store: what each of them counts by itself would admit more runs than are meant.
   *
   * @default 1
   */
  readonly masters?: number
  /**
   * Whether a replica counts as there until it says that it is not: then it need not say again and again that it is.
   *
   * @default false
   */
  readonly remembersReplicas?: boolean
}

/** Makes a scheduler's coordination. */
export type CoordinationFactory = (parts: {
  readonly replicaId: string
  /** In milliseconds. */
  readonly maxClockSkew: number
  /** How much of the history is kept; `null` for none. */
  readonly history: HistoryBounds | null
  readonly listener: CoordinationListener
}) => Coordination
