import type { RedisOptions } from 'ioredis'
import type { Clock } from './clock.js'
import type { CoordinationFactory } from './coordination.js'
import type { Duration } from './duration.js'
import type { SchedulerEventName, SchedulerListener } from './events.js'
import type { Job } from './job.js'
import type { JobChanges, JobDefaults, JobOptions, JobShorthand } from './job-options.js'
import type { Logger } from './logger.js'
import type { JobHandler, Run } from './run.js'
import type { PreviewOptions, TriggerInput } from './trigger.js'

/** What an ioredis `Redis` and `Cluster` have in common, of version 5 and 6. */
interface RedisConnection {
  readonly status: string
  readonly options: object
  defineCommand(name: string, definition: { readonly lua: string; readonly numberOfKeys?: number }): void
  duplicate(): unknown
}

/** An ioredis `Redis`, known by its shape: its version need not be the scheduler's. */
export interface RedisLike extends RedisConnection {
  readonly nodes?: never
}

/** An ioredis `Cluster`, known by its shape. */
export interface ClusterLike extends RedisConnection {
  nodes(): readonly unknown[]
}

/** The options of ioredis 5 and 6, which differ in this class alone. */
export type RedisOptionsInput = Omit<RedisOptions, 'Connector'> & { readonly Connector?: unknown }

/** One Redis: its URL, ioredis' options for it, or an ioredis client of the app's, from which the scheduler makes its own. */
export type RedisMasterInput = string | RedisOptionsInput | RedisLike

/** A Redis, an ioredis Cluster of the app's in the same way, or an odd number, from 3 up, of independent masters. */
export type RedisInput = RedisMasterInput | ClusterLike | readonly RedisMasterInput[]

