import type { Clock } from '../../../types/clock.js'
import type { AbandonVote } from '../../../types/coordination/node.js'
import type {
  AcquireAnswer,
  Change,
  ChangeAnswer,
  ChangeRequest,
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  Coordination,
  CoordinationListener,
  CoordinationState,
  Ending,
  Fingerprint,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  HistoryBounds,
  HistoryFact,
  JobState,
  LostRun,
  OpenRun,
  ReleaseAnswer,
  ReplicaReport,
  SeenReplica,
  Standing,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail,
  SurveyRequest,
  Waiting
} from '../../../types/coordination.js'
import type { RunProgress } from '../../../types/history.js'
import { accounted, isUnfinished } from '../claim-rules.js'
import { validUntil } from '../lock-validity.js'
import { MemoryClaims } from './claims.js'
import { finishRun, handBackClaim } from './endings.js'
import { isHeld, isHeldBy, JobLock, type LockRecord, type Moment, releaseLock } from './record.js'
import { MemoryRecords } from './records.js'
import type { MemoryStore } from './store.js'
import { MemoryWaiting } from './waiting.js'

/** Coordination in this process only: the same contract as Redis, without a network. */
export class MemoryCoordination implements Coordination {
  readonly state: CoordinationState = Object.freeze({
    kind: 'memory',
    up: true,
    skew: 0,
    remembersReplicas: true
  })
  readonly waiting: Waiting
  readonly #clock: Clock
  readonly #store: MemoryStore
  readonly #claims: MemoryClaims
  readonly #listener: CoordinationListener
  readonly #records: MemoryRecords

  constructor(
    clock: Clock,
    store: MemoryStore,
    maxClockSkew: number,
    listener: CoordinationListener,
    replicaId: string = '',
    history: HistoryBounds | null = null
  ) {
    if (history !== null) store.history.bounds = history
    this.#records = new MemoryRecords(store, () => this.#moment())
    this.waiting = new MemoryWaiting(clock, store)
    this.#clock = clock
    this.#store = store
    this.#claims = new MemoryClaims(store, maxClockSkew, listener, replicaId)
    this.#listener = listener
    store.listeners.add(listener)
    store.heard.set(listener, store.changes.version)
  }

  now(): number {
    return this.#clock.now()
  }

  correct(now: number, floor: number): void {
    this.#store.correct(now, floor)
  }

  async open(): Promise<void> {}

