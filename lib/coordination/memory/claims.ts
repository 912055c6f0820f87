import type {
  ClaimAnswer,
  ClaimRequest,
  ConfirmedClaim,
  CoordinationListener,
  Definition,
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

  answer(request: ClaimRequest, moment: Moment): ClaimAnswer {
    const { jobId, kind, pausedInitially, definition, memo } = request
    this.#store.pauseByCode(jobId, pausedInitially, moment)
    const record = this.#store.jobOf(jobId, moment, memo)
    if (record !== undefined && !isSame(record.definition, definition)) {
      this.#listener.onDefinitionDiffers(jobId, record.tick, { definition: record.definition, replicaId: null })
    }
    return kind === 'recover' ? this.#recover(request, record, moment) : this.#claim(request, record, moment)
  }

  /** Takes over a claim that a majority of stores like this one has confirmed. */
  adopt(claim: ConfirmedClaim, moment: Moment): void {
    const { jobId, runId, tick, run, keep, definition } = claim
    const { now, monotonic } = moment
    const record = this.#store.jobOf(jobId, moment) ?? this.#newRecord(claim, moment)
    if (record.tick > tick || (record.tick === tick && !record.open)) return
    if (!record.open) record.previous = record.tick
    else endUnbegun(record, now)
    const isFirst = record.tick < 0 || !hasSameTrigger(record.definition, definition)
    if (isFirst) this.#store.noteClaimed(jobId, definition, keep, monotonic)
    record.tick = tick
    record.claimedBy = runId
    record.open = false
    record.definition = definition
    record.retainedUntil = monotonic + keep
    if (run === null) return
    this.#store.leave(record, jobId, moment)
    record.runTick = run.scheduledTime
    record.attempt = run.attempt
    this.#begin(record, runId, run.fencingToken, now)
  }

  // The order of these steps is the contract's, and that of the Lua script in claim-script.ts.
  #claim(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { now, monotonic } = moment
    const { jobId, kind, runId, afterCompletion, definition } = request
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
      const previous = accounted(record, record.previous, definition)
      if (!hasSameTrigger(record.definition, definition)) this.#noteAccounted(jobId, definition, scheduledTime)
      if (paused) return { status: 'paused', first: false, previous, by: claimedBy }
      return { status: 'claimed_elsewhere', last: request.waits ? tick : null, by: claimedBy, previous }
    }

    const before = repeated || record.open ? record.previous : tick
    const previous = accounted(record, before, definition)
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
        noteDate(record, definition, runId)
        record.previous = tick
      } else {
        const isOther = !hasSameTrigger(record.definition, definition)
        if (tick >= 0 && isOther) {
          if (isDate(record.definition)) noteDate(record, record.definition, '')
          this.#noteAccounted(jobId, record.definition, tick)
        }
        if ((isOther || tick < 0) && afterCompletion === 0 && !isDate(definition)) {
          this.#store.noteClaimed(jobId, definition, request.keep, monotonic)
        }
        record.tick = coversUntil
        record.previous = before
        record.definition = definition
      }
      record.retainedUntil = monotonic + request.keep
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
      const overlap = { status: 'overlap', taken, isLeft, previous, resumedAt } as const
      return this.#store.isVote ? { ...overlap, by: isLeft ? '' : record.token } : overlap
    }
    if (record.runId !== runId) this.#store.leave(record, jobId, moment)
    record.runTick = scheduledTime
    // An interval from the last end is measured from the end of any run.
    if (manual && afterCompletion > 0) record.retainedUntil = monotonic + request.keep
    record.attempt = request.rerun && !manual ? 1 : 0
    const fencingToken = this.#store.nextFence(now)
    this.#begin(record, runId, fencingToken, now)
    const granted = this.#lock(request, record, monotonic)
    return { status: 'granted', lock: granted, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
  }

  /** Where two triggers are there at a time the record is of one of them: the other is accounted for up to its last tick. */
  #noteAccounted(jobId: string, { trigger }: Definition, tick: number): void {
    const since = this.#store.since.get(jobId)
    if (since?.trigger === trigger) since.at = Math.max(since.at, tick)
  }

  /** Whether a date that lies before the last tick takes the place of another trigger, and is not claimed yet: it is a tick of its own. */
  #isAside(record: ClaimRecord, { definition, runId }: ClaimRequest): boolean {
    if (!isDate(definition) || hasSameTrigger(record.definition, definition)) return false
    const by = record.dates?.get(definition.trigger)
    return (!record.open || record.claimedBy === runId) && (by === undefined || by === runId)
  }

  #recover(request: ClaimRequest, record: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
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
    { jobId, keep, definition }: Pick<ClaimRequest, 'jobId' | 'keep' | 'definition'>,
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
      definition,
      dates: null,
      retainedUntil: monotonic + keep,
      token: '',
      expiresAt: 0
    }
    this.#store.jobs.set(jobId, record)
    return record
  }
}

function noteDate(record: ClaimRecord, { trigger }: Definition, runId: string): void {
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
export function accounted(record: ClaimRecord, tick: number, definition: Definition): number | null {
  return tick < 0 || !hasSameTrigger(record.definition, definition) ? null : tick
}
