import type { Clock } from '../../../types/clock.js'
import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../../types/coordination/node.js'
import type {
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Coordination,
  CoordinationListener,
  CoordinationState,
  Ending,
  Fingerprint,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  JobState,
  OpenRun,
  ReleaseAnswer,
  SurveyRequest
} from '../../../types/coordination.js'
import { readRunId } from '../../base/run-ids.js'
import { validUntil } from '../lock-validity.js'
import { GIVEN_UP } from '../redis/claim-script.js'
import { accounted, JobLock, MemoryClaims } from './claims.js'
import { type ClaimRecord, endClaim, isUnfinished, type LockRecord, type Moment } from './record.js'
import { free, isHeld, isHeldBy, type MemoryStore } from './store.js'

/** Coordination in this process only: the same contract as Redis, without a network. */
export class MemoryCoordination implements Coordination, CoordinationNode {
  readonly state: CoordinationState = Object.freeze({ kind: 'memory', up: true, skew: 0 })
  readonly #clock: Clock
  readonly #store: MemoryStore
  readonly #claims: MemoryClaims
  readonly #listener: CoordinationListener

  constructor(
    clock: Clock,
    store: MemoryStore,
    maxClockSkew: number,
    listener: CoordinationListener,
    replicaId: string = ''
  ) {
    this.#clock = clock
    this.#store = store
    this.#claims = new MemoryClaims(store, maxClockSkew, listener, replicaId)
    this.#listener = listener
    store.listeners.add(listener)
  }

  now(): number {
    return this.#clock.now()
  }

  correct(now: number, floor: number): void {
    this.#store.correct(now, floor)
  }

  async open(): Promise<void> {}

  async claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimVote[]> {
    const last = this.#store.replies.get(this.#listener)
    if (callId !== undefined && last?.callId === callId) return last.answers
    const moment = this.#moment()
    this.#store.sweep(moment.monotonic)
    // As they were before the call: those that it asks for are in its answers.
    const taken = blocks === undefined ? [] : this.#takenOf(blocks)
    const answers = requests.map((request) => this.#claims.answer(request, moment))
    if (blocks !== undefined) this.#noteTaken(blocks, answers)
    for (const name of taken) blocks?.onTaken(name)
    if (callId !== undefined) this.#store.replies.set(this.#listener, { callId, answers })
    return answers
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    return this.claim(requests)
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
    const { now, monotonic } = this.#moment()
    const { left, abandoned } = this.#store
    return endings.map(({ lock, finished, unbegun, keepsLock }) => {
      const record = JobLock.recordOf(lock, this.#store)
      if (left.size > 0) left.delete(lock.token)
      if (record?.runId === lock.token) record.isOpen = false
      const isAbandoned = abandoned.size > 0 && abandoned.has(lock.token)
      if (record === undefined || keepsLock) return isAbandoned ? 'abandoned' : 'lost'
      if (finished && record.runId === lock.token) {
        record.endedAt = now
        // It is over, and not asked for again: nothing is left that would know it by its id.
        record.runId = ''
        if (record.claimedBy === lock.token) endClaim(record)
      }
      if (!finished && unbegun && record.runId === lock.token && record.attempt > 1) {
        record.attempt--
        // Under no request's id: should this one be repeated, it takes the run over as any other.
        record.runId = GIVEN_UP
      }
      const answer = free(record, lock.token, monotonic)
      return isAbandoned ? 'abandoned' : answer
    })
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const last = this.#store.handBackReplies.get(this.#listener)
    if (last?.callId === callId) return last.answers
    const { now, monotonic } = this.#moment()
    const answers = claims.map(({ lock, scheduledTime, afterCompletion, tell }): HandBackAnswer => {
      const record = this.#store.jobs.get(lock.name)
      this.#store.left.delete(lock.token)
      if (record === undefined) return 'not_ours'
      free(record, lock.token, monotonic)
      const own = record.runId === lock.token && record.endedAt === 0
      if (own) {
        record.runId = ''
        record.isOpen = false
        record.endedAt = afterCompletion > 0 ? scheduledTime - afterCompletion : now
      }
      if (record.claimedBy !== lock.token) return own ? 'wasted' : 'not_ours'
      endClaim(record)
      this.#store.forgetTaken(record.tick)
      // A date that was claimed beside the ticks of another trigger.
      for (const [trigger, by] of record.dates ?? []) if (by === lock.token) record.dates?.delete(trigger)
      record.tick = record.previous
      if (tell) {
        for (const listener of this.#store.listeners) {
          if (listener === this.#listener) continue
          this.#clock.setImmediate(() => listener.onHandedBack(lock.name, scheduledTime, lock.token))
        }
      }
      return 'free'
    })
    this.#store.handBackReplies.set(this.#listener, { callId, answers })
    return answers
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const monotonic = this.#clock.monotonic()
    const held = this.#store.named.get(name)
    if (held !== undefined && isHeld(held, monotonic) && held.token !== token) {
      return { status: 'held', by: held.token }
    }
    this.#store.named.set(name, { token, expiresAt: monotonic + ttl })
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(monotonic, ttl) }
    return { status: 'granted', lock, fencingToken: this.#store.nextFence(this.#clock.now()) }
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
    return claims.map(({ jobId, runId, due }) => {
      const record = this.#store.jobs.get(jobId)
      if (record?.claimedBy !== runId) return false
      record.open = false
      if (due !== undefined) {
        record.tick = due
        if (record.runId === runId) record.runTick = due
      }
      return true
    })
  }

  async adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    const moment = this.#moment()
    for (const claim of claims) this.#claims.adopt(claim, moment)
  }

  async restoreLock(lock: HeldLock): Promise<boolean> {
    const { name, kind, token, ttl } = lock
    const monotonic = this.#clock.monotonic()
    const record = this.#lockOf(lock)
    // The lock of a job lies in its record, which Redis can do without.
    if (record === undefined ? kind === 'job' : isHeld(record, monotonic)) return false
    const expiresAt = monotonic + ttl
    if (record === undefined) this.#store.named.set(name, { token, expiresAt })
    else Object.assign(record, { token, expiresAt })
    return true
  }

  findAbandoned(): Promise<readonly OpenRun[]> | null {
    const found = this.#store.findAbandoned(this.#moment())
    return found.length === 0 ? null : Promise.resolve(found)
  }

  async abandon(runs: readonly OpenRun[], callId: string): Promise<readonly boolean[]> {
    const answers = await this.tryToAbandon(runs, callId)
    return answers.map((answer) => answer === 'recorded')
  }

  async tryToAbandon(runs: readonly OpenRun[], callId: string): Promise<readonly AbandonVote[]> {
    const { jobs, left, abandoned } = this.#store
    const monotonic = this.#clock.monotonic()
    return runs.map(({ runId, jobId }) => {
      const by = abandoned.get(runId)
      if (by !== undefined) return by === callId ? 'recorded' : 'elsewhere'
      const record = jobs.get(jobId)
      const isLast = record?.runId === runId && record.isOpen
      if (isLast && isHeldBy(record, runId, monotonic)) return 'held'
      if (isLast) record.isOpen = false
      else if (!left.delete(runId)) return 'closed'
      this.#store.abandon(runId, callId)
      return 'recorded'
    })
  }

  async reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    const { jobs, left, abandoned } = this.#store
    for (const run of runs) {
      if (abandoned.get(run.runId) !== callId) continue
      abandoned.delete(run.runId)
      const record = jobs.get(run.jobId)
      if (record?.runId === run.runId) record.isOpen = true
      else left.set(run.runId, run)
    }
  }

  async reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    const { now, monotonic } = this.#moment()
    const last = readRunId(until)
    for (const record of this.#store.jobs.values()) {
      const { runId } = record
      const id = readRunId(runId)
      const isOwn = last !== null && id !== null && id.base === last.base && id.order < last.order
      if (!record.isOpen || !isOwn || live.includes(runId)) continue
      record.isOpen = false
      record.endedAt = now
      record.runId = ''
      if (record.claimedBy === runId) endClaim(record)
      free(record, runId, monotonic)
    }
    await this.adopt(claims)
  }

