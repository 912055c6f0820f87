import type { RedisOptions } from 'ioredis'
import type { Clock } from './clock.js'
import type { CoordinationFactory } from './coordination.js'
import type { Duration } from './duration.js'
import type { SchedulerEventName, SchedulerListener } from './events.js'
import type { HistoryEntry, HistoryOptions, HistoryQuery, TickStory } from './history.js'
import type { Job } from './job.js'
import type {
  JobChanges,
  JobDefaults,
  JobOptions,
  JobShorthand,
  KnownJobOptions,
  OtherJobId,
  OverrideChanges,
  SchemaJobChanges,
  SchemaJobOptions,
  SchemaJobShorthand
} from './job-options.js'
import type { IsDataRequired, JobData, JobResult, KnownJobId } from './job-types.js'
import type {
  CancelOptions,
  ChangeOptions,
  JobOverride,
  JobPause,
  OverrideOptions,
  PauseOptions,
  PauseTarget,
  ReleasedLock,
  ReleaseOptions,
  SkipOptions
} from './levers.js'
import type { Logger } from './logger.js'
import type { JobHandler, QueuedRun, Run } from './run.js'
import type { SchemaInput, SchemaOutput, StandardSchema } from './standard-schema.js'
import type { Health, JobStatus, ReplicaStatus } from './status.js'
import type { DateInput, PreviewOptions, TriggerInput } from './trigger.js'

/** The part that `Redis` and `Cluster` of ioredis 5 and 6 have in common. */
interface RedisConnection {
  readonly status: string
  readonly options: object
  defineCommand(name: string, definition: { readonly lua: string; readonly numberOfKeys?: number }): void
  duplicate(): unknown
}

/** An ioredis `Redis`, recognised by its shape, so that its version need not be the scheduler's. */
export interface RedisLike extends RedisConnection {
  readonly nodes?: never
}

/** An ioredis `Cluster`, recognised by its shape. */
export interface ClusterLike extends RedisConnection {
  nodes(): readonly unknown[]
}

/** The options of ioredis 5 and 6, which differ in `Connector` alone. */
export type RedisOptionsInput = Omit<RedisOptions, 'Connector'> & { readonly Connector?: unknown }

/**
 * One Redis: its URL, ioredis options, or an ioredis client of the app as a template for the scheduler's own clients.
 */
export type RedisMasterInput = string | RedisOptionsInput | RedisLike

/** One Redis, an ioredis `Cluster` of the app, or an array of independent masters: an odd number, at least 3. */
export type RedisInput = RedisMasterInput | ClusterLike | readonly RedisMasterInput[]