/** What is asked of a registry; prom-client's `Registry` and its successor's have it. */
export interface MetricsRegister {
  readonly contentType: string
  metrics(): Promise<string>
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

export interface MetricsOptions {
  /**
   * Where the metrics are registered. Give prom-client's own `register` to serve them with the app's.
   *
   * @default a new `client.Registry`
   */
  readonly register?: MetricsRegister
  /**
   * The module a new registry is taken from: prom-client, or its successor `@prometheus-io/client`.
   *
   * @default prom-client
   */
  readonly client?: { readonly Registry: new () => MetricsRegister }
  /**
   * The metric names' prefix.
   *
   * @default 'apscheduler_'
   */
  readonly prefix?: string
  /**
   * Whether each job has series of its own, with the labels `job_id` and `job_name`: some sixty of them. `false` is for
   * thousands of jobs: each metric then shows all jobs of the process together, without these labels. Counters and
   * histograms are sums, jobs that were removed included; of times the next is the earliest, the last are the latest.
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
   * Where replicas meet. Without it coordination is in memory, in this process only. Several independent masters decide
   * by majority: a minority of them may be down, hang, or lose its data.
   *
   * @default undefined
   */
  readonly redis?: RedisInput | undefined
  /** Names the app in Redis; required with `redis`. 1 to 100 characters, no control characters, spaces or braces. */
  readonly prefix?: string
  /**
   * The time zone of triggers that name none.
   *
   * @default 'UTC'
   */
  readonly timezone?: string
  /**
   * How many scheduled runs this process has at once; due ticks wait for room. Runs by hand and those of jobs with
   * `lock: false` do not wait, but take room.
   *
   * @default 64
   */
  readonly concurrency?: number
  /**
   * How long closing, and `drain()`, wait for running handlers before they abort them; a second later they wait no more.
   * In an app it is more than a second below Fastify's `pluginTimeout`.
   *
   * @default '8s'
   */
  readonly closeTimeout?: Duration
  /**
   * How far a tick may lie in the future of Redis' clock and still be granted; a larger skew is warned about.
   *
   * @default '1s'
   */
  readonly maxClockSkew?: Duration
  /**
   * Names this process among the replicas: 1 to 100 characters, no control characters or spaces.
   *
   * @default host name, process id and a random part
   */
  readonly replicaId?: string
  /** What jobs say when they do not say it themselves. */
  readonly defaults?: JobDefaults
  /** Jobs to begin with. */
  // biome-ignore lint/suspicious/noExplicitAny: each job has a `Data` of its own
  readonly jobs?: readonly JobOptions<App, any>[]
  /**
   * Prometheus metrics; `false` turns them off.
   *
   * @default {}
   */
  readonly metrics?: MetricsOptions | false
  /**
   * A pino-like logger; `false` for none.
   *
   * @default warnings and errors to stderr
   */
  readonly logger?: Logger | false
  /** Handed to handlers as `app`. */
  readonly app?: App
  /**
   * The source of all time; for tests.
   *
   * @default the system's
   */
  readonly clock?: Clock
  /**
   * Where replicas meet, instead of Redis; for tests, from `fastify-redlock-scheduler/testing`.
   *
   * @default undefined
   */
  readonly coordination?: CoordinationFactory
}

export interface TriggerOptions {
  /** Handed to the handler instead of the job's own `data`. */
  readonly data?: unknown
  /**
   * Resolve when the run has ended and its lock is released, or when its `timeout` has passed, instead of when it has started.
   *
   * @default false
   */
  readonly wait?: boolean
}

export interface WithLockOptions {
  /**
   * How long Redis keeps the lock of a process that died; it is extended at every third of this time while `fn` runs.
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

/** `acquired` is false when the lock is held elsewhere: `fn` was not called. */
export type WithLockResult<Value> = { readonly acquired: true; readonly value: Value } | { readonly acquired: false }

/** The options of a job without `data`, where its handler may have `undefined`. */
type OptionsWithoutData<Data, Options> = undefined extends Data
  ? [options?: Options]
  : [options: Options & { readonly data: Data }]

/** The scheduler: `app.jobs`, and what `createScheduler()` returns. */
export interface Scheduler<App = unknown> {
  readonly replicaId: string
  /** The registry the metrics are in, or `null` when they are off. */
  readonly register: MetricsRegister | null
  /**
   * Adds a job. Before `start` it waits for it; afterwards it is due at its next tick.
   *
   * @throws JobDuplicateError, JobIdInvalidError, and the errors of its options; then nothing has changed
   */
  add<Data = unknown>(options: JobOptions<App, Data>): Job
  /** Adds a job with a cron trigger. */
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
  get(id: string): Job | undefined
  /** All jobs of this process, in the order they were added. */
  list(): Job[]
  /**
   * Changes a job of this process from its next tick on.
   *
   * @throws JobUnknownError and the errors of its options; then nothing has changed
   */
  modify<Data = unknown>(id: string, changes: JobChanges<App, Data>): Job
  /** `modify` with a trigger alone. */
  reschedule(id: string, trigger: TriggerInput): Job
  /**
   * Removes a job from this process; a run of it goes on to its end. Whether there was one. A job whose trigger has no
   * further tick goes by itself, five minutes after its last run.
   */
  remove(id: string): boolean
  /**
   * Pauses a job for the whole fleet: its ticks have no run until it is resumed. Runs by hand are still possible.
   *
   * @param note why, for people; at most 500 characters
   * @throws JobUnknownError, RedisUnavailableError
   */
  pause(id: string, note?: string): Promise<void>
  /** @throws JobUnknownError, RedisUnavailableError */
  resume(id: string): Promise<void>
  /**
   * Runs a job now, on this replica, under its lock.
   *
   * @returns the run, or `null` when another run of the job holds the lock
   * @throws JobUnknownError, RedisUnavailableError, NotRunningError
   */
  trigger(id: string, options?: TriggerOptions): Promise<Run | null>
  /** The ticks a trigger will have, in milliseconds since the Unix epoch. */
  preview(trigger: TriggerInput, options?: PreviewOptions): number[]
  /**
   * Calls `fn` under a lock of that name, on one replica at a time. The names are apart from the jobs' ids.
   *
   * @throws what `fn` throws, RedisUnavailableError, and LockLostError when the lock was lost before `fn` had ended
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
   * Begins the ticks, also again after `stop()`. An unreachable Redis does not keep it from that: jobs begin when Redis
   * comes. An app's scheduler starts by itself, unless `autostart` is `false`.
   *
   * @throws RedisAuthError, NotRunningError
   */
  start(): Promise<void>
  /** No new ticks from now on; all else is as before. */
  stop(): void
  /**
   * Stops, takes no new runs, waits for those that go on up to `closeTimeout`, and aborts what is left. Everything else is
   * as before until `close()`: routes, metrics, and `withLock`, which a run may need for its end.
   */
  drain(): Promise<void>
  /** Drains, ends what goes on under `withLock` in the same way, and closes what the scheduler opened. */
  close(): Promise<void>
}
