import type { Coordination } from '../coordination.js'
import type { ChangeAnswer, ChangeRequest } from './changes.js'
import type { ClaimAnswer, ClaimRequest } from './claims.js'
import type { AcquireAnswer, HeldLock } from './locks.js'
import type { ConfirmedClaim, LostRun, OpenRun } from './open-runs.js'

/**
 * One store of a quorum. What it answers is its vote, and counts only with those of a majority: a claim it has granted
 * stays unconfirmed until it is told that a majority has granted it, and whoever claims the next tick meanwhile learns
 * of the tick before the unconfirmed one.
 */
export interface CoordinationNode extends Omit<Coordination, 'claim' | 'abandon' | 'acquire' | 'correct'> {
  /** As `claim`, for claims that are to be confirmed. */
  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]>
  /**
   * Confirms claims that a majority has granted, by the ids of their requests, and lets fencing tokens be greater than
   * `fencingToken` from now on.
   *
   * @returns for each claim whether it was still the request's own; `null` when the store did not answer
   */
  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null>
  /** Takes over claims that a majority has confirmed, unless it has confirmed others of the same ticks, or knows later ones. */
  adopt(claims: readonly ConfirmedClaim[]): Promise<void>
  /**
   * Sets a lock that a majority has given and this node lacks, with its whole TTL, unless somebody holds it here.
   *
   * @returns whether it was set
   */
  restoreLock(lock: HeldLock): Promise<boolean>
  /**
   * As in `Coordination`, unless it knows of a later change of the same: then it leaves that as it is.
   *
   * @param at when it is made; `null` only looks whether what is expected is in force, and answers `made` as if it were
   */
  changeAt(request: ChangeRequest, at: number | null): Promise<ChangeAnswer>
  /** As in `Coordination`, with who holds the lock. */
  acquire(name: string, ttl: number, token: string): Promise<AcquireVote>
  /** As `abandon`, with what has become of each run on this node. */
  tryToAbandon(runs: readonly LostRun[], callId: string): Promise<readonly AbandonVote[]>
  /** Takes back what a call of `tryToAbandon` has recorded. */
  reopen(runs: readonly OpenRun[], callId: string): Promise<void>
}

/**
 * A node's answer to one request. `by` is the request that has the tick, `''` once its run is over: it tells a tick that
 * one request has on a majority of nodes from one whose votes are split. `previous` is the tick before, as of a granted
 * one.
 */
export type ClaimVote =
  | Exclude<
      ClaimAnswer,
      { status: 'claimed_elsewhere' | 'overlap' | 'queued' | 'dropped' | 'ended' } | { status: 'paused'; first: false }
    >
  | (Extract<ClaimAnswer, { status: 'claimed_elsewhere' }> & { readonly by: string; readonly previous: number | null })
  /** `by` is the run that holds the lock, `''` where none does. */
  | (Extract<ClaimAnswer, { status: 'overlap' }> & { readonly by: string })
  | (Extract<ClaimAnswer, { status: 'paused'; first: false }> & {
      readonly by: string
      readonly previous: number | null
    })

/** A claim that a majority has granted. */
export interface Confirmation extends Pick<ClaimRequest, 'jobId' | 'runId'> {
  /** The tick that was decided on, of an interval from the last end: each node has its own until then. */
  readonly due?: number
}

/** `by` is the token that holds the lock, where the node knows it. */
export type AcquireVote =
  | Exclude<AcquireAnswer, { status: 'held' }>
  | (Extract<AcquireAnswer, { status: 'held' }> & { readonly by?: string })

/**
 * `recorded`: by this call. `elsewhere`: by another. `held`: the run has its lock. `closed`: it has ended, or is not known.
 */
export type AbandonVote = 'recorded' | 'elsewhere' | 'held' | 'closed' | 'unavailable'
