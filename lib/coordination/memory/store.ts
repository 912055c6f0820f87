import type { ClaimVote } from '../../../types/coordination/node.js'
import type {
  ClaimMemo,
  CoordinationListener,
  Fingerprint,
  HandBackAnswer,
  OpenRun,
  ReleaseAnswer,
  SurveyRequest
} from '../../../types/coordination.js'
import { KEEP_SINCE } from '../redis/claim-script.js'
import { ABANDONED_AFTER } from '../redis/open-scripts.js'
import { type ClaimRecord, type LockRecord, type Moment, openRunOf } from './record.js'

/** Of how many runs it is remembered that they were abandoned, should their replicas come back. */
const MAX_ABANDONED = 10_000

/** Of how many ticks it is remembered which blocks are taken. */
const MAX_TICKS = 64

/** Since when the fleet has had a job with a trigger, and until when that is remembered, on the monotonic clock. */
export interface SinceRecord {
  trigger: string
  at: number
  retainedUntil: number
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
  readonly replies = new WeakMap<CoordinationListener, { callId: string; answers: readonly ClaimVote[] }>()
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

  /**
   * What is remembered of a job, as long as it is to be.
   *
   * @param memo where to keep it for the next time: measured, looking it up among 10,000 is a tenth of a tick
   */
  jobOf(jobId: string, { monotonic }: Moment, memo?: ClaimMemo): ClaimRecord | undefined {
    if (memo?.store === this) {
      const kept = memo.record as ClaimRecord
      // One that was deleted is not remembered by these words either.
      if (isRemembered(kept, monotonic)) return kept
    }
    const record = this.jobs.get(jobId)
    if (record === undefined) return undefined
    if (!isRemembered(record, monotonic)) {
      this.jobs.delete(jobId)
      return undefined
    }
    if (memo !== undefined) {
      memo.store = this
      memo.record = record
    }
    return record
  }

  /** Notes since when a job has been there, as SINCE_SCRIPT does. */
  noteSince(request: SurveyRequest, claimed: ClaimRecord | undefined, now: number): number | null {
    const { jobId, fingerprint, since, isOnce, accounted, retention } = request
    const { trigger } = fingerprint
    if (since === null) return null
    const found = this.since.get(jobId)
    const record = found !== undefined && found.retainedUntil > now ? found : null
    const tick = claimed?.fingerprint.trigger === trigger && claimed.tick >= 0 ? claimed.tick : null
    let at = Math.min(accounted, tick ?? accounted)
    let retainedUntil = now + retention
    if (record === null) {
      if (tick !== null || (isOnce && (claimed === undefined || claimed.fingerprint.trigger === trigger))) return at
    } else if (record.trigger !== trigger) {
      // What has been replaced, and is only not gone yet.
      if (since <= record.at) return at
      at = since
    } else {
      const isClaimed = tick !== null && tick >= record.at
      retainedUntil = isClaimed ? record.retainedUntil : Math.max(record.retainedUntil, retainedUntil)
      at = Math.min(record.at, accounted)
    }
    this.since.set(jobId, { trigger, at, retainedUntil })
    return at
  }

  /** The first claim under a trigger: from here on its claims say what was taken. */
  noteClaimed(jobId: string, { trigger }: Fingerprint, retention: number, now: number): void {
    const record = this.since.get(jobId)
    if (record?.trigger === trigger && record.retainedUntil > now)
      record.retainedUntil = now + Math.min(retention, KEEP_SINCE)
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
  pauseByCode(jobId: string, paused: boolean, { now }: Moment): void {
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
  leave(record: ClaimRecord, jobId: string, moment: Moment): void {
    if (record.isOpen) this.left.set(record.runId, openRunOf(record, jobId, moment))
  }

  /** Runs whose lock has ended some seconds ago, and whose end nobody has recorded. */
  findAbandoned(moment: Moment): OpenRun[] {
    const { now, monotonic } = moment
    const found: OpenRun[] = []
    for (const run of this.left.values()) if (run.lockedUntil + ABANDONED_AFTER <= now) found.push(run)
    this.jobs.forEach((record, jobId) => {
      // A claim that was never confirmed has no run that has begun.
      const hasBegun = record.isOpen && !(record.open && record.claimedBy === record.runId)
      if (hasBegun && record.expiresAt + ABANDONED_AFTER <= monotonic) found.push(openRunOf(record, jobId, moment))
    })
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
    for (const [jobId, record] of this.jobs) if (!isRemembered(record, now)) this.jobs.delete(jobId)
    for (const [name, { expiresAt }] of this.named) if (expiresAt <= now) this.named.delete(name)
    for (const [jobId, { retainedUntil }] of this.since) if (retainedUntil <= now) this.since.delete(jobId)
    this.#sweepAt = Math.max(1000, 2 * (this.jobs.size + this.named.size + this.since.size))
  }
}

/** `now` is on the monotonic clock, as in all that follows. */
function isRemembered(record: ClaimRecord, now: number): boolean {
  return record.retainedUntil > now || isHeld(record, now)
}

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
