import type { Job } from './job.js'
import type { Logger } from './logger.js'

/** How a run ended. Every outcome but `success` counts as a failure. */
export type RunOutcome = 'success' | 'error' | 'timeout' | 'cancelled' | 'lock_lost' | 'abandoned'

/** Why a tick had no run on this replica. */
export type SkipReason =
  | 'claimed_elsewhere'
  | 'overlap'
  | 'misfire'
  | 'coalesced'
  | 'paused'
  | 'redis_error'
  | 'shutdown'
  | 'condition'
  | 'operator'

/** What started a run. `start`: the job's `runOnStart`. */
export type RunTrigger = 'schedule' | 'manual' | 'recovery' | 'catch-up' | 'start'

/** One execution of a job. All times are in milliseconds since the Unix epoch. */
export interface Run<Result = unknown> {
  /** Unique across all replicas. */
  readonly id: string
  readonly jobId: string
  /** The tick's nominal time; for a manual run, when it was requested. */
  readonly scheduledTime: number
  /** When the handler was called. */
  readonly startedAt: number
  /** 1, plus one for each retry and each time the run was taken over. */
  readonly attempt: number
  readonly trigger: RunTrigger
  /** Who asked for a run by hand, as `trigger()` was told; else `null`. */
  readonly by: string | null
  readonly replicaId: string
  /**
   * Strictly increasing per job; `null` for a run without a lock: `lock: false`, or `onRedisError: 'run'` in an outage.
   */
  readonly fencingToken: number | null
  /** `null` until the outcome is known. */
  readonly outcome: RunOutcome | null
  /** When the outcome became known; `null` before. A handler may go on after its `timeout`. */
  readonly finishedAt: number | null
  /** What the handler threw, or an error that says why the run failed. */
  readonly error?: unknown
  /** What the handler returned. */
  readonly result?: Result
}

/** A run by hand that waits in the store for others of its job to end. */
export interface QueuedRun {
  /** The request's id; the run has one of its own. */
  readonly id: string
  readonly jobId: string
  /** When it was asked for, in milliseconds since the Unix epoch. */
  readonly scheduledTime: number
  readonly trigger: 'manual'
  readonly startedAt: null
  readonly outcome: null
}

/**
 * The argument of a handler. `log` and `signal` are getters that create their value when first read: destructuring
 * works, but a spread (`{ ...context }`) does not copy them.
 */
export interface RunContext<App = unknown, Data = unknown> {
  /** The Fastify instance on which the job was added, or the `app` given to `createScheduler`. */
  readonly app: App
  readonly job: Job
  readonly run: Run
  /** The job's `data`, or the `data` of the `trigger()` call; with a `schema`, what that makes of it, anew for each attempt. */
  readonly data: Data
  /** A child of the app's logger with `jobId` and `runId`. */
  readonly log: Logger
  /**
   * Aborted when the lock is lost (`FST_ERR_RLS_LOCK_LOST`), the `timeout` has passed (`FST_ERR_RLS_RUN_TIMEOUT`) or
   * the scheduler is closing and its `closeTimeout` has passed (`FST_ERR_RLS_RUN_CANCELLED`).
   */
  readonly signal: AbortSignal
  /**
   * Strictly increasing per job, for work that needs more than a lock can promise: store the token with what you write,
   * and refuse writes with a smaller one. `null` for a run without a lock: `lock: false`, or `onRedisError: 'run'` in
   * an outage.
   */
  readonly fencingToken: number | null
  /**
   * Says how far the run has come, from 0 to 1, and with a note of at most 200 characters where it is: `status()` shows it on every
   * replica, within a second or so, and the history the last one. A getter too: it may be destructured.
   *
   * @throws OptionInvalidError
   */
  readonly progress: (share: number, note?: string) => void
}

/**
 * Whether a tick runs: see the job's option `when`. It is the type of a method, so that options of a job for one `App` can
 * be used for another, as long as they do without a handler.
 */
export type JobCondition<App = unknown, Data = unknown> = {
  when(context: RunContext<App, Data>): boolean | PromiseLike<boolean>
}['when']

/** A job's work. What it throws, or a promise that rejects, is one failed run and nothing else. */
export type JobHandler<App = unknown, Data = unknown, Result = unknown> = (context: RunContext<App, Data>) => Result
