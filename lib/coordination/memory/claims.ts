import type { ClaimAnswer, ClaimRequest, CoordinationListener, HeldLock } from '../../../types/coordination.js'
import { hasSameTrigger, isDate, isSame } from '../../jobs/fingerprint.js'
import {
  accounted,
  dueAfter,
  firstAttempt,
  GIVEN_UP,
  isDateBeside,
  isUnfinished,
  resumedAfter,
  waitsForLock
} from '../claim-rules.js'
import { validUntil } from '../lock-validity.js'
import {
  type ClaimRecord,
  isHeld,
  JobLock,
  type Moment,
  newRecord,
  noteDate,
  openRunOf,
  releaseLock
} from './record.js'
import type { MemoryStore } from './store.js'

/**
 * Claims ticks and takes locks in memory, by the same steps in the same order as the claim script does in Redis:
 *
 * 1. a takeover: `#recover`
 * 2. when the tick is due, and whether that is too early
 * 3. whether the tick is claimed already: `#refuse`
 * 4. whether another run of the job holds the lock
 * 5. the tick is claimed: `take`
 * 6. what is to become of it: counted as paused or missed, an overlap, or a run: `#grant`
 */
export class MemoryClaims {
  readonly #store: MemoryStore
  readonly #maxClockSkew: number
  readonly #listener: CoordinationListener
  readonly #replicaId: string

  constructor(store: MemoryStore, maxClockSkew: number, listener: CoordinationListener, replicaId: string) {
    this.#store = store
    this.#maxClockSkew = maxClockSkew
    this.#listener = listener
    this.#replicaId = replicaId
  }

  answer(request: ClaimRequest, moment: Moment): ClaimAnswer {
    const { jobId, kind, pausedInitially, fingerprint, memo } = request
    this.#store.pauses.noteCode(jobId, pausedInitially, moment.now)
    const record = this.#store.jobOf(jobId, moment, memo)
    if (record !== undefined && !isSame(record.fingerprint, fingerprint)) {
      this.#listener.onDefinitionDiffers(jobId, record.tick, { fingerprint: record.fingerprint, replicaId: null })
    }
    if (kind === 'recover') return this.#recover(request, record, moment)
    return kind === 'manual' ? this.#runByHand(request, record, moment) : this.#claim(request, record, moment)
  }

  #claim(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, kind, runId, rerun, afterCompletion, fingerprint } = request
    const { now, monotonic } = moment
    let record = known
    let { scheduledTime, coversUntil } = request
    if (afterCompletion > 0) {
      // The first replica to ask sets the time from which the interval is measured.
      record ??= this.addRecord(request, moment)
      const due = this.#dueAfterCompletion(request, record, moment)
      if (now < due) return { status: 'early', due }
      scheduledTime = coversUntil = due
    }
    if (scheduledTime > now + this.#maxClockSkew) return { status: 'early', due: scheduledTime }

    record ??= this.addRecord(request, moment)
    const isRepeated = record.claimedBy === runId
    const isPaused = this.#store.pauses.isPaused(jobId)
    const isBeside = scheduledTime < record.tick && this.isBeside(record, request)
    if (scheduledTime <= record.tick && !isRepeated && !isBeside) {
      return this.#refuse(request, record, scheduledTime, isPaused)
    }

    const before = this.tickBefore(record, isRepeated)
    const previous = accounted(before, record.fingerprint, fingerprint)
    const resumedAt = resumedAfter(previous, this.#store.pauses.resumedAt(jobId))
    const isLocked = isHeld(record, monotonic)
    const isLeft = rerun && !isLocked && record.runId !== runId && isUnfinished(record)
    const overlaps = isLeft || (isLocked && record.token !== runId)

    const taken = !(overlaps && waitsForLock(request, isPaused))
    if (taken) this.take(request, record, isBeside ? record.tick : before, coversUntil, isBeside, moment)
    if (isPaused) return { status: 'paused', first: true, previous }
    if (kind === 'miss') return this.#miss(request, record, scheduledTime, previous, resumedAt, moment)
    if (overlaps) return { status: 'overlap', taken, isLeft, previous, resumedAt }
    return this.#grant(request, record, scheduledTime, previous, resumedAt, moment)
  }

  /** A run by hand asks for the lock alone: it knows nothing of the ticks, and runs also while the job is paused. */
  #runByHand(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, runId, rerun, scheduledTime, afterCompletion, retention, fingerprint } = request
    const { monotonic } = moment
    const record = known ?? this.addRecord(request, moment)
    const previous = accounted(this.tickBefore(record, false), record.fingerprint, fingerprint)
    const resumedAt = resumedAfter(previous, this.#store.pauses.resumedAt(jobId))
    const isLocked = isHeld(record, monotonic)
    const isLeft = rerun && !isLocked && record.runId !== runId && isUnfinished(record)
    if (isLeft || (isLocked && record.token !== runId)) {
      return { status: 'overlap', taken: false, isLeft, previous, resumedAt }
    }
    // An interval from the last end is measured from the end of any run.
    if (afterCompletion > 0) record.retainedUntil = monotonic + retention
    return this.#grant(request, record, scheduledTime, previous, resumedAt, moment)
  }

  /** When an interval from the last run's end is due, which only the store knows. */
  #dueAfterCompletion(request: ClaimRequest, record: ClaimRecord, { now, monotonic }: Moment): number {
    if (record.claimedBy === request.runId && record.tick >= 0) return record.tick
    if (isHeld(record, monotonic)) return now + request.afterCompletion
    return dueAfter(record.endedAt, record.tick, request)
  }

