// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Run } from './run.js'
import type { MetricsOptions, Scheduler, SchedulerOptions } from './scheduler.js'

export interface PluginMetricsOptions extends MetricsOptions {
  /**
   * The path the plugin serves the registry on; `false` serves none. When it is not given and the app already has a
   * `GET /metrics`, the app's is left alone.
   *
   * @default '/metrics'
   */
  readonly endpoint?: string | false
}

/** The plugin's options. The logger and the `app` of handlers are Fastify's own. */
export interface PluginOptions extends Omit<SchedulerOptions<FastifyInstance>, 'app' | 'logger' | 'metrics'> {
  readonly metrics?: PluginMetricsOptions | false
  /**
   * Whether ticks begin by themselves once the app is ready. `false` is for processes that are to have none, or not yet:
   * those that only serve requests, tests, migrations. `app.jobs.start()` begins them; all else works without.
   *
   * @default true
   */
  readonly autostart?: boolean
}

/** What a route's handler is called with: what requests and replies of HTTP, HTTPS and HTTP/2 have in common. */
export type JobRouteHandler = (
  request: { readonly method: string },
  reply: { code(statusCode: number): unknown; send(): unknown }
) => Promise<RunBody>

export interface TriggerRouteOptions<Request = FastifyRequest> {
  /** What to hand to the handler as `data`, or a promise of it; the job's own `data` when left out. */
  readonly data?: (request: Request) => unknown
  /**
   * Answer with the ended run instead of 202 with the started one: 200 for a success, else 500, 503 or 504.
   *
   * @default false
   */
  readonly wait?: boolean
}

/** A run as routes show it: times in ISO 8601. */
export interface RunBody
  extends Pick<Run, 'id' | 'jobId' | 'attempt' | 'trigger' | 'replicaId' | 'fencingToken' | 'outcome'> {
  readonly scheduledTime: string
  readonly startedAt: string
  readonly finishedAt: string | null
  /** What the handler returned, once the run has succeeded. */
  readonly result?: unknown
  /** Why the run was no success, or why its result cannot be sent. */
  readonly message?: string
}

/** What the plugin decorates the app with. */
export interface FastifyScheduler extends Scheduler<FastifyInstance> {
  /**
   * A route handler that runs a job: 202 and the run, 409 when another run of the job holds its lock, 503 when Redis
   * does not answer. The job must exist when the app is ready. `HEAD`, `OPTIONS` and `TRACE` run nothing.
   */
  route<Request = FastifyRequest>(id: string, options?: TriggerRouteOptions<Request>): JobRouteHandler
}
