import type { ClaimVote } from '../../../types/coordination/node.js'
import type {
  ClaimRequest,
  ConfirmedClaim,
  CoordinationListener,
  Fingerprint,
  HeldLock
} from '../../../types/coordination.js'
import { hasSameTrigger, isDate, isSame } from '../../jobs/fingerprint.js'
import { validUntil } from '../lock-validity.js'
import { GIVEN_UP } from '../redis/claim-script.js'
import { type ClaimRecord, endClaim, isUnfinished, type Moment, openRunOf } from './record.js'
import { free, isHeld, type MemoryStore } from './store.js'

/** The lock of a job, with the record it lies in: looking that up among 10,000 is some 5% of a tick. */
export class JobLock implements HeldLock {
  readonly name: string
  readonly kind = 'job'
  readonly token: string
  readonly ttl: number
  validUntil: number
  readonly #store: MemoryStore
  readonly #record: ClaimRecord

  constructor(name: string, token: string, ttl: number, validUntil: number, store: MemoryStore, record: ClaimRecord) {
    this.name = name
    this.token = token
    this.ttl = ttl
    this.validUntil = validUntil
    this.#store = store
    this.#record = record
  }

  /** The record of a lock in a store: that of a forgotten job is over. */
  static recordOf(lock: HeldLock, store: MemoryStore): ClaimRecord | undefined {
    return lock instanceof JobLock && lock.#store === store ? lock.#record : store.jobs.get(lock.name)
  }
}

