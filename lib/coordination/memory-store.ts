import type {
  ClaimAnswer,
  CoordinationListener,
  Definition,
  HandBackAnswer,
  OpenRun,
  ReleaseAnswer,
  SurveyRequest
} from '../../types/coordination.js'
import { KEEP_SINCE, MAX_ATTEMPTS } from './claim-script.js'
import { ABANDONED_AFTER } from './open-scripts.js'

/** Of how many runs it is remembered that they were abandoned, should their replicas come back. */
const MAX_ABANDONED = 10_000

/** Of how many ticks it is remembered which blocks are taken. */
const MAX_TICKS = 64

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
  definition: Definition
  /** Dates that were claimed while the job had ticks of other triggers as well: their triggers, with the requests. */
  dates: Map<string, string> | null
  /** Until when it is remembered, on the monotonic clock. */
  keptUntil: number
}

/** A lock: its holder's token, `''` for none, and when it ends by itself, on the monotonic clock. */
export interface LockRecord {
  token: string
  expiresAt: number
}

/** Since when the fleet has had a job with a trigger, and until when that is remembered, on the monotonic clock. */
export interface SinceRecord {
  trigger: string
  at: number
  keptUntil: number
}

/**
 * Who has paused a job, or when it was resumed. A pause by code ends where the code has it no more, and begins anew where it
 * comes back; what an operator has said stays.
 */
export type Pause = 'operator' | 'code' | { readonly resumedAt: number; readonly byCode: boolean }

/** What replicas share. Several coordinations over one store are several replicas in one process. */
export class MemoryStore {
  readonly jobs = new Map<string, ClaimRecord>()
  readonly named = new Map<string, LockRecord>()
  readonly paused = new Map<string, Pause>()
  /** Since when the fleet has had a job, by its id. */
  readonly since = new Map<string, SinceRecord>()
  readonly listeners = new Set<CoordinationListener>()
  /** Each replica's last reply, should it have been lost. */
  readonly replies = new WeakMap<CoordinationListener, { callId: string; answers: readonly ClaimAnswer[] }>()
  readonly handBackReplies = new WeakMap<CoordinationListener, { callId: string; answers: readonly HandBackAnswer[] }>()
  /** Runs that are open and not their jobs' last ones any more, as they have lost their locks. */
  readonly left = new Map<string, OpenRun>()
  /** Runs that were recorded as abandoned, by the call that did so. */
  readonly abandoned = new Map<string, string>()
  /** What definitions say that differ from others of the same job, by job and words. */
  readonly definitions = new Map<string, string>()
  /** Of the last ticks the names of the blocks that are taken. */
  readonly #taken = new Map<number, Set<string>>()
  fence = 0
  /** Whether claims stay open until they are confirmed, as it is one of several stores. */
  readonly isVote: boolean
  #sweepAt = 1000

  constructor({ isVote = false }: { readonly isVote?: boolean } = {}) {
    this.isVote = isVote
  }

  /** The clock was corrected by a step back, to `now`: ticks later than `floor` are still to be claimed. */
  correct(now: number, floor: number): void {
    for (const record of this.jobs.values()) {
      record.tick = Math.min(record.tick, floor)
      record.previous = Math.min(record.previous, floor)
      record.endedAt = Math.min(record.endedAt, now)
    }
    for (const record of this.since.values()) record.at = Math.min(record.at, floor)
    for (const [jobId, pause] of this.paused) {
      if (typeof pause === 'object' && pause.resumedAt > now) this.paused.set(jobId, { ...pause, resumedAt: now })
    }
    this.#taken.clear()
  }