  /** Another request has the tick, or a later one. */
  #refuse(request: ClaimRequest, record: ClaimRecord, scheduledTime: number, isPaused: boolean): ClaimAnswer {
    const { jobId, waits, fingerprint } = request
    if (!hasSameTrigger(record.fingerprint, fingerprint)) {
      this.#store.since.noteAccounted(jobId, fingerprint, scheduledTime)
    }
    if (isPaused) return { status: 'paused', first: false }
    return { status: 'claimed_elsewhere', last: waits ? record.tick : null }
  }

  /** Whether a request is for a date that lies before the last tick of another trigger, and is not claimed yet. */
  protected isBeside(record: ClaimRecord, { fingerprint, runId }: ClaimRequest): boolean {
    if (!isDateBeside(record.fingerprint, fingerprint)) return false
    const by = record.dates?.get(fingerprint.trigger)
    return by === undefined || by === runId
  }

  /** The tick before the one that is asked for. */
  protected tickBefore(record: ClaimRecord, isRepeated: boolean): number {
    return isRepeated ? record.previous : record.tick
  }

  /**
   * The tick is the request's.
   *
   * @param before the tick to go back to, should it be handed back
   * @param isBeside whether it is a date beside the ticks of another trigger: these stay claimed
   */
  protected take(
    request: ClaimRequest,
    record: ClaimRecord,
    before: number,
    coversUntil: number,
    isBeside: boolean,
    { monotonic }: Moment
  ): void {
    const { jobId, runId, retention, afterCompletion, fingerprint } = request
    record.claimedBy = runId
    record.previous = before
    record.retainedUntil = monotonic + retention
    if (isBeside) {
      noteDate(record, fingerprint, runId)
      return
    }
    const isOther = !hasSameTrigger(record.fingerprint, fingerprint)
    if (isOther && record.tick >= 0) {
      if (isDate(record.fingerprint)) noteDate(record, record.fingerprint, '')
      this.#store.since.noteAccounted(jobId, record.fingerprint, record.tick)
    }
    if ((isOther || record.tick < 0) && afterCompletion === 0 && !isDate(fingerprint)) {
      this.#store.since.noteClaimed(jobId, fingerprint, retention, monotonic)
    }
    record.tick = coversUntil
    record.fingerprint = fingerprint
  }

  /** A tick is taken that has no run. It may have been granted before, when its reply was lost, and be too late by now. */
  #miss(
    { runId }: ClaimRequest,
    record: ClaimRecord,
    scheduledTime: number,
    previous: number | null,
    resumedAt: number | null,
    { now, monotonic }: Moment
  ): ClaimAnswer {
    releaseLock(record, runId, monotonic)
    if (record.runId === runId) {
      record.endedAt = now
      record.isOpen = false
    }
    const fencingToken = this.#store.fence
    return { status: 'granted', lock: null, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
  }

  #grant(
    request: ClaimRequest,
    record: ClaimRecord,
    scheduledTime: number,
    previous: number | null,
    resumedAt: number | null,
    moment: Moment
  ): ClaimAnswer {
    const { jobId, runId, ttl, rerun, kind } = request
    const { now, monotonic } = moment
    if (record.runId !== runId) this.#store.openRuns.noteReplaced(record, jobId, moment)
    record.runTick = scheduledTime
    record.attempt = firstAttempt(rerun, kind)
    const fencingToken = this.#store.nextFence(now)
    this.begin(record, runId, fencingToken, now)
    const lock = this.#lock(jobId, runId, ttl, record, monotonic)
    return { status: 'granted', lock, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
  }

  /** Takes over a run whose replica died. */
  #recover(request: ClaimRequest, record: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, runId } = request
    const { now, monotonic } = moment
    // Taken over before, and the reply was lost.
    const isOwn = record !== undefined && record.runId === runId && record.endedAt === 0
    if (record === undefined || !(isOwn || isUnfinished(record))) return { status: 'claimed_elsewhere', last: null }
    if (this.#store.pauses.isPaused(jobId)) return { status: 'paused', first: false }
    if (isHeld(record, monotonic) && record.token !== runId) {
      return { status: 'running', remaining: record.expiresAt - monotonic }
    }
    const from = record.runId === GIVEN_UP ? null : openRunOf(record, jobId, moment)
    const fencingToken = this.#store.nextFence(now)
    if (!isOwn) {
      // Should its holder come back, its claim is over.
      if (record.claimedBy === record.runId) record.claimedBy = ''
      this.#store.openRuns.noteReplaced(record, jobId, moment)
      record.attempt++
      this.begin(record, runId, fencingToken, now)
    }
    const { runTick: scheduledTime, attempt } = record
    const lock = this.#lock(jobId, runId, request.ttl, record, monotonic)
    const answer = { status: 'granted', lock, fencingToken, previous: null, resumedAt: null } as const
    return { ...answer, ...(from === null ? {} : { from }), scheduledTime, attempt }
  }

  protected begin(record: ClaimRecord, runId: string, fencingToken: number, now: number): void {
    record.runId = runId
    record.endedAt = 0
    record.fencingToken = fencingToken
    record.startedAt = now
    record.replicaId = this.#replicaId
    record.isOpen = true
  }

  #lock(jobId: string, runId: string, ttl: number, record: ClaimRecord, monotonic: number): HeldLock {
    record.token = runId
    record.expiresAt = monotonic + ttl
    return new JobLock(jobId, runId, ttl, validUntil(monotonic, ttl), this.#store.jobs, record)
  }

  protected addRecord(
    { jobId, retention, fingerprint }: Pick<ClaimRequest, 'jobId' | 'retention' | 'fingerprint'>,
    moment: Moment
  ): ClaimRecord {
    const record = newRecord(fingerprint, retention, moment)
    this.#store.jobs.set(jobId, record)
    return record
  }
}
