import type { Clock } from '../../types/clock.js'
import type {
  AcquireAnswer,
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  Confirmation,
  CoordinationListener,
  CoordinationNode,
  CoordinationState,
  Definition,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  JobState,
  ReleaseAnswer,
  SurveyRequest
} from '../../types/coordination.js'
import { validUntil } from './lock-validity.js'
import {
  type ClaimRecord,
  endClaim,
  free,
  isHeld,
  isHeldBy,
  isUnfinished,
  type LockRecord,
  type MemoryStore
} from './memory-store.js'

/** Coordination in this process only: the same contract as Redis, without a network. */
export class MemoryCoordination implements CoordinationNode {
  readonly state: CoordinationState = Object.freeze({ kind: 'memory', up: true, skew: 0 })
  readonly #clock: Clock
  readonly #store: MemoryStore
  readonly #maxClockSkew: number
  readonly #listener: CoordinationListener

  constructor(clock: Clock, store: MemoryStore, maxClockSkew: number, listener: CoordinationListener) {
    this.#clock = clock
    this.#store = store
    this.#maxClockSkew = maxClockSkew
    this.#listener = listener
    store.listeners.add(listener)
  }

  now(): number {
    return this.#clock.now()
  }

  async open(): Promise<void> {}

  async claim(
    requests: readonly ClaimRequest[],
    callId?: string,
    blocks?: ClaimBlocks
  ): Promise<readonly ClaimAnswer[]> {
    const last = this.#store.replies.get(this.#listener)
    if (callId !== undefined && last?.callId === callId) return last.answers
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    this.#store.sweep(monotonic)
    const answers: ClaimAnswer[] = []
    if (blocks !== undefined) this.#answerBlocks(blocks, requests, answers, now, monotonic)
    while (answers.length < requests.length) {
      answers.push(this.#answer(requests[answers.length] as ClaimRequest, now, monotonic))
    }
    if (callId !== undefined) this.#store.replies.set(this.#listener, { callId, answers })
    return answers
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost'> {
    const monotonic = this.#clock.monotonic()
    const record = this.#lockOf(lock)
    if (record === undefined || !isHeldBy(record, lock.token, monotonic)) return 'lost'
    record.expiresAt = monotonic + lock.ttl
    lock.validUntil = validUntil(monotonic, lock.ttl)
    return 'extended'
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    return endings.map(({ lock, finished, unbegun }) => {
      const record = this.#store.jobs.get(lock.name)
      if (record === undefined) return 'lost'
      if (finished && record.runId === lock.token) {
        record.endedAt = now
        // It is over, and not asked for again: nothing is left that would know it by its id.
        record.runId = ''
        if (record.claimedBy === lock.token) endClaim(record)
      }
      if (!finished && unbegun && record.runId === lock.token && record.attempt > 1) {
        record.attempt--
        // Under no request's id: should this one be repeated, it takes the run over as any other.
        record.runId = '~'
      }
      return free(record.lock, lock.token, monotonic)
    })
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const last = this.#store.handBackReplies.get(this.#listener)
    if (last?.callId === callId) return last.answers
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    const answers = claims.map(({ lock, scheduledTime, afterCompletion, tell }): HandBackAnswer => {
      const record = this.#store.jobs.get(lock.name)
      if (record === undefined) return 'not_ours'
      free(record.lock, lock.token, monotonic)
      const own = record.runId === lock.token && record.endedAt === 0
      if (own) {
        record.runId = ''
        record.endedAt = afterCompletion > 0 ? scheduledTime - afterCompletion : now
      }
      if (record.claimedBy !== lock.token) return own ? 'wasted' : 'not_ours'
      endClaim(record)
      record.tick = record.previous
      if (tell) {
        for (const listener of this.#store.listeners) {
          if (listener === this.#listener) continue
          this.#clock.setImmediate(() => listener.onHandedBack(lock.name, scheduledTime))
        }
      }
      return 'free'
    })
    this.#store.handBackReplies.set(this.#listener, { callId, answers })
    return answers
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    const monotonic = this.#clock.monotonic()
    const held = this.#store.named.get(name)
    if (held !== undefined && isHeld(held, monotonic) && held.token !== token) return { status: 'held' }
    this.#store.named.set(name, { token, expiresAt: monotonic + ttl })
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(monotonic, ttl) }
    return { status: 'granted', lock, fencingToken: this.#nextFence(this.#clock.now()) }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const record = this.#lockOf(lock)
    if (record === undefined) return 'lost'
    const answer = free(record, lock.token, this.#clock.monotonic())
    if (answer === 'released' && lock.kind === 'named') this.#store.named.delete(lock.name)
    return answer
  }

  async confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[]> {
    this.#store.fence = Math.max(this.#store.fence, fencingToken)
    return claims.map(({ jobId, runId }) => {
      const record = this.#store.jobs.get(jobId)
      if (record?.claimedBy !== runId) return false
      record.open = false
      return true
    })
  }

  async pause(jobId: string): Promise<void> {
    this.#store.paused.set(jobId, true)
  }

  async resume(jobId: string): Promise<void> {
    const { paused } = this.#store
    const known = paused.get(jobId)
    if (known === undefined) paused.set(jobId, Number.NEGATIVE_INFINITY)
    else if (known === true) paused.set(jobId, this.#clock.now())
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return jobs.map(({ jobId, definition, pausedInitially }) => {
      if (pausedInitially) this.#pauseInitially(jobId)
      const record = this.#store.jobOf(jobId, this.#clock.monotonic())
      return {
        paused: this.#store.paused.get(jobId) === true,
        previous: this.#previous(jobId, record, definition),
        unfinished: record !== undefined && isUnfinished(record)
      }
    })
  }

  async close(): Promise<void> {
    this.#store.listeners.delete(this.#listener)
  }

  /** Answers the requests that are blocks. */
  #answerBlocks(
    { scheduledTime, asked, waiting, onTaken }: ClaimBlocks,
    requests: readonly ClaimRequest[],
    answers: ClaimAnswer[],
    now: number,
    monotonic: number
  ): void {
    const taken = this.#store.takenBlocks(scheduledTime)
    // As they were before the call: those that it asks for are in its answers.
    const others = waiting.filter((name) => taken.has(name))
    for (const { name, size } of asked) {
      const isKnown = taken.has(name)
      let isWhole = true
      for (let left = size; left > 0; left--) {
        const request = requests[answers.length] as ClaimRequest
        const answer = isKnown ? CLAIMED_ELSEWHERE : this.#answer(request, now, monotonic)
        isWhole &&= isTaken(answer)
        answers.push(answer)
      }
      if (isWhole) taken.add(name)
    }
    for (const name of others) onTaken(name)
  }

  #answer(request: ClaimRequest, now: number, monotonic: number): ClaimAnswer {
    const { jobId, kind, pausedInitially, definition } = request
    if (pausedInitially) this.#pauseInitially(jobId)
    const record = this.#store.jobOf(jobId, monotonic)
    if (record !== undefined && !isSame(record.definition, definition)) {
      this.#listener.onDefinitionDiffers(jobId, record.tick)
    }
    return kind === 'recover'
      ? this.#recover(request, record, now, monotonic)
      : this.#claim(request, record, now, monotonic)
  }

  // The order of these steps is the contract's, and that of the Lua script in claim-script.ts.
  #claim(request: ClaimRequest, known: ClaimRecord | undefined, now: number, monotonic: number): ClaimAnswer {
    const { jobId, kind, runId, afterCompletion, definition } = request
    const manual = kind === 'manual'
    let record = known
    let { scheduledTime, through } = request

    if (afterCompletion > 0 && !manual) {
      // The first replica to ask sets the time from which the interval is measured.
      record ??= this.#newRecord(request, now, monotonic)
      const mine = record.claimedBy === runId && record.tick >= 0
      const since = Math.max(record.endedAt, record.tick)
      const due = mine ? record.tick : Math.max(since + afterCompletion, scheduledTime)
      if (!mine && isHeld(record.lock, monotonic)) return { status: 'early', due: now + afterCompletion }
      if (now < due) return { status: 'early', due }
      scheduledTime = through = due
    }
    if (!manual && scheduledTime > now + this.#maxClockSkew) return { status: 'early', due: scheduledTime }

    record ??= this.#newRecord(request, now, monotonic)
    const { claimedBy, tick, lock } = record
    const repeated = claimedBy === runId
    const paused = !manual && this.#store.paused.get(jobId) === true
    if (!manual && !repeated && scheduledTime <= tick) {
      const previous = accounted(record, record.previous, definition)
      if (paused) return { status: 'paused', first: false, previous, by: claimedBy }
      return { status: 'claimed_elsewhere', last: request.waits ? tick : null, by: claimedBy, previous }
    }

    const before = repeated || record.open ? record.previous : tick
    const previous = accounted(record, before, definition)
    const resumed = this.#resumedAt(jobId)
    const resumedAt = previous !== null && resumed > previous ? resumed : null
    const isLeft = request.rerun && isUnfinished(record) && record.runId !== runId && !isHeld(lock, monotonic)
    const overlaps = isLeft || (isHeld(lock, monotonic) && lock.token !== runId)
    const taken = !manual && !(overlaps && request.waits && kind === 'tick' && !paused)
    if (taken) {
      // The run of a claim that was never confirmed has not begun.
      if (record.open && !repeated && record.runId === claimedBy) {
        record.runId = ''
        record.endedAt = tick >= 0 ? tick : now
      }
      record.tick = through
      record.previous = before
      record.open = this.#store.isVote && (record.open || !repeated)
      record.claimedBy = runId
      record.definition = definition
      record.keptUntil = monotonic + request.keep
    }
    if (paused) return { status: 'paused', first: true, previous }
    if (kind === 'miss') {
      // Granted before, as its reply was lost, and too late to run now.
      free(lock, runId, monotonic)
      if (record.runId === runId) record.endedAt = now
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
    if (overlaps) return { status: 'overlap', taken, isLeft, previous, resumedAt }
    record.runId = runId
    record.endedAt = 0
    record.runTick = scheduledTime
    record.attempt = request.rerun && !manual ? 1 : 0
    const fencingToken = this.#nextFence(now)
    const granted = this.#lock(request, lock, monotonic)
    return { status: 'granted', lock: granted, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
  }

  #recover(request: ClaimRequest, record: ClaimRecord | undefined, now: number, monotonic: number): ClaimAnswer {
    const { jobId, runId } = request
    const mine = record !== undefined && record.runId === runId && record.endedAt === 0
    if (record === undefined || !(mine || isUnfinished(record))) {
      return { status: 'claimed_elsewhere', last: null, by: '', previous: null }
    }
    if (this.#store.paused.get(jobId) === true) return { status: 'paused', first: false, previous: null, by: '' }
    const { lock, runTick } = record
    if (isHeld(lock, monotonic) && lock.token !== runId) {
      return { status: 'running', remaining: lock.expiresAt - monotonic }
    }
    if (!mine) {
      // Should its holder come back, its claim is over.
      if (record.claimedBy === record.runId) endClaim(record)
      record.runId = runId
      record.attempt++
    }
    const { attempt } = record
    const fencingToken = this.#nextFence(now)
    const granted = this.#lock(request, lock, monotonic)
    const before = { previous: null, resumedAt: null }
    return { status: 'granted', lock: granted, fencingToken, ...before, scheduledTime: runTick, attempt }
  }

  #lock({ jobId, runId, ttl }: ClaimRequest, lock: LockRecord, monotonic: number): HeldLock {
    lock.token = runId
    lock.expiresAt = monotonic + ttl
    return { name: jobId, kind: 'job', token: runId, ttl, validUntil: validUntil(monotonic, ttl) }
  }

  #newRecord({ jobId, keep, definition }: ClaimRequest, now: number, monotonic: number): ClaimRecord {
    const record: ClaimRecord = {
      tick: -1,
      previous: -1,
      claimedBy: '',
      open: false,
      runId: '',
      endedAt: now,
      runTick: -1,
      attempt: 0,
      definition,
      keptUntil: monotonic + keep,
      lock: { token: '', expiresAt: 0 }
    }
    this.#store.jobs.set(jobId, record)
    return record
  }

  /** Ticks of another trigger say nothing of this one's, and nothing is caught up on for the time a job was paused. */
  #previous(jobId: string, record: ClaimRecord | undefined, definition: Definition): number | null {
    if (record === undefined) return null
    const tick = accounted(record, record.open ? record.previous : record.tick, definition)
    return tick === null ? null : Math.max(tick, this.#resumedAt(jobId))
  }

  #resumedAt(jobId: string): number {
    const resumedAt = this.#store.paused.get(jobId)
    return typeof resumedAt === 'number' ? resumedAt : Number.NEGATIVE_INFINITY
  }

  #pauseInitially(jobId: string): void {
    if (!this.#store.paused.has(jobId)) this.#store.paused.set(jobId, true)
  }

  #lockOf(lock: HeldLock): LockRecord | undefined {
    return lock.kind === 'job' ? this.#store.jobs.get(lock.name)?.lock : this.#store.named.get(lock.name)
  }

  // As in Redis: the time in microseconds, so that tokens of one process and the next still increase.
  #nextFence(now: number): number {
    this.#store.fence = Math.max(this.#store.fence + 1, Math.floor(now * 1000))
    return this.#store.fence
  }
}

const CLAIMED_ELSEWHERE: ClaimAnswer = Object.freeze({
  status: 'claimed_elsewhere',
  last: null,
  by: '',
  previous: null
})

/** The tick up to which all is accounted for; ticks of another trigger say nothing of this one's. */
function accounted(record: ClaimRecord, tick: number, { trigger }: Definition): number | null {
  return tick < 0 || record.definition.trigger !== trigger ? null : tick
}

/** Whether an answer says that the tick is taken, so that nobody need ask for it again. */
function isTaken(answer: ClaimAnswer): boolean {
  return (
    answer.status === 'granted' ||
    answer.status === 'claimed_elsewhere' ||
    (answer.status === 'overlap' && answer.taken)
  )
}

function isSame(a: Definition, b: Definition): boolean {
  return a === b || (a.trigger === b.trigger && a.options === b.options)
}