/** Claims ticks and takes locks in memory, as the script of claim-script.ts does in Redis. */
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

  answer(request: ClaimRequest, moment: Moment): ClaimVote {
    const { jobId, kind, pausedInitially, fingerprint, memo } = request
    this.#store.pauseByCode(jobId, pausedInitially, moment)
    const record = this.#store.jobOf(jobId, moment, memo)
    if (record !== undefined && !isSame(record.fingerprint, fingerprint)) {
      this.#listener.onDefinitionDiffers(jobId, record.tick, { fingerprint: record.fingerprint, replicaId: null })
    }
    return kind === 'recover' ? this.#recover(request, record, moment) : this.#claim(request, record, moment)
  }

  /** Takes over a claim that a majority of stores like this one has confirmed. */
  adopt(claim: ConfirmedClaim, moment: Moment): void {
    const { jobId, runId, tick, run, retention, fingerprint } = claim
    const { now, monotonic } = moment
    const record = this.#store.jobOf(jobId, moment) ?? this.#newRecord(claim, moment)
    if (record.tick > tick || (record.tick === tick && !record.open)) return
    if (!record.open) record.previous = record.tick
    else endUnbegun(record, now)
    const isFirst = record.tick < 0 || !hasSameTrigger(record.fingerprint, fingerprint)
    if (isFirst) this.#store.noteClaimed(jobId, fingerprint, retention, monotonic)
    record.tick = tick
    record.claimedBy = runId
    record.open = false
    record.fingerprint = fingerprint
    record.retainedUntil = monotonic + retention
    if (run === null) return
    this.#store.leave(record, jobId, moment)
    record.runTick = run.scheduledTime
    record.attempt = run.attempt
    this.#begin(record, runId, run.fencingToken, now)
  }

  // The order of these steps is the contract's, and that of the Lua script in claim-script.ts.
  #claim(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimVote {
    const { now, monotonic } = moment
    const { jobId, kind, runId, afterCompletion, fingerprint } = request
    const manual = kind === 'manual'
    let record = known
    let { scheduledTime, coversUntil } = request

    if (afterCompletion > 0 && !manual) {
      // The first replica to ask sets the time from which the interval is measured.
      record ??= this.#newRecord(request, moment)
      const mine = record.claimedBy === runId && record.tick >= 0
      const since = Math.max(record.endedAt, record.tick)
      const due = mine ? record.tick : Math.max(since + afterCompletion, scheduledTime)
      if (!mine && isHeld(record, monotonic)) return { status: 'early', due: now + afterCompletion }
      if (now < due) return { status: 'early', due }
      scheduledTime = coversUntil = due
    }
    if (!manual && scheduledTime > now + this.#maxClockSkew) return { status: 'early', due: scheduledTime }

    record ??= this.#newRecord(request, moment)
    const { claimedBy, tick } = record
    const repeated = claimedBy === runId
    const paused = !manual && this.#store.isPaused(jobId)
    const isAside = !manual && scheduledTime < tick && this.#isAside(record, request)
    if (!manual && !repeated && !isAside && scheduledTime <= tick) {
      const previous = accounted(record, record.previous, fingerprint)
      if (!hasSameTrigger(record.fingerprint, fingerprint)) this.#noteAccounted(jobId, fingerprint, scheduledTime)
      if (paused) return { status: 'paused', first: false, previous, by: claimedBy }
      return { status: 'claimed_elsewhere', last: request.waits ? tick : null, by: claimedBy, previous }
    }

    const before = repeated || record.open ? record.previous : tick
    const previous = accounted(record, before, fingerprint)
    const resumed = this.#store.resumedAt(jobId)
    const resumedAt = resumed > (previous ?? Number.NEGATIVE_INFINITY) ? resumed : null
    const isLeft = request.rerun && isUnfinished(record) && record.runId !== runId && !isHeld(record, monotonic)
    const overlaps = isLeft || (isHeld(record, monotonic) && record.token !== runId)
    const taken = !manual && !(overlaps && request.waits && kind === 'tick' && !paused)
    if (taken) {
      if (record.open && !repeated) endUnbegun(record, now)
      record.open = this.#store.isVote && (record.open || !repeated)
      record.claimedBy = runId
      if (isAside) {
        // The ticks of the other trigger stay claimed.
        noteDate(record, fingerprint, runId)
        record.previous = tick
      } else {
        const isOther = !hasSameTrigger(record.fingerprint, fingerprint)
        if (tick >= 0 && isOther) {
          if (isDate(record.fingerprint)) noteDate(record, record.fingerprint, '')
          this.#noteAccounted(jobId, record.fingerprint, tick)
        }
        if ((isOther || tick < 0) && afterCompletion === 0 && !isDate(fingerprint)) {
          this.#store.noteClaimed(jobId, fingerprint, request.retention, monotonic)
        }
        record.tick = coversUntil
        record.previous = before
        record.fingerprint = fingerprint
      }
      record.retainedUntil = monotonic + request.retention
    }
    if (paused) return { status: 'paused', first: true, previous }
    if (kind === 'miss') {
      // Granted before, as its reply was lost, and too late to run now.
      free(record, runId, monotonic)
      if (record.runId === runId) {
        record.endedAt = now
        record.isOpen = false
      }
      return {
        status: 'granted',
        lock: null,
        fencingToken: this.#store.fence,
        previous,
        resumedAt,
        scheduledTime,
        attempt: 1
      }
    }
    if (overlaps) {
      return { status: 'overlap', taken, isLeft, previous, resumedAt, by: isLeft ? '' : record.token }
    }
    if (record.runId !== runId) this.#store.leave(record, jobId, moment)
    record.runTick = scheduledTime
    // An interval from the last end is measured from the end of any run.
    if (manual && afterCompletion > 0) record.retainedUntil = monotonic + request.retention
    record.attempt = request.rerun && !manual ? 1 : 0
    const fencingToken = this.#store.nextFence(now)
    this.#begin(record, runId, fencingToken, now)
    const granted = this.#lock(request, record, monotonic)
    return { status: 'granted', lock: granted, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
  }

  /** Where two triggers are there at a time the record is of one of them: the other is accounted for up to its last tick. */
  #noteAccounted(jobId: string, { trigger }: Fingerprint, tick: number): void {
    const since = this.#store.since.get(jobId)
    if (since?.trigger === trigger) since.at = Math.max(since.at, tick)
  }

  /** Whether a date that lies before the last tick takes the place of another trigger, and is not claimed yet: it is a tick of its own. */
  #isAside(record: ClaimRecord, { fingerprint, runId }: ClaimRequest): boolean {
    if (!isDate(fingerprint) || hasSameTrigger(record.fingerprint, fingerprint)) return false
    const by = record.dates?.get(fingerprint.trigger)
    return (!record.open || record.claimedBy === runId) && (by === undefined || by === runId)
  }

  #recover(request: ClaimRequest, record: ClaimRecord | undefined, moment: Moment): ClaimVote {
    const { jobId, runId } = request
    const { now, monotonic } = moment
    const mine = record !== undefined && record.runId === runId && record.endedAt === 0
    if (record === undefined || !(mine || isUnfinished(record))) {
      return { status: 'claimed_elsewhere', last: null, by: '', previous: null }
    }
    if (this.#store.isPaused(jobId)) return { status: 'paused', first: false, previous: null, by: '' }
    const { runTick } = record
    if (isHeld(record, monotonic) && record.token !== runId) {
      return { status: 'running', remaining: record.expiresAt - monotonic }
    }
    const from = record.runId === GIVEN_UP ? null : openRunOf(record, jobId, moment)
    const fencingToken = this.#store.nextFence(now)
    if (!mine) {
      // Should its holder come back, its claim is over.
      if (record.claimedBy === record.runId) endClaim(record)
      this.#store.leave(record, jobId, moment)
      record.attempt++
      this.#begin(record, runId, fencingToken, now)
    }
    const { attempt } = record
    const granted = this.#lock(request, record, monotonic)
    const before = { previous: null, resumedAt: null, ...(from === null ? {} : { from }) }
    return { status: 'granted', lock: granted, fencingToken, ...before, scheduledTime: runTick, attempt }
  }

  #begin(record: ClaimRecord, runId: string, fencingToken: number, now: number): void {
    record.runId = runId
    record.endedAt = 0
    record.fencingToken = fencingToken
    record.startedAt = now
    record.replicaId = this.#replicaId
    record.isOpen = true
  }

  #lock({ jobId, runId, ttl }: ClaimRequest, record: ClaimRecord, monotonic: number): HeldLock {
    record.token = runId
    record.expiresAt = monotonic + ttl
    return new JobLock(jobId, runId, ttl, validUntil(monotonic, ttl), this.#store, record)
  }

  #newRecord(
    { jobId, retention, fingerprint }: Pick<ClaimRequest, 'jobId' | 'retention' | 'fingerprint'>,
    { now, monotonic }: Moment
  ): ClaimRecord {
    const record: ClaimRecord = {
      tick: -1,
      previous: -1,
      claimedBy: '',
      open: false,
      runId: '',
      endedAt: now,
      runTick: -1,
      attempt: 0,
      fencingToken: 0,
      startedAt: 0,
      replicaId: '',
      isOpen: false,
      fingerprint,
      dates: null,
      retainedUntil: monotonic + retention,
      token: '',
      expiresAt: 0
    }
    this.#store.jobs.set(jobId, record)
    return record
  }
}

function noteDate(record: ClaimRecord, { trigger }: Fingerprint, runId: string): void {
  record.dates ??= new Map()
  record.dates.set(trigger, runId)
}

/** The run of a claim that was never confirmed has not begun. */
function endUnbegun(record: ClaimRecord, now: number): void {
  if (record.runId !== record.claimedBy) return
  record.runId = ''
  record.isOpen = false
  record.endedAt = record.tick >= 0 ? record.tick : now
}

/** The tick up to which all is accounted for; ticks of another trigger say nothing of this one's. */
export function accounted(record: ClaimRecord, tick: number, fingerprint: Fingerprint): number | null {
  return tick < 0 || !hasSameTrigger(record.fingerprint, fingerprint) ? null : tick
}
