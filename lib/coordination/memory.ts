import type { Clock } from '../../types/clock.js'
import type {
  AcquireAnswer,
  ClaimAnswer,
  ClaimRequest,
  Coordination,
  CoordinationState,
  HeldLock,
  ReleaseAnswer
} from '../../types/coordination.js'
import { validUntil } from './lock-validity.js'

/** What is remembered of a job. */
interface JobRecord {
  /** The last claimed tick, or `null` before the first. */
  tick: number | null
  /** The request that claimed it. */
  claimedBy: string
  /** The last granted run, and when it ended; 0 while it goes on. */
  runId: string
  endedAt: number
  /** Until when it is remembered, on the monotonic clock. */
  keptUntil: number
  readonly lock: LockRecord
}

/** A lock: its holder's token, `''` for none, and when it ends by itself, on the monotonic clock. */
interface LockRecord {
  token: string
  expiresAt: number
}

/** What replicas share. Several coordinations over one store are several replicas in one process. */
export class MemoryStore {
  readonly jobs = new Map<string, JobRecord>()
  readonly named = new Map<string, LockRecord>()
  /** Whether a job is paused; a job that was resumed is remembered as `false`. */
  readonly paused = new Map<string, boolean>()
  fence = 0
  #sweepAt = 1000

  /** Forgets what has had its time, now and then, so that jobs that come and go leave nothing behind. */
  sweep(now: number): void {
    if (this.jobs.size + this.named.size < this.#sweepAt) return
    for (const [jobId, { keptUntil }] of this.jobs) if (keptUntil <= now) this.jobs.delete(jobId)
    for (const [name, { expiresAt }] of this.named) if (expiresAt <= now) this.named.delete(name)
    this.#sweepAt = Math.max(1000, 2 * (this.jobs.size + this.named.size))
  }
}

/** Coordination in this process only: the same contract as Redis, without a network. */
export class MemoryCoordination implements Coordination {
  readonly state: CoordinationState = Object.freeze({ kind: 'memory', up: true, skew: 0 })
  readonly #clock: Clock
  readonly #store: MemoryStore
  readonly #maxClockSkew: number
  readonly #newToken: () => string

  constructor(clock: Clock, store: MemoryStore, maxClockSkew: number, newToken: () => string) {
    this.#clock = clock
    this.#store = store
    this.#maxClockSkew = maxClockSkew
    this.#newToken = newToken
  }

  now(): number {
    return this.#clock.now()
  }

  async open(): Promise<void> {}

