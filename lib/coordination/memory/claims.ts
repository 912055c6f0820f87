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
import type { WaitingEntry, WaitingTick } from './queues.js'
import {
  type ClaimRecord,
  isHeld,
  JobLock,
  type Moment,
  newRecord,
  noteDate,
  openRunOf,
  releaseLock,
  type SlotRecord,
  settledClaim
} from './record.js'
import { countRun, isOngoing, lastOf, refuseByRuns, uncount } from './run-counts.js'
import { endSlot, findSlot, goingOn, hasSlots, heldSlots, isKeyHeld, isLeft, noteTaken, slotOfRun } from './slots.js'
import type { MemoryStore } from './store.js'

/**
 * Claims ticks and takes locks in memory, by the same steps in the same order as the claim script does in Redis:
 *
 * 1. a takeover: `#recover`
 * 2. when the tick is due, and whether that is too early
 * 3. whether the tick is claimed already: `#refuse`
 * 4. whether a slot of the job is free
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
    const { jobId, kind, runId, pausedInitially, fingerprint, memo } = request
    const isTick = kind === 'tick' || kind === 'miss'
    const { changes, heard } = this.#store
    if (isTick && changes.isOverriddenSince(jobId, heard.get(this.#listener) ?? 0)) {
      // One that has its claim already, as its votes were split, is to learn so.
      const { claimedBy } = this.#store.jobs.get(jobId) ?? {}
      if (claimedBy !== runId && claimedBy !== settledClaim(runId)) return { status: 'stale' }
    }
    this.#store.pauses.noteCode(jobId, pausedInitially, moment.now)
    const record = this.#store.jobOf(jobId, moment, memo)
    if (record !== undefined && !isSame(record.fingerprint, fingerprint)) {
      this.#listener.onDefinitionDiffers(jobId, record.tick, { fingerprint: record.fingerprint, replicaId: null })
    }
    if (kind === 'recover') return this.#recover(request, record, moment)
    if (kind === 'waiting') return this.#beginWaiting(request, record, moment)
    const refusal = kind === 'manual' ? null : refuseByRuns(this.#store, request, record, moment)
    if (refusal !== null) return refusal
    return kind === 'manual' || kind === 'start'
      ? this.#runByHand(request, record, moment)
      : this.#claim(request, record, moment)
  }

  #claim(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, kind, runId, afterCompletion, fingerprint, group = '' } = request
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
    if (record.claimedBy === settledClaim(runId)) return this.#settled(request, record, moment)
    const isRepeated = record.claimedBy === runId
    const isPaused = this.#store.pauses.isPaused(jobId, group, now)
    const isBeside = scheduledTime < record.tick && this.isBeside(record, request)
    if (scheduledTime <= record.tick && !isRepeated && !isBeside) {
      return this.#refuse(request, record, scheduledTime, isPaused)
    }

    const before = this.tickBefore(record, isRepeated)
    const previous = accounted(before, record.fingerprint, fingerprint)
    const resumedAt = resumedAfter(previous, this.#store.pauses.resumedAt(jobId, group, now))
    if (isRepeated) this.#takeBack(record, request, moment)
    const isSkipped = !isRepeated && this.#store.changes.isSkipped(jobId, scheduledTime)
    const slot = isPaused || isSkipped || kind === 'miss' ? record : this.#slotFor(record, request, monotonic)
    const overlaps = slot === null
    const taken = !(overlaps && waitsForLock(request, isPaused))
    if (taken) this.take(request, record, isBeside ? record.tick : before, coversUntil, isBeside, moment)
    if (isPaused) return { status: 'paused', first: true, previous }
    if (kind === 'miss' || isSkipped) {
      const answer = this.#miss(request, record, scheduledTime, previous, resumedAt, moment)
      return isSkipped ? { ...(answer as Extract<ClaimAnswer, { status: 'granted' }>), isSkipped } : answer
    }
    if (slot === null && request.overlap !== 'skip') {
      const place = this.#queue(record, request, scheduledTime, moment)
      // Its run is sure to begin.
      if (place.displaced === null) countRun(record, request)
      return { status: 'queued', ...place, previous, resumedAt, ...lastOf(request, record) }
    }
    if (slot === null) return this.#overlap(record, request, taken, previous, resumedAt, monotonic)
    countRun(record, request)
    return this.#grant(request, record, slot, scheduledTime, previous, resumedAt, moment)
  }

  /** The tick has come to wait, as the reply said that was lost, and does so no more: what became of it, others tell. */
  #settled(request: ClaimRequest, record: ClaimRecord, { now }: Moment): ClaimAnswer {
    const { jobId, group = '', fingerprint } = request
    const previous = accounted(record.previous, record.fingerprint, fingerprint)
    const resumedAt = resumedAfter(previous, this.#store.pauses.resumedAt(jobId, group, now))
    return { status: 'queued', displaced: null, replaces: null, previous, resumedAt, ...lastOf(request, record) }
  }

  /** A tick waits for a slot, in the place of the one that waited before. */
  #queue(
    record: ClaimRecord,
    { jobId, runId, overlap }: ClaimRequest,
    scheduledTime: number,
    { monotonic }: Moment
  ): { readonly displaced: number | null; readonly replaces: string | null } {
    const { queues } = this.#store
    const before = queues.tickOf(jobId)
    let replaces: string | null = null
    if (overlap === 'replace') {
      // The run that the tick before was to replace, while that goes on, else the oldest.
      const runs = goingOn(record, monotonic).sort((a, b) => a.startedAt - b.startedAt)
      const run = runs.find((each) => each.runId === before?.replaces) ?? runs[0]
      replaces = run?.runId ?? null
      // Nobody is to take it over.
      if (run !== undefined && run.attempt > 0) {
        run.replacedAttempt = run.attempt
        run.attempt = 0
      }
      if (replaces !== null && replaces !== before?.replaces) {
        for (const listener of this.#store.listeners) listener.onReplaced(replaces)
      }
    }
    queues.addTick(jobId, { kind: 'tick', scheduledTime, replaces, by: runId })
    return { displaced: before?.scheduledTime ?? null, replaces }
  }

  /** Begins what has waited longest for a slot. */
  #beginWaiting(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, runId, afterCompletion, retention, group = '' } = request
    const { now, monotonic } = moment
    const { queues } = this.#store
    if (!queues.isWaiting(jobId)) return { status: 'claimed_elsewhere', last: null }
    const record = known ?? this.addRecord(request, moment)
    const isFree = (entry: WaitingEntry): boolean => {
      return entry.kind === 'tick' || !isKeyHeld(record, entry.key, runId, monotonic)
    }
    // Who takes no ticks begins only what was asked for by hand.
    const waiting = queues.of(jobId).filter(({ kind }) => kind === 'request' || !request.waits)
    if (waiting.length === 0) return { status: 'claimed_elsewhere', last: null }
    const next = waiting.find(isFree)
    if (next?.kind === 'tick' && this.#store.pauses.isPaused(jobId, group, now)) {
      queues.delete(jobId, next)
      settle(record, next)
      uncount(record)
      return { status: 'dropped', scheduledTime: next.scheduledTime }
    }
    const slot = next === undefined ? null : this.#slotFor(record, request, monotonic)
    if (next === undefined || slot === null) return this.#overlap(record, request, false, null, null, monotonic)
    queues.delete(jobId, next)
    if (next.kind === 'tick') settle(record, next)
    if (afterCompletion > 0) record.retainedUntil = monotonic + retention
    // A tick was counted when it came to wait.
    if (next.kind === 'tick') return this.#grant(request, record, slot, next.scheduledTime, null, null, moment)
    const { id, key, requestedAt } = next
    countRun(record, request)
    const answer = this.#grant(request, record, slot, requestedAt, null, null, moment)
    slot.key = key
    slot.requestId = id
    return { ...(answer as Extract<ClaimAnswer, { status: 'granted' }>), request: { id, key } }
  }

  /** A slot for a run of the job; `null` where none is free. */
  #slotFor(record: ClaimRecord, request: ClaimRequest, monotonic: number): SlotRecord | null {
    if (hasSlots(record, request)) return findSlot(record, request, monotonic).slot
    const isOthers = isHeld(record, monotonic) && record.token !== request.runId
    return isOthers || isLeft(record, request, monotonic) ? null : record
  }

  #overlap(
    record: ClaimRecord,
    request: ClaimRequest,
    taken: boolean,
    previous: number | null,
    resumedAt: number | null,
    monotonic: number
  ): ClaimAnswer {
    const isRunLeft = hasSlots(record, request)
      ? findSlot(record, request, monotonic).isLeft
      : isLeft(record, request, monotonic)
    return { status: 'overlap', taken, isLeft: isRunLeft, previous, resumedAt }
  }

  /**
   * Takes back what the request was given before, as its reply was lost. Its run in the first slot stays: it is granted anew,
   * or ended as missed.
   */
  #takeBack(record: ClaimRecord, { jobId, runId }: ClaimRequest, { monotonic }: Moment): void {
    const slot = slotOfRun(record, runId)
    if (slot !== undefined) {
      releaseLock(slot, runId, monotonic)
      endSlot(record, slot)
    }
    const isWaiting = this.#store.queues.deleteTickOf(jobId, runId)
    if (slot !== undefined || isWaiting || isOngoing(record, runId)) uncount(record)
  }

  /** A run by hand asks for the lock alone: it knows nothing of the ticks, and runs also while the job is paused. */
  #runByHand(request: ClaimRequest, known: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, scheduledTime, afterCompletion, retention, fingerprint, group = '' } = request
    const { now, monotonic } = moment
    const record = known ?? this.addRecord(request, moment)
    const previous = accounted(this.tickBefore(record, false), record.fingerprint, fingerprint)
    const resumedAt = resumedAfter(previous, this.#store.pauses.resumedAt(jobId, group, now))
    this.#takeBack(record, request, moment)
    const isKeyed = isKeyHeld(record, request.key ?? '', request.runId, monotonic)
    const slot = isKeyed ? null : this.#slotFor(record, request, monotonic)
    if (slot === null) return this.#overlap(record, request, false, previous, resumedAt, monotonic)
    // An interval from the last end is measured from the end of any run.
    if (afterCompletion > 0 || request.maxRuns !== null) {
      record.retainedUntil = Math.max(record.retainedUntil, monotonic + retention)
    }
    countRun(record, request)
    return this.#grant(request, record, slot, scheduledTime, previous, resumedAt, moment)
  }

  /** When an interval from the last run's end is due, which only the store knows. */
  #dueAfterCompletion(request: ClaimRequest, record: ClaimRecord, { now, monotonic }: Moment): number {
    if (record.claimedBy === request.runId && record.tick >= 0) return record.tick
    if (isHeld(record, monotonic) || heldSlots(record, monotonic).length > 0) return now + request.afterCompletion
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
    // Where runs are counted, never for less than before.
    const retainedUntil = monotonic + retention
    record.retainedUntil = record.runCount === 0 ? retainedUntil : Math.max(record.retainedUntil, retainedUntil)
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
    slot: SlotRecord,
    scheduledTime: number,
    previous: number | null,
    resumedAt: number | null,
    moment: Moment
  ): ClaimAnswer {
    const { jobId, runId, ttl, rerun, kind } = request
    const { now, monotonic } = moment
    noteTaken(record, slot, request)
    if (slot.runId !== runId) this.#store.openRuns.noteReplaced(slot, jobId, moment)
    if (request.startsRuns && slot.runId !== runId) record.lastBegun = Math.max(record.lastBegun, slot.startedAt)
    slot.runTick = scheduledTime
    slot.attempt = firstAttempt(rerun, kind)
    slot.key = request.key ?? ''
    slot.requestId = ''
    slot.by = request.by ?? ''
    const fencingToken = this.#store.nextFence(now)
    this.begin(slot, runId, fencingToken, now)
    const lock = this.#lock(jobId, runId, ttl, slot, monotonic)
    const answer = { status: 'granted', lock, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 } as const
    return request.maxRuns === null ? answer : { ...answer, ...lastOf(request, record) }
  }

  /** Takes over a run whose replica died. */
  #recover(asked: ClaimRequest, record: ClaimRecord | undefined, moment: Moment): ClaimAnswer {
    const { jobId, runId, group = '' } = asked
    const { now, monotonic } = moment
    // Taken over before, and the reply was lost.
    const isOwn = (slot: SlotRecord): boolean => slot.runId === runId && slot.endedAt === 0
    const slots = record === undefined ? [] : [record, ...(record.slots?.values() ?? [])]
    const unfinished = slots.filter((slot) => isOwn(slot) || isUnfinished(slot))
    if (record === undefined || unfinished.length === 0) return { status: 'claimed_elsewhere', last: null }
    if (this.#store.pauses.isPaused(jobId, group, now)) return { status: 'paused', first: false }
    const slot = unfinished.find((each) => !isHeld(each, monotonic) || each.token === runId)
    if (slot === undefined) {
      return { status: 'running', remaining: Math.min(...unfinished.map(({ expiresAt }) => expiresAt)) - monotonic }
    }
    const from = slot.runId === GIVEN_UP ? null : openRunOf(slot, jobId, moment)
    const fencingToken = this.#store.nextFence(now)
    if (!isOwn(slot)) {
      // Should its holder come back, its claim is over.
      if (record.claimedBy === slot.runId) record.claimedBy = ''
      this.#store.openRuns.noteReplaced(slot, jobId, moment, true)
      slot.attempt++
      this.begin(slot, runId, fencingToken, now)
    }
    const { runTick: scheduledTime, attempt } = slot
    const lock = this.#lock(jobId, runId, asked.ttl, slot, monotonic)
    const answer = { status: 'granted', lock, fencingToken, previous: null, resumedAt: null } as const
    const { requestId: id, key } = slot
    const request = id === '' ? {} : { request: { id, key } }
    return { ...answer, ...(from === null ? {} : { from }), ...request, scheduledTime, attempt }
  }

  protected begin(slot: SlotRecord, runId: string, fencingToken: number, now: number): void {
    slot.runId = runId
    slot.lastRunId = runId
    slot.replacedAttempt = 0
    slot.endedAt = 0
    slot.fencingToken = fencingToken
    slot.startedAt = now
    slot.replicaId = this.#replicaId
    slot.isOpen = true
  }

  #lock(jobId: string, runId: string, ttl: number, slot: SlotRecord, monotonic: number): HeldLock {
    slot.token = runId
    slot.expiresAt = monotonic + ttl
    return new JobLock(jobId, runId, ttl, validUntil(monotonic, ttl), this.#store.jobs, slot)
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

/** A tick that has waited does so no more: the claim of the request that it waited for is over. */
function settle(record: ClaimRecord, { by }: WaitingTick): void {
  if (by !== '' && record.claimedBy === by) record.claimedBy = settledClaim(by)
}
