import type { Duration } from './duration.js'
import type { JobHandler } from './run.js'
import type { TriggerInput } from './trigger.js'

/** The lock a job's runs hold. */
export interface LockOptions {
  /**
   * How long Redis keeps the lock of a replica that died. A living one extends it at every third of this time.
   * 100 ms to 24 hours.
   *
   * @default '30s'
   */
  readonly ttl?: Duration
}

/** How often and how fast a handler that failed is called again, within its run and under its lock. */
export interface RetryOptions {
  /** How many further calls, 0 to 100. */
  readonly limit: number
  /**
   * The wait before the first retry.
   *
   * @default '1s'
   */
  readonly delay?: Duration
  /**
   * By how much each wait is longer than the one before.
   *
   * @default 2
   */
  readonly factor?: number
  /**
   * The longest wait; at least `delay`. Where it is not given it never cuts the first wait.
   *
   * @default '1m'
   */
  readonly maxDelay?: Duration
  /**
   * Whether each wait is multiplied by a random number between 1 and 2. Waits at `maxDelay` are spread over its upper half.
   *
   * @default false
   */
  readonly jitter?: boolean
}

/** What may be said for one job, and in the scheduler's `defaults` for all. */
export interface JobDefaults {
  /**
   * The lock its runs hold; `false` runs every tick on **every** replica, without claim or lock.
   *
   * A string or a number is its `ttl`.
   *
   * @default { ttl: '30s' }
   */
  readonly lock?: LockOptions | string | number | false
  /**
   * How late a run may start. A tick later than this is missed. The default is capped below the distance to the next
   * tick; a longer time given here lets several late ticks of a job wait together, see `coalesce`.
   *
   * @default '30s'
   */
  readonly misfireGraceTime?: Duration
  /**
   * Which of several late ticks of a job, all within its `misfireGraceTime`, have a run: the `latest`, the `earliest`, or
   * `all`, one after the other and a thousand at most. The others are skipped as `coalesced`. With `all` a tick that
   * finds the lock held waits for it within its grace, instead of being skipped as `overlap`.
   *
   * @default 'latest'
   */
  readonly coalesce?: 'latest' | 'earliest' | 'all'
  /**
   * What becomes of a run whose replica died, or which lost its lock or was cancelled at shutdown: `none` leaves it (at
   * most once); with `rerun` another replica takes it over once the lock is free (at least once), up to nine times.
   *
   * @default 'none'
   */
  readonly recovery?: 'none' | 'rerun'
  /**
   * What to do when Redis has not answered until the grace of a tick is over: `skip` misses the tick, `run` runs it
   * without claim or lock, on every replica that finds it so; not with `after: 'completion'`.
   *
   * @default 'skip'
   */
  readonly onRedisError?: 'skip' | 'run'
  /**
   * A delay of 0 to this long, the same on every replica, from a hash of the job's id and the tick; always below the
   * next tick.
   *
   * @default 0
   */
  readonly jitter?: Duration
  /**
   * After this long the run's outcome is `timeout`, which is told at once, and its `signal` is aborted. The lock is kept
   * until the handler settles. `0` is no limit.
   *
   * @default 0
   */
  readonly timeout?: Duration
  /**
   * What to do when a handler fails; `false` is nothing, a number is the `limit`.
   *
   * @default false
   */
  readonly retry?: RetryOptions | number | false
}

/** What a job's definition has. */
export interface JobBase<App, Data> extends JobDefaults {
  /** Names the job on every replica, in Redis and in the metrics: 1 to 200 characters, no control characters. */
  readonly id: string
  /**
   * For people and for the metrics' `job_name` label.
   *
   * @default the id
   */
  readonly name?: string
  readonly trigger: TriggerInput
  readonly handler: JobHandler<App, Data>
  /** Handed to the handler as it is. */
  readonly data?: Data
  /**
   * Pauses the job for the whole fleet, as long as the code says so; a `resume()` is remembered.
   *
   * @default false
   */
  readonly paused?: boolean
}

/** Demands `data` of a type that has no `undefined` in it, which is what a handler has where there is none. */
export type DataOf<Data> = undefined extends Data ? unknown : { readonly data: Data }

/** A job's definition. `data` may be left out where its type allows `undefined`. */
export type JobOptions<App = unknown, Data = unknown> = JobBase<App, Data> & DataOf<Data>

/** What `cron()`, `interval()` and `date()` take beside a job's id, trigger and handler. */
export type JobShorthand<App = unknown, Data = unknown> = Omit<JobBase<App, Data>, 'id' | 'trigger' | 'handler'>

/** What `modify` can change: everything but the id. */
export type JobChanges<App = unknown, Data = unknown> = Partial<Omit<JobBase<App, Data>, 'id' | 'paused'>>