  async claim(
    requests: readonly ClaimRequest[],
    callId?: string,
    blocks?: ClaimBlocks
  ): Promise<readonly ClaimAnswer[]> {
    const last = this.#store.claimReplies.get(this.#listener)
    if (callId !== undefined && last?.callId === callId) return last.answers
    const moment = this.#moment()
    this.#store.sweep(moment.monotonic)
    // As they were before the call: those that it asks for are in its answers.
    const taken = blocks === undefined ? [] : this.#store.blocks.among(blocks)
    const answers = requests.map((request) => this.#claims.answer(request, moment))
    if (blocks !== undefined) this.#store.blocks.note(blocks, answers)
    for (const name of taken) blocks?.onTaken(name)
    if (callId !== undefined) this.#store.claimReplies.set(this.#listener, { callId, answers })
    return answers
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const last = this.#store.handBackReplies.get(this.#listener)
    if (last?.callId === callId) return last.answers
    const moment = this.#moment()
    const answers = claims.map((claim) => {
      const answer = handBackClaim(this.#store, claim, moment)
      if (claim.tell && answer === 'free') this.#tellOthers(claim)
      return answer
    })
    this.#store.handBackReplies.set(this.#listener, { callId, answers })
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
    const moment = this.#moment()
    const answers = endings.map((ending) => finishRun(this.#store, ending, moment))
    for (const { lock } of endings) if (this.#store.queues.isWaiting(lock.name)) this.#listener.onWaiting(lock.name)
    return answers
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    const monotonic = this.#clock.monotonic()
    const held = this.#store.named.get(name)
    if (held !== undefined && isHeld(held, monotonic) && held.token !== token) return { status: 'held' }
    this.#store.named.set(name, { token, expiresAt: monotonic + ttl })
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(monotonic, ttl) }
    return { status: 'granted', lock, fencingToken: this.#store.nextFence(this.#clock.now()) }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const record = this.#lockOf(lock)
    if (record === undefined) return 'lost'
    const answer = releaseLock(record, lock.token, this.#clock.monotonic())
    if (answer === 'released' && lock.kind === 'named') this.#store.named.delete(lock.name)
    return answer
  }

  findAbandoned(): Promise<readonly OpenRun[]> | null {
    for (const jobId of this.#store.queues.jobIds) this.#listener.onWaiting(jobId)
    const found = this.#store.openRuns.findAbandoned(this.#moment())
    return found.length === 0 ? null : Promise.resolve(found)
  }

  async abandon(runs: readonly LostRun[], callId: string): Promise<readonly boolean[]> {
    return runs.map((run) => this.abandonRun(run, callId) === 'recorded')
  }

  protected abandonRun(run: LostRun, callId: string): Exclude<AbandonVote, 'unavailable'> {
    const { history, openRuns, progress } = this.#store
    const { now, monotonic } = this.#moment()
    const isKnown = openRuns.isAbandoned(run.runId)
    const vote = openRuns.abandon(run, callId, monotonic)
    if (vote !== 'recorded' || isKnown) return vote
    const kept = history.of(run.jobId, now)
    history.noteEnd(kept, { outcome: 'abandoned', duration: 0 }, now)
    if (run.entry) history.addRun(kept, { ...run.entry, progress: progress.get(run.runId) ?? null })
    progress.delete(run.runId)
    return vote
  }

  note(facts: readonly HistoryFact[]): Promise<boolean> {
    return this.#records.note(facts)
  }

  readHistory(jobId: string): Promise<StoredHistory> {
    return this.#records.readHistory(jobId)
  }

  readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    return this.#records.readTails(jobIds, count)
  }

  readStatus(jobs: readonly StatusRequest[], _withLocks: boolean): Promise<readonly StoredStatus[]> {
    return this.#records.readStatus(jobs)
  }

  writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    return this.#records.writeProgress(progress)
  }

  beat(report: ReplicaReport | null): Promise<void> {
    return this.#records.beat(report)
  }

  readReplicas(): Promise<readonly SeenReplica[]> {
    return this.#records.readReplicas()
  }

  /** Nothing to do: it forgets nothing. */
  async reconcile(..._forgotten: Parameters<Coordination['reconcile']>): Promise<void> {}

  async change(request: ChangeRequest): Promise<ChangeAnswer> {
    const now = Math.floor(this.#clock.now())
    return this.#store.changes.make(request, now, now, false, (change) => this.tell(change))
  }

  async readChanges(limit: number): Promise<readonly Change[]> {
    return this.#store.changes.newest(limit)
  }

  async standing(): Promise<Standing> {
    return this.#store.changes.standing
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const moment = this.#moment()
    this.#store.sweep(moment.monotonic)
    for (const jobId of this.#store.queues.jobIds) this.#listener.onWaiting(jobId)
    return jobs.map((request) => this.#stateOf(request, moment))
  }

  async shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    const keyOf = ({ trigger, options }: Fingerprint): string => `${trigger}.${options}:${jobId}`
    this.#store.definitions.set(keyOf(own), text)
    return this.#store.definitions.get(keyOf(other)) ?? null
  }

  async close(): Promise<void> {
    this.#store.listeners.delete(this.#listener)
  }

  /** Tells every replica of a change. */
  protected tell(change: Change): void {
    const { heard, listeners } = this.#store
    for (const listener of listeners) {
      this.#clock.setImmediate(() => {
        heard.set(listener, change.version)
        listener.onChanges([change], true)
      })
    }
  }

  #stateOf(request: SurveyRequest, moment: Moment): JobState {
    const { jobId, fingerprint, pausedInitially, retention, group = '' } = request
    const { now, monotonic } = moment
    const { pauses, since } = this.#store
    pauses.noteCode(jobId, pausedInitially, now)
    const record = this.#store.jobOf(jobId, moment)
    if (record !== undefined) record.retainedUntil = Math.max(record.retainedUntil, monotonic + retention)
    const tick = record === undefined ? null : accounted(record.tick, record.fingerprint, fingerprint)
    return {
      paused: pauses.isPaused(jobId, group, now),
      previous: latest(tick, pauses.resumedAt(jobId, group, now)),
      since: since.note(request, record, monotonic),
      runs: record?.runCount ?? 0,
      unfinished: record !== undefined && [record, ...(record.slots?.values() ?? [])].some(isUnfinished)
    }
  }

  /** Tells the other replicas of a tick that was handed back. */
  #tellOthers({ lock, scheduledTime }: HandedBack): void {
    for (const listener of this.#store.listeners) {
      if (listener === this.#listener) continue
      this.#clock.setImmediate(() => listener.onHandedBack(lock.name, scheduledTime, lock.token))
    }
  }

  #moment(): Moment {
    return { now: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }

  #lockOf(lock: HeldLock): LockRecord | undefined {
    return lock.kind === 'job' ? JobLock.runOf(lock, this.#store.jobs) : this.#store.named.get(lock.name)
  }
}

/** Nothing is caught up on for the time a job was paused. */
function latest(tick: number | null, resumedAt: number): number | null {
  const previous = Math.max(tick ?? Number.NEGATIVE_INFINITY, resumedAt)
  return Number.isFinite(previous) ? previous : null
}
