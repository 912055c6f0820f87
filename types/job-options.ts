import type { Duration } from './duration.js'
import type { IsDataRequired, JobData, JobResult, KnownJobId } from './job-types.js'
import type { JobCondition, JobHandler } from './run.js'
import type { JsonSchema, SchemaInput, SchemaOutput, StandardSchema } from './standard-schema.js'
import type { TriggerInput } from './trigger.js'

/** The lock that a job's runs hold. */
export interface LockOptions {
  /**
   * How long Redis keeps the lock of a replica that has died; a live replica extends its lock every third of this time.
   * 100 ms to 24 hours.
   *
   * @default '30s'
   */
  readonly ttl?: Duration
}

/** How often and how soon a failed handler is called again, within the same run and under the same lock. */
export interface RetryOptions {
  /** The most further calls of the handler, 0 to 100. */
  readonly limit: number
  /**
   * The wait before the first retry.
   *
   * @default '1s'
   */
  readonly delay?: Duration
  /**
   * The factor by which each wait is longer than the one before, 1 to 100.
   *
   * @default 2
   */
  readonly factor?: number
  /**
   * The longest wait; at least `delay`. The default is raised if necessary so that it never shortens the first wait.
   *
   * @default '1m'
   */
  readonly maxDelay?: Duration
  /**
   * Whether each wait is multiplied by a random number between 1 and 2. Waits at `maxDelay` are spread over its upper
   * half.
   *
   * @default false
   */
  readonly jitter?: boolean
}

/** In which order ticks that wait for room are requested: words, as with numbers the smaller is first to some schedulers. */
export type Priority = 'high' | 'normal' | 'low'

/** Options of a job that the scheduler's `defaults` can set for all jobs. */
export interface JobDefaults {
  /**
   * The lock that the job's runs hold, or a string or number as its `ttl`. `false` runs every tick on **every**
   * replica, without claim or lock.
   *
   * @default { ttl: '30s' }
   */
  readonly lock?: LockOptions | string | number | false
  /**
   * How late a run may start; a tick later than this is missed. The default is capped below the distance to the next
   * tick. With a longer time, several late ticks of a job may wait together, see `coalesce`.
   *
   * @default '30s'
   */
  readonly misfireGraceTime?: Duration
  /**
   * Which of several late ticks of a job, all within its `misfireGraceTime`, are run: the `latest`, the `earliest`, or
   * `all` of them, one after the other and a thousand at most. The others are skipped as `coalesced`. With `all`, a
   * tick that finds the lock held waits for it within its grace instead of being skipped as `overlap`.
   *
   * @default 'latest'
   */
  readonly coalesce?: 'latest' | 'earliest' | 'all'
  /**
   * What happens to a run whose replica died, that lost its lock, or that was cancelled at shutdown. `none`: nothing
   * (at most once). `rerun`: another replica takes it over once the lock is free (at least once), up to nine times.
   *
   * @default 'none'
   */
  readonly recovery?: 'none' | 'rerun'
  /**
   * What to do when Redis has not answered by the end of a tick's grace: `skip` misses the tick; `run` runs it without
   * claim or lock, on every replica that gets no answer. `run` has no effect with `after: 'completion'`.
   *
   * @default 'skip'
   */
  readonly onRedisError?: 'skip' | 'run'
  /**
   * The longest delay of a tick. Each tick's delay is derived from a hash of the job's id and the tick, so it is the
   * same on every replica; it always ends before the next tick.
   *
   * @default 0
   */
  readonly jitter?: Duration
  /**
   * How long a run may take. After that its outcome is `timeout`, which is reported at once, and its `signal` is
   * aborted; the lock is kept until the handler has ended. `0` means no limit.
   *
   * @default 0
   */
  readonly timeout?: Duration
  /**
   * How to retry a failed handler: `false` does not, a number is the `limit`.
   *
   * @default false
   */
  readonly retry?: RetryOptions | number | false
  /**
   * Which ticks are requested first, of those that wait in this process for room (`concurrency`). One in ten goes to a
   * lower priority that waits. Ticks of `low` priority also wait while the event loop is late (`maxEventLoopDelay`).
   *
   * @default 'normal'
   */
  readonly priority?: Priority
}

