import type { HistoryRun, HistoryTicks, RunProgress } from '../history.js'
import type { Run, RunOutcome, SkipReason } from '../run.js'

/** How much of the history a store keeps. */
export interface HistoryBounds {
  /** Of each job. */
  readonly runs: number
  /** In milliseconds. */
  readonly retention: number
}

/** The outcome of a run, as a store is told of it. */
export interface RunReport {
  readonly outcome: RunOutcome
  /** In milliseconds. */
  readonly duration: number
  /** What the history keeps of it; `null` where there is none. Made each time that it is read. */
  readonly entry: HistoryRun | null
  /**
   * The run itself, where the history keeps nothing of it that is not there: so that a store in memory need not make an entry of
   * each. Its outcome may not be there yet.
   *
   * @default null
   */
  readonly plainRun?: Run | null
}

/** Ticks that had no run, as a store is told of them. */
export interface TickFact extends Omit<HistoryTicks, 'kind'> {
  readonly reason: SkipReason
  /** The tick after `last`, so that ranges become one which follow one another; `null` for none. */
  readonly next: number | null
}

/** What the history is told beside the ends of runs. */
export type HistoryFact =
  | { readonly kind: 'ticks'; readonly ticks: TickFact }
  /** A run without a lock has ended; or, where `isCorrection`, the outcome that was told of one is not what became of it. */
  | { readonly kind: 'run'; readonly jobId: string; readonly report: RunReport; readonly isCorrection: boolean }

/** A run that goes on, as the store has it. */
export interface OngoingRun {
  readonly runId: string
  readonly replicaId: string
  readonly fencingToken: number
  readonly scheduledTime: number
  readonly startedAt: number
  readonly attempt: number
  readonly slot: number
  /** As of `OpenRun`. */
  readonly by?: string
  /** What is left of its lock's TTL, in milliseconds; `null` where it does not have it, or that was not asked for. */
  readonly lockTtl: number | null
  readonly progress: RunProgress | null
}

/** What a store has of a job's history. */
export interface StoredHistory {
  /** The newest first. Of a run there is one entry. */
  readonly runs: readonly HistoryRun[]
  /** The newest first. */
  readonly ticks: readonly HistoryTicks[]
  readonly ongoing: readonly OngoingRun[]
  /** The last tick that was claimed; `null` for none. */
  readonly claimedUntil: number | null
  /** Since when the fleet has had the job; `null` where that is not known. */
  readonly since: number | null
  /** The tick that waits for a slot; `null` for none. */
  readonly waiting: number | null
  /** Up to what nominal time something may have been forgotten, as no more is kept. */
  readonly forgottenUntil: number
  /** How many entries could not be read. */
  readonly unreadable: number
}

/** The last of what became of a job's ticks, in short. */
export interface StoredTail {
  /** The newest first: without attempts, progress, result and log, and of an error its name and the beginning of its message. */
  readonly runs: readonly HistoryRun[]
  /** The newest first. */
  readonly ticks: readonly HistoryTicks[]
}

/** A job of which it is asked how it stands. */
export interface StatusRequest {
  readonly jobId: string
  /** `''` for none. */
  readonly group: string
}

/** How a job stands in the whole fleet. Times are the store's. */
export interface StoredStatus {
  /** The last run to begin in the first slot; `null` before the first. */
  readonly last: Omit<OngoingRun, 'lockTtl' | 'progress'> | null
  /** When it ended; `null` while it goes on. */
  readonly lastEnd: number | null
  /** When the last run with outcome `success` ended; `null` before the first. */
  readonly lastSuccess: number | null
  /** How many runs have failed since. */
  readonly failures: number
  /** When the first run ended whose outcome is on record; `null` before. */
  readonly firstEnd: number | null
  /** How long the longest successful run took, in milliseconds; 0 before the first. */
  readonly longest: number
  readonly ongoing: readonly OngoingRun[]
  readonly since: number | null
  /** When it was resumed last, or its group, or all jobs; `null` for never. */
  readonly resumedAt: number | null
}

/** A replica as it says of itself. */
export interface ReplicaReport {
  readonly replicaId: string
  /** The version of this package. */
  readonly version: string
  /** That of the app; `null` where it is not known. */
  readonly appVersion: string | null
  /** When it started, by its own clock. */
  readonly startedAt: number
  /** Its clock minus the store's, in milliseconds. */
  readonly skew: number
  readonly running: number
  readonly takesTicks: boolean
  readonly jobs: number
}

/** A replica, and when the store heard of it. */
export interface SeenReplica extends ReplicaReport {
  readonly seenAt: number
}

/** What became of ticks, and how jobs and replicas stand. */
export interface Records {
  /**
   * Notes what is not told with the ends of runs. What was noted before changes nothing.
   *
   * @returns false where the store did not answer
   */
  note(facts: readonly HistoryFact[]): Promise<boolean>
  /** @throws RedisUnavailableError */
  readHistory(jobId: string): Promise<StoredHistory>
  /**
   * The last of what became of the ticks of jobs, in the order given.
   *
   * @param count how many runs, and how many ranges of ticks without one, of each job
   * @throws RedisUnavailableError
   */
  readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]>
  /**
   * How jobs stand, in the order given.
   *
   * @param withLocks whether it is asked what is left of the TTLs of their locks
   * @throws RedisUnavailableError
   */
  readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]>
  /** Notes how far runs have come; `null` for one that has ended. Never rejects. */
  writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean>
  /** Says that this replica is there; `null` that it is no more. Never rejects. */
  beat(report: ReplicaReport | null): Promise<void>
  /**
   * The replicas of the fleet that were heard of within the last minute.
   *
   * @throws RedisUnavailableError
   */
  readReplicas(): Promise<readonly SeenReplica[]>
}
