import type { OpenRun } from '../../types/coordination.js'
import type { RemovalReason } from '../../types/events.js'
import type { Job } from '../../types/job.js'
import type { FleetChange } from '../../types/levers.js'
import type { Run, SkipReason } from '../../types/run.js'

/** Several ticks of a job that have no run for the same reason: `count` of them, from `first` to `last`. */
export interface TickRange {
  readonly first: number
  readonly last: number
  readonly count: number
}

/** What an outage of Redis has cost. */
export interface OutageCost {
  /** In milliseconds. */
  readonly duration: number
  /** How many due ticks waited for its end. */
  readonly waiting: number
  /** How many locks were lost during it. */
  readonly locksLost: number
}

/** How late the event loop is. */
export interface EventLoopLateness {
  /** In milliseconds. */
  readonly delay: number
  /** The option `maxEventLoopDelay`, in milliseconds. */
  readonly maxDelay: number
  /** How many due ticks of low priority wait for it. */
  readonly waiting: number
}

/**
 * Hears from the journal what happened in this process: each method is called once for each fact of its name. A listener
 * implements the methods it needs. What it throws, or a promise of it that rejects, is logged and stops nothing.
 *
 * A `run` is the live object that users see: it changes until its outcome is known. Times are milliseconds since the Unix
 * epoch, durations are milliseconds.
 */
export interface JournalListener {
  // Runs

  /** A run begins: its tick is claimed and, if it has a lock, that is held. @param hasLock whether it has one */
  runStarted?(job: Job, run: Run, hasLock: boolean): void
  /** The outcome of a run is known. Its handler may go on, after a timeout or when closing does not wait any longer. */
  runEnded?(job: Job, run: Run, duration: number): void
  /** The handler of a run whose outcome was known before has ended. @param error what it threw, if it threw */
  runEndedLate?(job: Job, run: Run, error: unknown): void
  /** A handler failed, and is called again `delay` milliseconds later. `run.attempt` is the attempt that failed. */
  attemptFailed?(job: Job, run: Run, error: unknown, delay: number): void
  /** A handler is called again. `run.attempt` is the attempt that begins. */
  retryStarted?(job: Job, run: Run): void
  /** A handler has ended, or is not waited for any longer: the run does not count as running any more. */
  handlerSettled?(job: Job, run: Run): void
  /** This replica takes over the run `from` of another replica, as the run `runId`. */
  takenOver?(from: OpenRun, runId: string, attempt: number): void
  /**
   * This replica has recorded that a run of the fleet ended with its replica, or lost its lock there.
   *
   * @param job `null` where this replica does not have the job; then `run` is `null` too
   */
  runAbandoned?(open: OpenRun, job: Job | null, run: Run | null): void
  /** A run has ended here that another replica has recorded as abandoned: `runEnded` is not called for it, or was before. */
  abandonedRunEnded?(job: Job, run: Run): void

  // Locks

  lockExtended?(job: Job, run: Run): void
  lockReleased?(job: Job, run: Run): void
  lockLost?(job: Job, run: Run, reason: string): void
  /** A run could not have its lock. `held`: another run holds it; `error`: Redis did not answer. */
  lockFailed?(job: Job, scheduledTime: number, reason: 'held' | 'error'): void

  // Ticks without a run: of each one of these four methods is called

  /** A tick has no run on this replica. */
  tickSkipped?(job: Job, scheduledTime: number, reason: SkipReason): void
  /** As `tickSkipped`, for more ticks than are told one by one. */
  ticksSkipped?(job: Job, ticks: TickRange, reason: SkipReason): void
  /** A tick has no run on any replica: it came too late, or nobody could take it. One replica says so. */
  tickMissed?(job: Job, scheduledTime: number, reason: SkipReason): void
  /** As `tickMissed`, for more ticks than are told one by one. */
  ticksMissed?(job: Job, ticks: TickRange, reason: SkipReason): void

  // Jobs

  jobAdded?(job: Job): void
  jobModified?(job: Job): void
  jobRemoved?(job: Job, reason: RemovalReason): void
  /** This process has paused a job for the fleet. */
  paused?(job: Job, by: string, note: string | undefined): void
  /** This process has resumed a job for the fleet. */
  resumed?(job: Job, by: string): void
  /** Somebody has done something at run time by this process. */
  changed?(change: FleetChange): void

  // The scheduler

  /** Ticks begin. */
  started?(jobs: number): void
  /** Closing begins, and waits for `runs`. */
  closing?(runs: number): void
  /** `closeTimeout` has passed: `runs` are aborted. */
  aborting?(runs: number): void
  /** Closing does not wait any longer for `runs`. */
  left?(runs: number): void
  outageBegan?(error: Error): void
  outageEnded?(cost: OutageCost): void
  /** The event loop is late: ticks of low priority wait. Told once a minute at most. */
  eventLoopLate?(lateness: EventLoopLateness): void
  /** It is on time again, and they are requested: of what was told by `eventLoopLate`. @param duration in milliseconds */
  eventLoopOnTime?(duration: number): void
}