  async claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimAnswer[]> {
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    this.#store.sweep(monotonic)
    return requests.map((request) => this.#claimOne(request, now, monotonic))
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost'> {
    const monotonic = this.#clock.monotonic()
    const record = this.#lockOf(lock)
    if (record === undefined || !isHeldBy(record, lock.token, monotonic)) return 'lost'
    record.expiresAt = monotonic + lock.ttl
    lock.validUntil = validUntil(monotonic, lock.ttl)
    return 'extended'
  }

  async finish(locks: readonly HeldLock[]): Promise<readonly ReleaseAnswer[]> {
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    return locks.map((lock) => {
      const record = this.#store.jobs.get(lock.name)
      if (record === undefined) return 'lost'
      if (record.runId === lock.token) {
        record.endedAt = now
        // It is over, and not asked for again: nothing is left that would know it by its id.
        record.runId = ''
        if (record.claimedBy === lock.token) record.claimedBy = ''
      }
      return free(record.lock, lock.token, monotonic)
    })
  }

  async acquire(name: string, ttl: number): Promise<AcquireAnswer> {
    const monotonic = this.#clock.monotonic()
    const held = this.#store.named.get(name)
    if (held !== undefined && isHeld(held, monotonic)) return { status: 'held' }
    const token = this.#newToken()
    this.#store.named.set(name, { token, expiresAt: monotonic + ttl })
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(monotonic, ttl) }
    return { status: 'granted', lock, fencingToken: this.#nextFence() }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const record = this.#lockOf(lock)
    if (record === undefined) return 'lost'
    const answer = free(record, lock.token, this.#clock.monotonic())
    if (answer === 'released' && lock.kind === 'named') this.#store.named.delete(lock.name)
    return answer
  }

  async pause(jobId: string): Promise<void> {
    this.#store.paused.set(jobId, true)
  }

  async resume(jobId: string): Promise<void> {
    this.#store.paused.set(jobId, false)
  }

  async paused(jobIds: readonly string[], initially: readonly string[]): Promise<ReadonlySet<string>> {
    for (const jobId of initially) this.#pauseInitially(jobId)
    return new Set(jobIds.filter((jobId) => this.#store.paused.get(jobId) === true))
  }

  async close(): Promise<void> {}

  // The order of these steps is the contract's, and that of the Lua script in claim-script.ts.
  #claimOne(request: ClaimRequest, now: number, monotonic: number): ClaimAnswer {
    const { jobId, kind, runId } = request
    let record = this.#store.jobs.get(jobId)
    let { scheduledTime } = request

    if (request.afterCompletion > 0 && kind !== 'manual') {
      if (record === undefined) {
        // The first replica to ask sets the time from which the interval is measured.
        record = newRecord(now, monotonic + request.keep)
        this.#store.jobs.set(jobId, record)
      }
      const mine = record.claimedBy === runId && record.tick !== null
      const since = Math.max(record.endedAt, record.tick ?? 0)
      const due = mine ? (record.tick as number) : Math.max(since + request.afterCompletion, scheduledTime)
      if (!mine && isHeld(record.lock, monotonic)) return { status: 'early', due: now + request.afterCompletion }
      if (now < due) return { status: 'early', due }
      scheduledTime = due
    }
    if (kind !== 'manual' && scheduledTime > now + this.#maxClockSkew) return { status: 'early', due: scheduledTime }

    if (record === undefined) {
      record = newRecord(now, monotonic + request.keep)
      this.#store.jobs.set(jobId, record)
    }
    if (kind !== 'manual') record.keptUntil = monotonic + request.keep
    const previous = record.tick
    const repeated = record.claimedBy === runId
    const later = kind === 'manual' || repeated || previous === null || scheduledTime > previous

    if (request.pausedInitially) this.#pauseInitially(jobId)
    if (kind !== 'manual') {
      if (later) {
        record.tick = scheduledTime
        record.claimedBy = runId
      }
      if (this.#store.paused.get(jobId) === true) return { status: 'paused', first: later, previous }
      if (!later) return { status: 'claimed_elsewhere' }
      if (kind === 'miss') {
        return { status: 'granted', lock: null, fencingToken: this.#store.fence, previous, scheduledTime }
      }
    }

    const held = record.lock
    if (isHeld(held, monotonic) && held.token !== runId) return { status: 'overlap', previous }
    held.token = runId
    held.expiresAt = monotonic + request.ttl
    record.runId = runId
    record.endedAt = 0
    const lock: HeldLock = {
      name: jobId,
      kind: 'job',
      token: runId,
      ttl: request.ttl,
      validUntil: validUntil(monotonic, request.ttl)
    }
    return { status: 'granted', lock, fencingToken: this.#nextFence(), previous, scheduledTime }
  }

  #pauseInitially(jobId: string): void {
    if (!this.#store.paused.has(jobId)) this.#store.paused.set(jobId, true)
  }

  #lockOf(lock: HeldLock): LockRecord | undefined {
    return lock.kind === 'job' ? this.#store.jobs.get(lock.name)?.lock : this.#store.named.get(lock.name)
  }

  // As in Redis: the time in microseconds, so that tokens of one process and the next still increase.
  #nextFence(): number {
    this.#store.fence = Math.max(this.#store.fence + 1, Math.floor(this.#clock.now() * 1000))
    return this.#store.fence
  }
}

function newRecord(now: number, keptUntil: number): JobRecord {
  const lock = { token: '', expiresAt: 0 }
  return { tick: null, claimedBy: '', runId: '', endedAt: now, keptUntil, lock }
}

function isHeld(lock: LockRecord, now: number): boolean {
  return lock.token !== '' && lock.expiresAt > now
}

function isHeldBy(lock: LockRecord, token: string, now: number): boolean {
  return lock.token === token && lock.expiresAt > now
}

function free(lock: LockRecord, token: string, now: number): ReleaseAnswer {
  if (!isHeldBy(lock, token, now)) return 'lost'
  lock.token = ''
  return 'released'
}