/** A metrics registry, such as the `Registry` of prom-client or of its successor. */
export interface MetricsRegister {
  readonly contentType: string
  metrics(): Promise<string>
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

export interface MetricsOptions {
  /**
   * The registry of the metrics. Pass prom-client's global `register` to serve them together with the app's.
   *
   * @default a new `client.Registry`
   */
  readonly register?: MetricsRegister
  /**
   * The module that a new registry is made with: prom-client, or its successor `@prometheus-io/client`.
   *
   * @default prom-client
   */
  readonly client?: { readonly Registry: new () => MetricsRegister }
  /**
   * The prefix of the metrics' names.
   *
   * @default 'apscheduler_'
   */
  readonly prefix?: string
  /**
   * Whether each job has its own series, some sixty of them, with the labels `job_id` and `job_name`. `false` is for
   * thousands of jobs: each metric then covers all jobs of the process, without these labels. Counters and histograms
   * are sums that include removed jobs; the next run is the earliest of all jobs', the last run and success the latest.
   *
   * @default true
   */
  readonly perJob?: boolean
  /**
   * The upper bounds of `job_duration_seconds`, in seconds, ascending.
   *
   * @default [0.1, 0.5, 1, 2, 5, 10, 30, 60]
   */
  readonly durationBuckets?: readonly number[]
}

export interface SchedulerOptions<App = unknown> {
  /**
   * The Redis that coordinates the replicas. Without it, coordination is in memory, for this process only. Several
   * independent masters decide by majority: a minority of them may be down, hang, or lose its data.
   *
   * @default undefined
   */
  readonly redis?: RedisInput | undefined
  /** The app's name in Redis, required with `redis`: 1 to 100 characters, no control characters, spaces or braces. */
  readonly prefix?: string
  /**
   * The IANA time zone of triggers that name none.
   *
   * @default 'UTC'
   */
  readonly timezone?: string
  /**
   * The most scheduled runs that are active in this process at once; further due ticks wait. Manual runs and those of
   * jobs with `lock: false` count, but never wait.
   *
   * @default 64
   */
  readonly concurrency?: number
  /**
   * How late this process' timers may be, smoothed over about a second, before ticks of jobs with `priority: 'low'` wait.
   * They are requested once that has fallen again, and in any case when half of their grace, or of the time to the next
   * tick, is over. From 10 ms to a minute; `0` means no limit.
   *
   * @default 0
   */
  readonly maxEventLoopDelay?: Duration
  /**
   * How long `close()` and `drain()` wait for running handlers before they abort them; a second later they stop
   * waiting. In an app it must be more than a second below Fastify's `pluginTimeout`.
   *
   * @default '8s'
   */
  readonly closeTimeout?: Duration
  /**
   * How far ahead of Redis' clock a tick may lie and still be granted. A larger clock skew is logged as a warning.
   *
   * @default '1s'
   */
  readonly maxClockSkew?: Duration
  /**
   * This process' name among the replicas: 1 to 100 characters, no control characters or spaces.
   *
   * @default host name, process id and a random part
   */
  readonly replicaId?: string
  /** Defaults for options that jobs leave out. */
  readonly defaults?: JobDefaults
  /** Jobs to add when the scheduler is created. */
  // biome-ignore lint/suspicious/noExplicitAny: each job has a `Data` of its own
  readonly jobs?: readonly (JobOptions<App, any> | SchemaJobOptions<App, any>)[]
  /**
   * Prometheus metrics; `false` turns them off.
   *
   * @default {}
   */
  readonly metrics?: MetricsOptions | false
  /**
   * How much is kept of what became of each tick, for `history()` and `tick()`; `false` for none. It is kept in Redis, or in
   * memory without.
   *
   * @default {}
   */
  readonly history?: HistoryOptions | false
  /**
   * A pino-like logger; `false` for none.
   *
   * @default warnings and errors to stderr
   */
  readonly logger?: Logger | false
  /** Passed to handlers as `app`. */
  readonly app?: App
  /**
   * The source of all time; for tests.
   *
   * @default the system's
   */
  readonly clock?: Clock
  /**
   * The store that coordinates the replicas instead of Redis; for tests, from `fastify-redlock-scheduler/testing`.
   *
   * @default undefined
   */
  readonly coordination?: CoordinationFactory
}

export interface TriggerOptions<Data = unknown> {
  /** Passed to the handler instead of the job's own `data`. */
  readonly data?: Data
  /**
   * Whether to resolve only when the run has ended and its lock is released, or its `timeout` has passed, instead of as
   * soon as it has started. A run that waits for others (`overlap: 'wait'`) is waited for wherever it runs.
   *
   * @default false
   */
  readonly wait?: boolean
  /**
   * Runs with one key never overlap in the fleet; runs with different keys do, up to the job's `maxInstances`. 1 to 200
   * characters, no control characters; not with several Redis masters.
   */
  readonly concurrencyKey?: string
  /**
   * What to do when no run can begin, as the job has `maxInstances` under way or one with the same key. `skip`: nothing.
   * `wait`: the request waits in the store, in order, 1,000 at most, and outlives this replica; its `data` must be JSON of at
   * most 256 KB. Requests without `data` are one while they wait. Not with several Redis masters.
   *
   * @default 'skip'
   */
  readonly overlap?: 'skip' | 'wait'
  /**
   * Where it runs. `here`: on this replica. `any`: on one that has the job and takes ticks, which hears of it within a second; until
   * then the request waits in the store, as with `overlap: 'wait'`.
   *
   * @default 'here'
   */
  readonly on?: 'here' | 'any'
  /** Who asks for it, for people: the history says so. 1 to 200 characters, no control characters. */
  readonly by?: string
  /**
   * The nominal time that the run has, in place of the present: to run a past tick again. A `Date`, an ISO 8601 text, or
   * milliseconds since the Unix epoch; not later than now.
   */
  readonly scheduledTime?: Date | number | string
}

/** The options of `trigger()`; they may be omitted unless `JobTypes` says that the job's data is required. */
export type TriggerArguments<Id extends string> =
  IsDataRequired<Id> extends true
    ? [options: SkippingOptions<JobData<Id>> & { readonly data: JobData<Id> }]
    : [options?: SkippingOptions<JobData<Id>>]

type SkippingOptions<Data> = TriggerOptions<Data> & { readonly overlap?: 'skip'; readonly on?: 'here' }

/** The options of `trigger()` for a run that may wait for others. */
export type WaitingTriggerOptions<Id extends string> = TriggerOptions<JobData<Id>> &
  ({ readonly overlap: 'wait' } | { readonly on: 'any' }) &
  (IsDataRequired<Id> extends true ? { readonly data: JobData<Id> } : unknown)

export interface WithLockOptions {
  /**
   * How long Redis keeps the lock of a process that has died. It is extended every third of this time while `fn` runs.
   *
   * @default the scheduler's `defaults.lock.ttl`
   */
  readonly ttl?: Duration
}

export interface WithLockContext {
  /** Aborted with `FST_ERR_RLS_LOCK_LOST` when the lock is lost. */
  readonly signal: AbortSignal
  readonly fencingToken: number
}

/** The result of `withLock`; `acquired` is `false` when the lock was held elsewhere, so that `fn` was not called. */
export type WithLockResult<Value> = { readonly acquired: true; readonly value: Value } | { readonly acquired: false }

/** An id for a job with this schema: if `JobTypes` has it, the schema takes the data that is named there. */
type SchemaJobId<Id extends string, Schema extends StandardSchema> = Id extends KnownJobId
  ? JobData<Id> extends SchemaInput<Schema>
    ? Id
    : never
  : Id

/** The options of a shorthand; they may be omitted if the handler's `data` may be `undefined`. */
type OptionsWithoutData<Data, Options> = undefined extends Data
  ? [options?: Options]
  : [options: Options & { readonly data: Data }]

/** The scheduler, as `app.jobs` or as returned by `createScheduler()`. */
export interface Scheduler<App = unknown> {
  readonly replicaId: string
  /**
   * The most scheduled runs that are active in this process at once, as the option says, and set here for this process
   * alone. With more, ticks that wait start at once; with less, runs that are active go on to their end.
   *
   * @throws OptionInvalidError when it is set to anything but a whole number from 1 to 1,000,000
   */
  concurrency: number
  /** The registry of the metrics; `null` when they are off. */
  readonly register: MetricsRegister | null
  /**
   * Adds a job, which is due at its first tick after this, or after `start()` if that comes later. Without a trigger it
   * runs by hand only.
   *
   * The handler's `data` has the type that the `schema`, `JobTypes` or `data` say, or that of `add<Data>(...)`.
   *
   * @throws JobDuplicateError, JobIdInvalidError, and the errors of its options; then nothing has changed
   */
  add<Schema extends StandardSchema, Id extends string>(
    options: SchemaJobOptions<App, Schema> & { readonly id: Id & SchemaJobId<Id, Schema> }
  ): Job
  add<Id extends KnownJobId>(options: KnownJobOptions<App, Id>): Job
  add<Data = unknown, Id extends string = string>(
    options: JobOptions<App, Data> & { readonly id: Id & OtherJobId<Id> }
  ): Job
  /** Adds a job with a cron trigger. */
  cron<Schema extends StandardSchema>(
    id: string,
    expression: string,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema> & { readonly timezone?: string }
  ): Job
  cron<Data>(
    id: string,
    expression: string,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data; readonly timezone?: string }
  ): Job
  cron<Data = unknown>(
    id: string,
    expression: string,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data> & { readonly timezone?: string }>
  ): Job
  /** Adds a job with an interval trigger. */
  interval<Schema extends StandardSchema>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema>
  ): Job
  interval<Data>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data }
  ): Job
  interval<Data = unknown>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data>>
  ): Job
  /** Adds a job with one tick. */
  date<Schema extends StandardSchema>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema>
  ): Job
  date<Data>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data }
  ): Job
  date<Data = unknown>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data>>
  ): Job
  get<Id extends string>(id: Id): Job<JobData<Id>> | undefined
  /** All jobs of this process, in the order they were added. */
  list(): Job[]
  /**
   * Changes a job of this process from its next tick on.
   *
   * @throws JobUnknownError and the errors of its options; then nothing has changed
   */
  modify<Schema extends StandardSchema>(id: string, changes: SchemaJobChanges<App, Schema>): Job
  modify<Data = unknown>(id: string, changes: JobChanges<App, Data>): Job
  /** `modify` with a trigger alone; with `null` the job runs by hand only from then on. */
  reschedule(id: string, trigger: TriggerInput | null): Job
  /**
   * Removes a job from this process; active runs of it go on to their end. A job whose trigger has no further tick is
   * removed automatically, five minutes after its last run.
   *
   * @returns whether there was a job with that id
   */
  remove(id: string): boolean
  /**
   * Pauses a job, a group or all jobs for the whole fleet: their ticks have no run until they are resumed, or until `until`.
   * Manual runs are still possible. Every replica knows it within a second; no run goes against it meanwhile, but for jobs with
   * `lock: false`. A pause in the place of another one replaces it.
   *
   * @param options or a string, which is the `note`
   * @returns the pause, with the version for `expectedVersion`
   * @throws JobUnknownError, GroupUnknownError, OptionInvalidError, OptionUnknownError, JobChangedError, RedisUnavailableError
   */
  pause(target: PauseTarget, options?: PauseOptions | string): Promise<JobPause>
  /**
   * Resumes what was paused by `pause` with the same target. Ticks that were due during the pause are not caught up on. A job
   * that is also paused with its group, or with all jobs, stays paused.
   *
   * @returns the pauses that are in force all the same: none where it runs again
   * @throws JobUnknownError, GroupUnknownError, OptionInvalidError, OptionUnknownError, JobChangedError, RedisUnavailableError
   */
  resume(target: PauseTarget, options?: ChangeOptions): Promise<readonly JobPause[]>
  /**
   * Changes options of a job from code for the whole fleet, over restarts, until `reset`: from its next tick on. Options that were
   * overridden before stay so. Every replica follows within a second; a tick that one claims without having heard of it is not run
   * by the old definition meanwhile, but for jobs with `lock: false`. Runs under way go on as they began.
   *
   * @returns what is in force, with the version for `expectedVersion`
   * @throws JobUnknownError, JobChangedError, RedisUnavailableError, and the errors of the options; then nothing has changed
   */
  override<Data = unknown>(id: string, changes: OverrideChanges<Data>, options?: OverrideOptions): Promise<JobOverride>
  /**
   * Lets a job follow its code again, for the whole fleet. Also for a job that only replicas of another version of the app have, as
   * long as it is overridden.
   *
   * @throws JobUnknownError, JobChangedError, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  reset(id: string, options?: ChangeOptions): Promise<void>
  /**
   * Cancels a run, on whichever replica it goes on: its `signal` aborts with RunCancelledError, and its outcome is `cancelled`. A
   * handler that does not listen goes on, and keeps its lock. Nobody takes the run over. Resolves once its replica is told, or is
   * sure to be within a second. A run without a lock is known to its own replica alone.
   *
   * @throws RunUnknownError when no such run goes on; OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  cancel(runId: string, options?: CancelOptions): Promise<void>
  /**
   * Lets one future tick of a job have no run, on whichever replica it would run: it is counted once, as `operator`. A tick that is
   * skipped already stays so.
   *
   * @param scheduledTime the tick's nominal time; an ISO string without an offset is in the scheduler's time zone
   * @throws JobUnknownError, DateInvalidError, TickUnknownError when the job's trigger has no such tick, TickPassedError when it
   *   has passed or was claimed, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  skip(id: string, scheduledTime: DateInput, options?: SkipOptions): Promise<void>
  /**
   * Frees the locks of a job whose runs hang, so that its next tick runs. The runs are told: they have lost their locks
   * (`lock_lost`). With `recovery: 'rerun'` they are taken over.
   *
   * @returns the locks that were held; none where nothing was to be done
   * @throws JobUnknownError, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  release(id: string, options?: ReleaseOptions): Promise<readonly ReleasedLock[]>
  /**
   * Runs a job once the runs of it that stand in its way have ended, on whichever replica has room first.
   *
   * @returns with `wait` the run once it has ended. Without, the run if it has begun here, else what waits in the store
   * @throws JobUnknownError, JobQueueFullError, NotRunningError, the errors of data, and RedisUnavailableError: then it may
   *   wait all the same
   */
  trigger<Id extends string>(
    id: Id,
    options: WaitingTriggerOptions<Id> & { readonly wait: true }
  ): Promise<Run<JobResult<Id>>>
  trigger<Id extends string>(id: Id, options: WaitingTriggerOptions<Id>): Promise<Run<JobResult<Id>> | QueuedRun>
  /**
   * Runs a job now, on this replica, under its lock.
   *
   * @returns the run, or `null` when no slot of the job is free, or another run with the key is under way
   * @throws JobUnknownError, RedisUnavailableError, NotRunningError, and the errors of data that the job's schema refuses
   */
  trigger<Id extends string>(id: Id, ...options: TriggerArguments<Id>): Promise<Run<JobResult<Id>> | null>
  /**
   * What became of a job's ticks, the newest nominal time first: its runs, also those that go on, and ranges of ticks that had no run
   * with the reason. The same on every replica; kept as long as the option `history` says.
   *
   * @throws JobUnknownError for a job that neither this replica nor the history knows; HistoryOffError, OptionInvalidError,
   *   DateInvalidError, RedisUnavailableError
   */
  history(id: string, query?: HistoryQuery): Promise<HistoryEntry[]>
  /**
   * What became of one tick: its run, or why it had none. `null` for a time that was no tick, or is forgotten.
   *
   * @param scheduledTime its nominal time
   * @throws as `history`
   */
  tick(id: string, scheduledTime: Date | number | string): Promise<TickStory | null>
  /**
   * How a job stands in the whole fleet.
   *
   * @throws JobUnknownError, RedisUnavailableError
   */
  status(id: string): Promise<JobStatus>
  /**
   * How all jobs of this process stand, in the order they were added. What is left of the TTLs of their locks is left out.
   *
   * @throws RedisUnavailableError
   */
  status(): Promise<JobStatus[]>
  /**
   * The replicas that were heard of within the last minute, the oldest first.
   *
   * @throws RedisUnavailableError
   */
  fleet(): Promise<ReplicaStatus[]>
  /** How this replica is; asks nobody. */
  health(): Health
  /** Lists the next ticks of a trigger, in milliseconds since the Unix epoch, ascending. */
  preview(trigger: TriggerInput, options?: PreviewOptions): number[]
  /**
   * Calls `fn` under a named lock, so that it runs on one replica at a time. Lock names and job ids never clash.
   *
   * @throws what `fn` throws, RedisUnavailableError, and LockLostError if the lock was lost before `fn` had ended
   */
  withLock<Value>(
    name: string,
    options: WithLockOptions,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>>
  on<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  once<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  off<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  /**
   * Begins the ticks, or begins them again after `stop()`. It resolves even if Redis is unreachable: jobs then begin to
   * run when Redis is up. In an app the scheduler starts by itself unless `autostart` is `false`.
   *
   * @throws RedisAuthError, NotRunningError
   */
  start(): Promise<void>
  /** Takes no new ticks from now on; everything else works as before. */
  stop(): void
  /**
   * Stops, takes no new runs, waits up to `closeTimeout` for active runs, and aborts those left. Everything else works
   * until `close()`: routes, metrics, and `withLock`, which a run may need to finish.
   */
  drain(): Promise<void>
  /** Drains, ends calls of `withLock` in the same way, and closes the connections that the scheduler opened. */
  close(): Promise<void>
}
