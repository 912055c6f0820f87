import type { Fingerprint, OpenRun } from '../../../types/coordination.js'
import { MAX_ATTEMPTS } from '../redis/claim-script.js'

/** A lock: its holder's token, `''` for none, and when it ends by itself, on the monotonic clock. */
export interface LockRecord {
  token: string
  expiresAt: number
}

/** One moment by both clocks: the fleet's, and the monotonic one. */
export interface Moment {
  readonly now: number
  readonly monotonic: number
}

/** What is remembered of a job, with its lock; the words are those of the claim's record in claim-script.ts. */
export interface ClaimRecord extends LockRecord {
  /** The last claimed tick, -1 before the first. */
  tick: number
  /** The one before it, or -1. */
  previous: number
  /** The request that claimed it; `''` once its run has ended. */
  claimedBy: string
  /** Whether that is a vote, and not confirmed yet. */
  open: boolean
  /** The last granted run, and when it ended; 0 while it goes on. */
  runId: string
  endedAt: number
  runTick: number
  attempt: number
  fencingToken: number
  startedAt: number
  replicaId: string
  /** Whether nobody has recorded what became of it. */
  isOpen: boolean
  fingerprint: Fingerprint
  /** Dates that were claimed while the job had ticks of other triggers as well: their triggers, with the requests. */
  dates: Map<string, string> | null
  /** Until when it is remembered, on the monotonic clock. */
  retainedUntil: number
}

/** Whether a run of the job has begun and not ended, so that it may have to be taken over. */
export function isUnfinished({ runId, endedAt, attempt, open, claimedBy }: ClaimRecord): boolean {
  if (open && runId === claimedBy) return false
  return runId !== '' && endedAt === 0 && attempt > 0 && attempt < MAX_ATTEMPTS
}

export function openRunOf(record: ClaimRecord, jobId: string, { now, monotonic }: Moment): OpenRun {
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, expiresAt } = record
  const lockedUntil = now + expiresAt - monotonic
  return { runId, jobId, replicaId, fencingToken, scheduledTime, startedAt, attempt, lockedUntil }
}

/** The claim is nobody's any more; its tick stays claimed. */
export function endClaim(record: ClaimRecord): void {
  record.claimedBy = ''
  record.open = false
}