/**
 * The options of a job, whatever the type of its `data`. `Data` is what the handler gets, `Input` what is given: they differ
 * with a `schema` that has defaults or transforms.
 */
export interface JobBase<App, Data, Input = Data> extends JobDefaults {
  /** The job's name on all replicas, in Redis and in the metrics: 1 to 200 characters, no control characters. */
  readonly id: string
  /**
   * A name for people, and for the metrics' `job_name` label.
   *
   * @default the id
   */
  readonly name?: string
  /**
   * When the job is due. A job without a trigger runs by hand only; `null` says so, too. `undefined` is refused, as it
   * may be the value of a setting that was forgotten.
   *
   * @default null
   */
  readonly trigger?: TriggerInput | null
  readonly handler: JobHandler<App, Data>
  /** Passed to the handler: as it is, or with a `schema` as that makes it. */
  readonly data?: Input
  /**
   * What the data has to be: a Standard Schema (zod, valibot, arktype) or a JSON Schema. Data is checked where it is given,
   * by `add`, `modify`, `trigger` and routes, and kept as it is; each attempt of a run gets what the schema makes of it.
   *
   * The type is that of a JSON Schema; with a Standard Schema the options are `SchemaJobOptions`.
   */
  readonly schema?: JsonSchema
  /**
   * The most runs of the job that go on at once in the whole fleet, 1 to 1,000: each has a slot with a lock of its own.
   * With several Redis masters it is 1.
   *
   * @default 1
   */
  readonly maxInstances?: number
  /**
   * What becomes of a tick that finds `maxInstances` runs of the job under way, on whichever replica. `skip`: it has no run.
   * `wait`: the latest such tick waits for one of them to end, however long that takes. `replace`: the oldest of them is
   * cancelled, and the tick runs once it has ended, or after the lock's TTL. With several Redis masters it is `skip`.
   *
   * @default 'skip'
   */
  readonly overlap?: 'skip' | 'wait' | 'replace'
  /**
   * Asked before a tick runs, under its lock, by the replica that has claimed it. `false` skips the tick as `condition`; what it
   * throws is a failed run. Runs by hand and takeovers do not ask. A run of `runOnStart` asks too; it is no tick, so that nothing
   * is counted when it does not begin.
   */
  readonly when?: JobCondition<App, Data>
  /**
   * How many runs of the job the fleet begins, 1 or more; then the job ends as one whose trigger has ended. Every run counts that
   * has begun, by a tick or by hand, however it ended; a run that is taken over, or retried, counts once. The count belongs to the
   * job's id, and is kept in Redis for 1,000 days after its last tick; without Redis, as long as the process lives. Refused with
   * `lock: false`, with `onRedisError: 'run'` and with several Redis masters, where nobody could count. Left out, it has any number.
   */
  readonly maxRuns?: number
  /**
   * Runs the job as a replica starts (`run.trigger` is `'start'`), once its ticks begin there, unless a run of it has begun in the
   * fleet within the last period: the time between the ticks before and after now. So a rolling deploy of any speed has one run at
   * most. With `lock: false` it runs on each replica. Not while the job is paused or has as many runs under way as may be. Refused
   * with a date.
   *
   * @default false
   */
  readonly runOnStart?: boolean
  /**
   * Pauses the job in the whole fleet until it is resumed, which is remembered, or until the code no longer sets this.
   *
   * @default false
   */
  readonly paused?: boolean
  /**
   * Pauses the job for the fleet, as by `pause()`, once so many of its runs have failed in a row, on whichever replicas: 1 or more.
   * When it is resumed, the next run that fails pauses it again; one that succeeds begins the count anew. `null` is never. Refused
   * with `lock: false`.
   *
   * @default null
   */
  readonly pauseAfterFailures?: number | null
  /**
   * The group that it belongs to, which is paused and resumed as one: 1 to 100 characters, no control characters. `null` is
   * none.
   *
   * @default null
   */
  readonly group?: string | null
  /**
   * What it is for, for people: at most 500 characters. `null` is nothing.
   *
   * @default null
   */
  readonly description?: string | null
  /**
   * A URL that each run pings, whatever started it, by the protocol of healthchecks.io: `<url>/start` as it begins, the URL itself
   * after a success, `<url>/fail` after any other outcome. So somebody outside notices that the job runs no more. No run waits for
   * it. It is a secret: not in the log, nor in `job`, nor in the store. http or https, at most 500 characters. `null` is none.
   *
   * @default null
   */
  readonly heartbeat?: string | null
}

