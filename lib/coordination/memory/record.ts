import type { Fingerprint, HeldLock, OpenRun, ReleaseAnswer } from '../../../types/coordination.js'

/** A lock: its holder's token, `''` for none, and when it ends by itself, on the monotonic clock. */
export interface LockRecord {
  token: string
  expiresAt: number
}

/** One moment by both clocks: the fleet's, and the monotonic one. */
export interface Moment {
  readonly now: number
  readonly monotonic: number
}

/** What is remembered of a job, with its lock; the words are those of a claim's record in Redis. */
export interface ClaimRecord extends LockRecord {
  /** The last claimed tick, -1 before the first. */
  tick: number
  /** The one before it, or -1. */
  previous: number
  /** The request that claimed it; `''` once its run has ended. */
  claimedBy: string
  /** The last granted run, and when it ended; 0 while it goes on. */
  runId: string
  endedAt: number
  runTick: number
  attempt: number
  fencingToken: number
  startedAt: number
  replicaId: string
  /** Whether nobody has recorded what became of it. */
  isOpen: boolean
  fingerprint: Fingerprint
  /** Dates that were claimed while the job had ticks of other triggers as well: their triggers, with the requests. */
  dates: Map<string, string> | null
  /** Until when it is remembered, on the monotonic clock. */
  retainedUntil: number
}

/** The record of a job that nobody has claimed yet. */
export function newRecord(fingerprint: Fingerprint, retention: number, { now, monotonic }: Moment): ClaimRecord {
  return {
    tick: -1,
    previous: -1,
    claimedBy: '',
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
}

/** Whether a record is to be remembered still. `now` is on the monotonic clock, as in all that follows. */
export function isRemembered(record: ClaimRecord, now: number): boolean {
  return record.retainedUntil > now || isHeld(record, now)
}

export function isHeld(lock: LockRecord, now: number): boolean {
  return lock.token !== '' && lock.expiresAt > now
}

export function isHeldBy(lock: LockRecord, token: string, now: number): boolean {
  return lock.token === token && lock.expiresAt > now
}

/** Releases a lock that is still the holder's own. */
export function releaseLock(lock: LockRecord, token: string, now: number): ReleaseAnswer {
  if (!isHeldBy(lock, token, now)) return 'lost'
  lock.token = ''
  return 'released'
}

export function noteDate(record: ClaimRecord, { trigger }: Fingerprint, runId: string): void {
  record.dates ??= new Map()
  record.dates.set(trigger, runId)
}

/** The job's run as it stands open. */
export function openRunOf(record: ClaimRecord, jobId: string, { now, monotonic }: Moment): OpenRun {
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, expiresAt } = record
  const lockedUntil = now + expiresAt - monotonic
  return { runId, jobId, replicaId, fencingToken, scheduledTime, startedAt, attempt, lockedUntil }
}

/** The lock of a job, with the record it lies in: looking that up among 10,000 is some 5% of a tick. */
export class JobLock implements HeldLock {
  readonly name: string
  readonly kind = 'job'
  readonly token: string
  readonly ttl: number
  validUntil: number
  readonly #jobs: ReadonlyMap<string, ClaimRecord>
  readonly #record: ClaimRecord

  constructor(
    name: string,
    token: string,
    ttl: number,
    validUntil: number,
    jobs: ReadonlyMap<string, ClaimRecord>,
    record: ClaimRecord
  ) {
    this.name = name
    this.token = token
    this.ttl = ttl
    this.validUntil = validUntil
    this.#jobs = jobs
    this.#record = record
  }

  /** The record of a lock among the jobs of a store: that of a forgotten job is over. */
  static recordOf(lock: HeldLock, jobs: ReadonlyMap<string, ClaimRecord>): ClaimRecord | undefined {
    return lock instanceof JobLock && lock.#jobs === jobs ? lock.#record : jobs.get(lock.name)
  }
}
