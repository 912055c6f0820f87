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
}

/** A lock: its holder's token, and when it ends by itself, on the monotonic clock. */
interface LockRecord {
  readonly token: string
  readonly expiresAt: number
}

/** What replicas share. Several coordinations over one store are several replicas in one process. */
export class MemoryStore {
  readonly jobs = new Map<string, JobRecord>()
  readonly locks = new Map<string, LockRecord>()
  /** Whether a job is paused; a job that was resumed is remembered as `false`. */
  readonly paused = new Map<string, boolean>()
  fence = 0
  #sweepAt = 1000

  /** Forgets what has had its time, now and then, so that jobs that come and go leave nothing behind. */
  sweep(now: number): void {
    if (this.jobs.size + this.locks.size < this.#sweepAt) return
    for (const [jobId, { keptUntil }] of this.jobs) if (keptUntil <= now) this.jobs.delete(jobId)
    for (const [key, { expiresAt }] of this.locks) if (expiresAt <= now) this.locks.delete(key)
    this.#sweepAt = Math.max(1000, 2 * (this.jobs.size + this.locks.size))
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
    this.#store.sweep(this.#clock.monotonic())
    return requests.map((request) => this.#claimOne(request))
  }

  async extend(lock: HeldLock, ttl: number): Promise<'extended' | 'lost'> {
    const key = lockKey(lock)
    if (this.#holder(key) !== lock.token) return 'lost'
    this.#lock(key, lock.token, ttl)
    lock.validUntil = validUntil(this.#clock.monotonic(), ttl)
    return 'extended'
  }

  async finish(locks: readonly HeldLock[]): Promise<readonly ReleaseAnswer[]> {
    return locks.map((lock) => {
      const record = this.#store.jobs.get(lock.name)
      if (record?.runId === lock.token) record.endedAt = this.#clock.now()
      return this.#unlock(lock)
    })
  }

  async acquire(name: string, ttl: number): Promise<AcquireAnswer> {
    const lock: HeldLock = { name, kind: 'named', token: this.#newToken(), validUntil: 0 }
    const key = lockKey(lock)
    if (this.#holder(key) !== null) return { status: 'held' }
    this.#lock(key, lock.token, ttl)
    lock.validUntil = validUntil(this.#clock.monotonic(), ttl)
    return { status: 'granted', lock, fencingToken: this.#nextFence() }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#unlock(lock)
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
  #claimOne(request: ClaimRequest): ClaimAnswer {
    const { jobId, kind, runId } = request
    const now = this.#clock.now()
    const key = jobLockKey(jobId)
    let record = this.#store.jobs.get(jobId)
    let { scheduledTime } = request

    if (request.afterCompletion > 0 && kind !== 'manual') {
      if (record === undefined) {
        // The first replica to ask sets the time from which the interval is measured.
        record = newRecord(now)
        this.#store.jobs.set(jobId, record)
      }
      const mine = record.claimedBy === runId && record.tick !== null
      const since = Math.max(record.endedAt, record.tick ?? 0)
      const due = mine ? (record.tick as number) : Math.max(since + request.afterCompletion, scheduledTime)
      const holder = this.#holder(key)
      if (!mine && holder !== null) return { status: 'early', due: now + request.afterCompletion }
      if (now < due) return { status: 'early', due }
      scheduledTime = due
    }
    if (kind !== 'manual' && scheduledTime > now + this.#maxClockSkew) return { status: 'early', due: scheduledTime }

    if (record === undefined) {
      record = newRecord(now)
      this.#store.jobs.set(jobId, record)
    }
    if (kind !== 'manual' || record.keptUntil === Number.POSITIVE_INFINITY) {
      record.keptUntil = this.#clock.monotonic() + request.keep
    }
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

    const holder = this.#holder(key)
    if (holder !== null && holder !== runId) return { status: 'overlap', previous }
    this.#lock(key, runId, request.ttl)
    record.runId = runId
    record.endedAt = 0
    const lock: HeldLock = {
      name: jobId,
      kind: 'job',
      token: runId,
      validUntil: validUntil(this.#clock.monotonic(), request.ttl)
    }
    return { status: 'granted', lock, fencingToken: this.#nextFence(), previous, scheduledTime }
  }

  #pauseInitially(jobId: string): void {
    if (!this.#store.paused.has(jobId)) this.#store.paused.set(jobId, true)
  }

  #holder(key: string): string | null {
    const held = this.#store.locks.get(key)
    return held !== undefined && held.expiresAt > this.#clock.monotonic() ? held.token : null
  }

  #lock(key: string, token: string, ttl: number): void {
    this.#store.locks.set(key, { token, expiresAt: this.#clock.monotonic() + ttl })
  }

  #unlock(lock: HeldLock): ReleaseAnswer {
    const key = lockKey(lock)
    if (this.#holder(key) !== lock.token) return 'lost'
    this.#store.locks.delete(key)
    return 'released'
  }

  // As in Redis: the time in microseconds, so that tokens of one process and the next still increase.
  #nextFence(): number {
    this.#store.fence = Math.max(this.#store.fence + 1, Math.floor(this.#clock.now() * 1000))
    return this.#store.fence
  }
}

function newRecord(now: number): JobRecord {
  return { tick: null, claimedBy: '', runId: '', endedAt: now, keptUntil: Number.POSITIVE_INFINITY }
}

function jobLockKey(jobId: string): string {
  return `job:${jobId}`
}

function lockKey(lock: HeldLock): string {
  return `${lock.kind}:${lock.name}`
}