/** Requires `data` unless its type allows `undefined`, which a handler gets when there is no `data`. */
export type DataOf<Data> = undefined extends Data ? unknown : { readonly data: Data }

/** The options of a job. `data` may be omitted if its type allows `undefined`. */
export type JobOptions<App = unknown, Data = unknown> = JobBase<App, Data> & DataOf<Data>

/** Requires `data` as `DataOf` does, but not of a job without a trigger, which runs with what each `trigger()` gives. */
export type DataOfTicks<Data> = DataOf<Data> | { readonly trigger?: never }

/** The options of a job whose data has a Standard Schema. */
export type SchemaJobOptions<App, Schema extends StandardSchema> = Omit<
  JobBase<App, SchemaOutput<Schema>, SchemaInput<Schema>>,
  'schema'
> & { readonly schema: Schema } & DataOfTicks<SchemaInput<Schema>>

/** The options of a job whose id is in `JobTypes`. */
export type KnownJobOptions<App, Id extends KnownJobId> = Omit<JobBase<App, JobData<Id>>, 'handler'> & {
  readonly id: Id
  readonly handler: JobHandler<App, JobData<Id>, JobResult<Id> | PromiseLike<JobResult<Id>>>
} & (IsDataRequired<Id> extends true ? DataOfTicks<JobData<Id>> : DataOf<JobData<Id>>)

/** An id that is not in `JobTypes`, whose jobs have types of their own. */
export type OtherJobId<Id extends string> = Id extends KnownJobId ? never : Id

/** The options that `cron()`, `interval()` and `date()` accept besides the job's id, trigger and handler. */
export type JobShorthand<App = unknown, Data = unknown> = Omit<JobBase<App, Data>, 'id' | 'trigger' | 'handler'>

/** These options, for a job whose data has a Standard Schema. */
export type SchemaJobShorthand<App, Schema extends StandardSchema> = Omit<
  JobBase<App, SchemaOutput<Schema>, SchemaInput<Schema>>,
  'id' | 'trigger' | 'handler' | 'schema'
> & { readonly schema: Schema } & DataOf<SchemaInput<Schema>>

/** The options that `modify` can change: all but `id` and `paused`. `trigger: null` takes the job's trigger away. */
export type JobChanges<App = unknown, Data = unknown> = Partial<Omit<JobBase<App, Data>, 'id' | 'paused'>>

/** These changes, with a Standard Schema. */
export type SchemaJobChanges<App, Schema extends StandardSchema> = Partial<
  Omit<JobBase<App, SchemaOutput<Schema>, SchemaInput<Schema>>, 'id' | 'paused' | 'schema'>
> & { readonly schema: Schema }

/**
 * The options of a job from code that operators can change at run time: when it is due, how its runs are run, and its data. What is
 * code (`handler`, `when`, `schema`), and what names the job, is left to the code.
 */
export type OverrideChanges<Data = unknown> = Omit<
  JobChanges<unknown, Data>,
  'handler' | 'when' | 'schema' | 'name' | 'group' | 'description' | 'heartbeat'
>
