import type { HistoryRun } from '../history.js'
import type { Fingerprint } from './fingerprint.js'

/** Runs that have begun and whose end is not recorded: how the fleet notices that a replica died. */
export interface OpenRuns {
  /**
   * Looks for runs whose lock has ended some seconds ago and whose end nobody has recorded, as their replica died or lost
   * the lock. None when the store does not answer; `null` where it is known without asking that there is none.
   */
  findAbandoned(): Promise<readonly OpenRun[]> | null
  /**
   * Records runs as abandoned.
   *
   * @param callId a call that is repeated under its id, as its reply was lost, gets the same answers
   * @returns for each run whether this call has recorded it, which only one call in the fleet has; `null` when that is
   *   not known
   */
  abandon(runs: readonly LostRun[], callId: string): Promise<readonly boolean[] | null>
  /**
   * Tells a store what it has forgotten, as it was restarted with data of the past, or failed over to a replica that lags:
   * that runs of this process have ended, and that ticks are claimed.
   *
   * @param until an id made by this process: runs with ids that were made before are its own
   * @param live the ids of those that go on, that are asked for, and whose end is about to be told
   */
  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void>
}

/** A run that has begun and whose end is not recorded. */
export interface OpenRun {
  readonly runId: string
  readonly jobId: string
  readonly replicaId: string
  readonly fencingToken: number
  readonly scheduledTime: number
  readonly startedAt: number
  /** 0 when nobody is to take it over. */
  readonly attempt: number
  /** Until when it was to have its lock; by the store's clock, as the other times. */
  readonly lockedUntil: number
  /** Which of the job's slots it has, from 1 on. */
  readonly slot: number
  /** Who has asked for it by hand; left out where that is not known, or nobody did. */
  readonly by?: string
}

/** A run that is to be recorded as abandoned. */
export interface LostRun extends OpenRun {
  /**
   * What the history keeps of it; `null` for nothing.
   *
   * @default null
   */
  readonly entry?: HistoryRun | null
}

/** A claim that is certain: a majority of masters has confirmed it, or a store has forgotten it. */
export interface ConfirmedClaim {
  readonly jobId: string
  /** `''` once its run has ended. */
  readonly runId: string
  /** The latest tick that is taken. */
  readonly tick: number
  /** The run it is claimed for; `null` for a tick that is counted and has none. */
  readonly run: {
    readonly scheduledTime: number
    readonly fencingToken: number
    /** 0 when nobody is to take it over. */
    readonly attempt: number
  } | null
  /** As in a claim's request. */
  readonly retention: number
  readonly fingerprint: Fingerprint
}
