import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RunBody, TriggerRouteOptions } from '../../types/plugin.js'
import type { Run } from '../../types/run.js'
import type { Scheduler, TriggerOptions } from '../../types/scheduler.js'
import { copyKnown } from '../check.js'
import { JobLockedError, JobUnknownError, OptionInvalidError } from '../errors.js'
import { logSafely } from '../observability/log.js'
import { show } from '../show.js'

/** The app's routes that run jobs: those with `config.triggerJob`, and those whose handler is `route(id)`. */
export class TriggerRoutes {
  readonly #scheduler: Scheduler<FastifyInstance>
  /** Which job each such route names, for the check when the app is ready. */
  readonly #named: { readonly id: unknown; readonly where: string }[] = []

  /** Jobs that routes name and that have existed: one that is removed later does not take its routes with it. */
  readonly #known = new Set<unknown>()

  constructor(app: FastifyInstance, scheduler: Scheduler<FastifyInstance>) {
    this.#scheduler = scheduler
    app.addHook('onRoute', ({ method, url, config }) => {
      if (config?.triggerJob === undefined) return
      this.#named.push({ id: config.triggerJob, where: `, which the route ${method} ${url} names` })
    })
    app.addHook('onRequest', async (request) => this.#checkLate(request))
    app.addHook('onResponse', async (request, reply) => {
      // Fastify answers HEAD by the route of GET; asking for the headers is not asking for the job.
      if (request.method === 'HEAD') return
      const id = request.routeOptions.config.triggerJob
      if (id !== undefined && reply.statusCode >= 200 && reply.statusCode < 300) await this.#triggerAfter(id, request)
    })
  }

  /** @throws JobUnknownError when a route names a job that does not exist */
  check(): void {
    for (const { id, where } of this.#named) {
      if (typeof id !== 'string' || this.#scheduler.get(id) === undefined) throw new JobUnknownError(show(id), where)
      this.#known.add(id)
    }
  }

  /**
   * Fastify shows a plugin no route that was declared before it, so such a route could not be checked when the app was
   * ready. If it names a job that has never been, its first request is refused, before anything is done.
   */
  #checkLate(request: FastifyRequest): void {
    const { config, method, url } = request.routeOptions
    const id: unknown = config.triggerJob
    if (id === undefined || this.#known.has(id)) return
    if (typeof id !== 'string' || this.#scheduler.get(id) === undefined) {
      const error = new JobUnknownError(show(id), `, which the route ${method} ${url} names`)
      // Not the client's mistake.
      throw Object.assign(error, { statusCode: 500 })
    }
    this.#known.add(id)
  }

  /** The handler of a route that runs a job. */
  route(
    id: string,
    options: TriggerRouteOptions = {}
  ): (request: FastifyRequest, reply: FastifyReply) => Promise<RunBody> {
    const { data, wait = false } = copyKnown(options, ['data', 'wait'], "`route`'s options") as TriggerRouteOptions
    if (data !== undefined && typeof data !== 'function') throw new OptionInvalidError('data', 'a function', show(data))
    if (typeof wait !== 'boolean') throw new OptionInvalidError('wait', 'true or false', show(wait))
    this.#named.push({ id, where: ', which `jobs.route` names' })
    return async (request, reply) => {
      const given: TriggerOptions = data === undefined ? { wait } : { wait, data: data(request) }
      const run = await this.#scheduler.trigger(id, given)
      if (run === null) throw new JobLockedError(id)
      reply.code(wait ? 200 : 202)
      return toBody(run)
    }
  }

  async #triggerAfter(id: string, request: FastifyRequest): Promise<void> {
    try {
      const run = await this.#scheduler.trigger(id)
      if (run === null)
        logSafely(request.log, 'info', { jobId: id }, 'not triggered: another run of the job holds its lock')
    } catch (err) {
      // The reply has been sent: nobody but the log can be told.
      logSafely(request.log, 'error', { err, jobId: id }, 'could not trigger a job after the reply')
    }
  }
}

function toBody(run: Run): RunBody {
  const { id, jobId, attempt, trigger, replicaId, fencingToken, outcome, scheduledTime, startedAt, finishedAt } = run
  return {
    id,
    jobId,
    attempt,
    trigger,
    replicaId,
    fencingToken,
    outcome,
    scheduledTime: toIso(scheduledTime),
    startedAt: toIso(startedAt),
    finishedAt: finishedAt === null ? null : toIso(finishedAt)
  }
}

function toIso(time: number): string {
  return new Date(time).toISOString()
}