  /** The names of the blocks whose tick is taken. */
  takenBlocks(scheduledTime: number): Set<string> {
    let names = this.#taken.get(scheduledTime)
    if (names === undefined) {
      names = new Set()
      this.#taken.set(scheduledTime, names)
      if (this.#taken.size > MAX_TICKS) this.#taken.delete(this.#taken.keys().next().value as number)
    }
    return names
  }

  /** A claim of the tick was handed back: its block is not taken any more. */
  forgetTaken(scheduledTime: number): void {
    this.#taken.delete(scheduledTime)
  }

  /** What is remembered of a job, as long as it is to be. */
  jobOf(jobId: string, now: number): ClaimRecord | undefined {
    const record = this.jobs.get(jobId)
    if (record === undefined || record.keptUntil > now || isHeld(record, now)) return record
    this.jobs.delete(jobId)
    return undefined
  }

  /** Notes since when a job has been there, as SINCE_SCRIPT does. */
  noteSince(request: SurveyRequest, claimed: ClaimRecord | undefined, now: number): number | null {
    const { jobId, definition, since, isOnce, accounted, keep } = request
    const { trigger } = definition
    if (since === null) return null
    const found = this.since.get(jobId)
    const record = found !== undefined && found.keptUntil > now ? found : null
    const tick = claimed?.definition.trigger === trigger && claimed.tick >= 0 ? claimed.tick : null
    let at = Math.min(accounted, tick ?? accounted)
    let keptUntil = now + keep
    if (record === null) {
      if (tick !== null || (isOnce && (claimed === undefined || claimed.definition.trigger === trigger))) return at
    } else if (record.trigger !== trigger) {
      // What has been replaced, and is only not gone yet.
      if (since <= record.at) return at
      at = since
    } else {
      const isClaimed = tick !== null && tick >= record.at
      keptUntil = isClaimed ? record.keptUntil : Math.max(record.keptUntil, keptUntil)
      at = Math.min(record.at, accounted)
    }
    this.since.set(jobId, { trigger, at, keptUntil })
    return at
  }

  /** The first claim under a trigger: from here on its claims say what was taken. */
  noteClaimed(jobId: string, { trigger }: Definition, keep: number, now: number): void {
    const record = this.since.get(jobId)
    if (record?.trigger === trigger && record.keptUntil > now) record.keptUntil = now + Math.min(keep, KEEP_SINCE)
  }

  isPaused(jobId: string): boolean {
    return this.paused.size > 0 && typeof this.paused.get(jobId) === 'string'
  }

  /** When a job was resumed; `-Infinity` when it never was. */
  resumedAt(jobId: string): number {
    if (this.paused.size === 0) return Number.NEGATIVE_INFINITY
    const pause = this.paused.get(jobId)
    return typeof pause === 'object' ? pause.resumedAt : Number.NEGATIVE_INFINITY
  }

  /** The code says whether a job is paused. */
  pauseByCode(jobId: string, paused: boolean, now: number): void {
    if (!paused && this.paused.size === 0) return
    const known = this.paused.get(jobId)
    if (paused && (known === undefined || (typeof known === 'object' && known.byCode))) this.paused.set(jobId, 'code')
    if (!paused && known === 'code') this.paused.set(jobId, { resumedAt: now, byCode: true })
  }

  /** As in Redis no less than the time in microseconds, so that tokens of one process and the next still increase. */
  nextFence(now: number): number {
    this.fence = Math.max(this.fence + 1, Math.floor(now * 1000))
    return this.fence
  }

  /** Another run takes the place of a job's last one. */
  leave(record: ClaimRecord, jobId: string, now: number, monotonic: number): void {
    if (record.isOpen) this.left.set(record.runId, openRunOf(record, jobId, now, monotonic))
  }

  /** Runs whose lock has ended some seconds ago, and whose end nobody has recorded. */
  findAbandoned(now: number, monotonic: number): OpenRun[] {
    const found: OpenRun[] = []
    for (const run of this.left.values()) if (run.lockedUntil + ABANDONED_AFTER <= now) found.push(run)
    for (const [jobId, record] of this.jobs) {
      // A claim that was never confirmed has no run that has begun.
      const hasBegun = record.isOpen && !(record.open && record.claimedBy === record.runId)
      if (hasBegun && record.expiresAt + ABANDONED_AFTER <= monotonic) {
        found.push(openRunOf(record, jobId, now, monotonic))
      }
    }
    return found
  }

  /** Records that a run was abandoned, by a call. */
  abandon(runId: string, callId: string): void {
    this.abandoned.set(runId, callId)
    if (this.abandoned.size > MAX_ABANDONED) this.abandoned.delete(this.abandoned.keys().next().value as string)
  }

  /** Forgets what has had its time, now and then, so that jobs that come and go leave nothing behind. */
  sweep(now: number): void {
    if (this.jobs.size + this.named.size + this.since.size < this.#sweepAt) return
    for (const [jobId, { keptUntil }] of this.jobs) if (keptUntil <= now) this.jobs.delete(jobId)
    for (const [name, { expiresAt }] of this.named) if (expiresAt <= now) this.named.delete(name)
    for (const [jobId, { keptUntil }] of this.since) if (keptUntil <= now) this.since.delete(jobId)
    this.#sweepAt = Math.max(1000, 2 * (this.jobs.size + this.named.size + this.since.size))
  }
}

/** Whether a run of the job has begun and not ended, so that it may have to be taken over. */
export function isUnfinished({ runId, endedAt, attempt, open, claimedBy }: ClaimRecord): boolean {
  if (open && runId === claimedBy) return false
  return runId !== '' && endedAt === 0 && attempt > 0 && attempt < MAX_ATTEMPTS
}

/** @param monotonic the same moment as `now`, on the monotonic clock */
export function openRunOf(record: ClaimRecord, jobId: string, now: number, monotonic: number): OpenRun {
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, expiresAt } = record
  const lockedUntil = now + expiresAt - monotonic
  return { runId, jobId, replicaId, fencingToken, scheduledTime, startedAt, attempt, lockedUntil }
}

/** The claim is nobody's any more; its tick stays claimed. */
export function endClaim(record: ClaimRecord): void {
  record.claimedBy = ''
  record.open = false
}

/** `now` is on the monotonic clock, as in all that follows. */
export function isHeld(lock: LockRecord, now: number): boolean {
  return lock.token !== '' && lock.expiresAt > now
}

export function isHeldBy(lock: LockRecord, token: string, now: number): boolean {
  return lock.token === token && lock.expiresAt > now
}

/** Releases a lock that is still the holder's own. */
export function free(lock: LockRecord, token: string, now: number): ReleaseAnswer {
  if (!isHeldBy(lock, token, now)) return 'lost'
  lock.token = ''
  return 'released'
}
