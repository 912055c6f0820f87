import type { Clock } from './clock.js'
import type { CoordinationFactory } from './coordination.js'
import type { Duration } from './duration.js'
import type { HistoryOptions } from './history.js'
import type { JobDefaults, JobOptions, SchemaJobOptions } from './job-options.js'
import type { Logger } from './logger.js'
import type { RedisInput } from './redis.js'

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
