import type { Fingerprint, HeldLock, OpenRun, ReleaseAnswer } from '../../../types/coordination.js'
import { SETTLED_MARK } from '../redis/constants.js'
import type { JobHistory } from './history.js'

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

/** The last run in one of a job's slots, with the slot's lock. */
export interface SlotRecord extends LockRecord {
  /** Which slot, from 1 on. */
  readonly slot: number
  /** The last granted run, and when it ended; 0 while it goes on. */
  runId: string
  endedAt: number
  /** The id that it had before it ended. */
  lastRunId: string
  runTick: number
  /** 0 where nobody is to take it over. */
  attempt: number
  /** Its attempt where it is to be replaced, so that nobody takes it over any more; else 0. */
  replacedAttempt: number
  fencingToken: number
  startedAt: number
  replicaId: string
  /** The concurrency key of a run by hand, and the request that it is for, which has waited; `''` for none. */
  key: string
  requestId: string
  /** Who has asked for it by hand; `''` for nobody. */
  by: string
  /** Whether nobody has recorded what became of it. */
  isOpen: boolean
  /** What is kept of the job's runs, so that it need not be looked up for each; `null` before the first has ended. */
  history: JobHistory | null
}

/**
 * What is remembered of a job, with its first slot; the words are those of a claim's record in Redis. When its run ended is
 * when any run of the job did.
 */
export interface ClaimRecord extends SlotRecord {
  /** The last claimed tick, -1 before the first. */
  tick: number
  /** The one before it, or -1. */
  previous: number
  /** The request that claimed it; `''` once its run has ended, `settledClaim` of it once it has waited and does so no more. */
  claimedBy: string
  /** The slots beyond the first that have a run, by their number. */
  slots: Map<number, SlotRecord> | null
  /** How many slots runs of the job have had. */
  slotCount: number
  /** How many runs have begun, or are sure to as they wait for a slot; counted for `maxRuns`. */
  runCount: number
  /** When the last run in another slot than the first began that has ended. */
  lastBegun: number
  fingerprint: Fingerprint
  /** Dates that were claimed while the job had ticks of other triggers as well: their triggers, with the requests. */
  dates: Map<string, string> | null
  /** Until when it is remembered, on the monotonic clock. */
  retainedUntil: number
}

/**
 * In the place of a request whose tick has waited, and has begun or was dropped since: should its reply have been lost, the
 * claim can be neither made anew nor handed back.
 */
export function settledClaim(runId: string): string {
  return SETTLED_MARK + runId
}

/** The record of a job that nobody has claimed yet. */
export function newRecord(fingerprint: Fingerprint, retention: number, { now, monotonic }: Moment): ClaimRecord {
  return {
    tick: -1,
    previous: -1,
    claimedBy: '',
    slot: 1,
    ...newRun(),
    endedAt: now,
    slots: null,
    slotCount: 1,
    runCount: 0,
    lastBegun: 0,
    fingerprint,
    dates: null,
    retainedUntil: monotonic + retention
  }
}

/** A slot that has had no run. */
export function newRun(): Omit<SlotRecord, 'slot'> {
  return {
    runId: '',
    endedAt: 0,
    lastRunId: '',
    runTick: -1,
    attempt: 0,
    replacedAttempt: 0,
    fencingToken: 0,
    startedAt: 0,
    replicaId: '',
    key: '',
    requestId: '',
    by: '',
    isOpen: false,
    history: null,
    token: '',
    expiresAt: 0
  }
}

/** Whether a record is to be remembered still. `now` is on the monotonic clock, as in all that follows. */
export function isRemembered(record: ClaimRecord, now: number): boolean {
  return record.retainedUntil > now || isHeld(record, now) || (record.slots !== null && isAnyHeld(record.slots, now))
}

function isAnyHeld(slots: ReadonlyMap<number, SlotRecord>, now: number): boolean {
  return [...slots.values()].some((slot) => isHeld(slot, now))
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

/** A slot's run as it stands open. */
export function openRunOf(run: SlotRecord, jobId: string, { now, monotonic }: Moment): OpenRun {
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, expiresAt, slot, by } = run
  const lockedUntil = now + expiresAt - monotonic
  return {
    runId,
    jobId,
    replicaId,
    fencingToken,
    scheduledTime,
    startedAt,
    attempt,
    lockedUntil,
    slot,
    ...(by === '' ? {} : { by })
  }
}

/** The lock of a job, with the slot that it is of: looking that up among 10,000 is some 5% of a tick. */
export class JobLock implements HeldLock {
  readonly name: string
  readonly kind = 'job'
  readonly token: string
  readonly slot: number
  readonly ttl: number
  validUntil: number
  readonly #jobs: ReadonlyMap<string, ClaimRecord>
  readonly #run: SlotRecord

  constructor(
    name: string,
    token: string,
    ttl: number,
    validUntil: number,
    jobs: ReadonlyMap<string, ClaimRecord>,
    run: SlotRecord
  ) {
    this.name = name
    this.token = token
    this.ttl = ttl
    this.validUntil = validUntil
    this.#jobs = jobs
    this.#run = run
    this.slot = run.slot
  }

  /** The slot of a lock among the jobs of a store: that of a forgotten job is over. */
  static runOf(lock: HeldLock, jobs: ReadonlyMap<string, ClaimRecord>): SlotRecord | undefined {
    if (lock instanceof JobLock && lock.#jobs === jobs) return lock.#run
    const { name, token, slot = 1 } = lock
    const record = jobs.get(name)
    // Of a claim that was not answered it is not known which slot it has.
    if (slot === 0) return [...(record?.slots?.values() ?? [])].find(({ runId }) => runId === token) ?? record
    return slot === 1 ? record : record?.slots?.get(slot)
  }
}