  async pause(jobId: string): Promise<void> {
    this.#store.paused.set(jobId, 'operator')
  }

  async resume(jobId: string): Promise<void> {
    const { paused } = this.#store
    const known = paused.get(jobId)
    if (known === undefined) paused.set(jobId, { resumedAt: Number.NEGATIVE_INFINITY, byCode: false })
    else if (typeof known === 'object') paused.set(jobId, { ...known, byCode: false })
    else paused.set(jobId, { resumedAt: this.#clock.now(), byCode: false })
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const moment = this.#moment()
    const { monotonic } = moment
    this.#store.sweep(monotonic)
    return jobs.map((request) => {
      const { jobId, fingerprint, pausedInitially, retention } = request
      this.#store.pauseByCode(jobId, pausedInitially, moment)
      const record = this.#store.jobOf(jobId, moment)
      if (record !== undefined) record.retainedUntil = Math.max(record.retainedUntil, monotonic + retention)
      return {
        paused: this.#store.isPaused(jobId),
        previous: this.#previous(jobId, record, fingerprint),
        since: this.#store.noteSince(request, record, monotonic),
        unfinished: record !== undefined && isUnfinished(record)
      }
    })
  }

  async shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    const keyOf = ({ trigger, options }: Fingerprint): string => `${trigger}.${options}:${jobId}`
    this.#store.definitions.set(keyOf(own), text)
    return this.#store.definitions.get(keyOf(other)) ?? null
  }

  async close(): Promise<void> {
    this.#store.listeners.delete(this.#listener)
  }

  /** Which of the blocks that wait are taken. */
  #takenOf({ scheduledTime, waiting }: ClaimBlocks): string[] {
    const taken = this.#store.takenBlocks(scheduledTime)
    return waiting.filter((name) => taken.has(name))
  }

  /** Remembers which of the blocks that were asked for are taken now. */
  #noteTaken({ scheduledTime, asked }: ClaimBlocks, answers: readonly ClaimAnswer[]): void {
    const taken = this.#store.takenBlocks(scheduledTime)
    let at = 0
    for (const { name, size } of asked) {
      if (answers.slice(at, at + size).every(isTaken)) taken.add(name)
      at += size
    }
  }

  /** Ticks of another trigger say nothing of this one's, and nothing is caught up on for the time a job was paused. */
  #previous(jobId: string, record: ClaimRecord | undefined, fingerprint: Fingerprint): number | null {
    const tick =
      record === undefined ? null : accounted(record, record.open ? record.previous : record.tick, fingerprint)
    const previous = Math.max(tick ?? Number.NEGATIVE_INFINITY, this.#store.resumedAt(jobId))
    return Number.isFinite(previous) ? previous : null
  }

  #moment(): Moment {
    return { now: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }

  #lockOf(lock: HeldLock): LockRecord | undefined {
    return (lock.kind === 'job' ? this.#store.jobs : this.#store.named).get(lock.name)
  }
}

/** Whether an answer says that the tick is taken, so that nobody need ask for it again. */
function isTaken(answer: ClaimAnswer): boolean {
  return (
    answer.status === 'granted' ||
    answer.status === 'claimed_elsewhere' ||
    (answer.status === 'overlap' && answer.taken)
  )
}
