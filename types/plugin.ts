// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AdminOptions } from './admin.js'
import type { JobData } from './job-types.js'
import type { QueuedRun, Run } from './run.js'
import type { Scheduler } from './scheduler.js'
import type { MetricsOptions, SchedulerOptions } from './scheduler-options.js'

export interface PluginMetricsOptions extends MetricsOptions {
  /**
   * The path of the route that serves the registry; `false` for none. If it is omitted and the app already has a
   * `GET /metrics`, no route is added.
   *
   * @default '/metrics'
   */
  readonly endpoint?: string | false
}

export interface PluginHealthOptions {
  /**
   * The path of a route that answers with `health()`: 200 while this replica is ready, 503 once its end has begun, as for a
   * readiness probe. It asks nobody.
   *
   * @default false
   */
  readonly endpoint?: string | false
  /**
   * Whether it answers with 503 also while this replica is degraded. Then all replicas are taken out of service where the Redis that
   * they share is down, though only jobs need it.
   *
   * @default false
   */
  readonly failIfDegraded?: boolean
}

/** The plugin's options. The logger and the handlers' `app` are Fastify's. */
export interface PluginOptions extends Omit<SchedulerOptions<FastifyInstance>, 'app' | 'logger' | 'metrics'> {
  readonly metrics?: PluginMetricsOptions | false
  /**
   * A route that says whether this replica is ready; none by default.
   *
   * @default {}
   */
  readonly health?: PluginHealthOptions
  /**
   * Whether ticks begin by themselves once the app is ready. `false` is for processes without ticks: web-only replicas,
   * tests, migrations. They begin with `app.jobs.start()`; everything else works without it.
   *
   * @default true
   */
  readonly autostart?: boolean
  /**
   * Serves a dashboard of the whole fleet's jobs, and the API that it stands on; `false` for none.
   *
   * @default false
   */
  readonly admin?: AdminOptions | false
}

/** A route handler. Its parameters are what requests and replies of HTTP, HTTPS and HTTP/2 servers have in common. */
export type JobRouteHandler<Body = RunBody> = (
  request: { readonly method: string },
  reply: { code(statusCode: number): unknown; send(): unknown }
) => Promise<Body>

export interface TriggerRouteOptions<Request = FastifyRequest, Data = unknown> {
  /** Returns the handler's `data`, or a promise of it; by default it is the job's own `data`. */
  readonly data?: (request: Request) => Data | PromiseLike<Data>
  /**
   * Whether to answer with the ended run, 200 for a success, else 500, 503 or 504, instead of 202 and the started run.
   *
   * @default false
   */
  readonly wait?: boolean
  /** Returns the run's concurrency key, or a promise of it: runs with one key never overlap. */
  readonly concurrencyKey?: (request: Request) => string | PromiseLike<string>
  /**
   * What to do when no run can begin: `skip` answers 409, `wait` keeps the request in the store, and answers 202 with what
   * waits; 503 when 1,000 wait already.
   *
   * @default 'skip'
   */
  readonly overlap?: 'skip' | 'wait'
}

/** A route's `config.triggerJob`: the id of a job, or an object. */
export type TriggerJobConfig =
  | string
  | {
      readonly id: string
      /** Returns the handler's `data`, or a promise of it; by default it is the job's own `data`. */
      // biome-ignore lint/suspicious/noExplicitAny: a route's request has types of its own
      readonly data?: (request: any) => unknown
      /**
       * Whether the run waits in the store when the job is under way. It does so before the answer is sent, which becomes an
       * error where it cannot be kept; so that no death of this process loses it afterwards. `skip`: it is dropped, which the
       * log tells.
       *
       * @default 'wait'; 'skip' with several Redis masters, and for a job with `lock: false`
       */
      readonly overlap?: 'skip' | 'wait'
    }

/** What waits for others in a route's response. */
export interface QueuedRunBody extends Pick<QueuedRun, 'id' | 'jobId' | 'trigger' | 'startedAt' | 'outcome'> {
  readonly scheduledTime: string
}

/** A run in a route's response; times are in ISO 8601. */
export interface RunBody
  extends Pick<Run, 'id' | 'jobId' | 'attempt' | 'trigger' | 'replicaId' | 'fencingToken' | 'outcome'> {
  readonly scheduledTime: string
  readonly startedAt: string
  readonly finishedAt: string | null
  /** What the handler returned, once the run has succeeded. */
  readonly result?: unknown
  /** Why the run failed, or why its result cannot be sent. */
  readonly message?: string
}

/** The scheduler that the plugin decorates the app with, as `app.jobs`. */
export interface FastifyScheduler extends Scheduler<FastifyInstance> {
  /**
   * Returns a route handler that runs a job. It answers 202 and the run, 409 if another run of the job holds its lock,
   * 400 if the job's schema refuses the data, or 503 if Redis does not answer. The job must exist when the app is ready.
   * `HEAD`, `OPTIONS` and `TRACE` run nothing.
   */
  route<Request = FastifyRequest, Id extends string = string>(
    id: Id,
    options?: TriggerRouteOptions<Request, JobData<Id>> & { readonly overlap?: 'skip' }
  ): JobRouteHandler
  /** The same for a run that may wait for others: it answers 202 and what waits, or 503 if 1,000 wait already. */
  route<Request = FastifyRequest, Id extends string = string>(
    id: Id,
    options: TriggerRouteOptions<Request, JobData<Id>>
  ): JobRouteHandler<RunBody | QueuedRunBody>
}
