import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { JobRouteHandler, TriggerRouteOptions } from '../../types/plugin.js'
import type { Scheduler, TriggerOptions } from '../../types/scheduler.js'
import { copyKnown, isThenable } from '../base/check.js'
import { PEER_TRIGGER_CALL_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { DataInvalidError, JobLockedError, JobUnknownError, OptionInvalidError } from '../errors.js'
import { logSafely } from '../observability/log.js'
import { STATUS_OF, toBody } from './run-body.js'

/** Methods that never trigger a route's job, even if the route accepts them: they only ask about the route. */
const ASKS_NO_JOB: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS', 'TRACE'])

/** The app's routes that trigger jobs: those with `config.triggerJob`, and those whose handler is `route(id)`. */
export class TriggerRoutes {
  readonly #scheduler: Scheduler<FastifyInstance>
  /** The job that each such route names, for the check when the app is ready. */
  readonly #named: { readonly id: unknown; readonly where: string }[] = []

  /** The jobs that routes name and that have existed. If one is removed later, its routes are not refused. */
  readonly #known = new Set<unknown>()

  /** Requests whose job was triggered, as for some both the response's end and the client's disconnect are reported. */
  readonly #done = new WeakSet<FastifyRequest>()

  constructor(app: FastifyInstance, scheduler: Scheduler<FastifyInstance>) {
    this.#scheduler = scheduler
    app.addHook('onRoute', (route) => {
      const { method, url, config } = route
      if (config?.triggerJob === undefined) return
      this.#named.push({ id: config.triggerJob, where: `, which the route ${method} ${url} names` })
      route.handler = this.#watched(route.handler)
    })
    app.addHook('onRequest', async (request) => this.#checkLate(request))
    app.addHook('onSend', (request, reply, payload, done) => {
      // Fastify does not report the end of a response whose client has disconnected, or does so while it is sent.
      if (request.routeOptions.config.triggerJob !== undefined) {
        if (isGone(reply)) this.#triggerAfter(request, reply)
        else reply.raw.once('close', () => this.#triggerAfter(request, reply))
      }
      done(null, payload)
    })
    app.addHook('onResponse', (request, reply, done) => {
      // With HTTP/2 this hook is also called for a client that has disconnected before there is any answer.
      if (reply.raw.headersSent) this.#triggerAfter(request, reply)
      done()
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
   * Refuses requests to a route that names a job which has never existed. Fastify does not show a plugin the routes
   * declared before it, so these could not be checked when the app was ready.
   */
  #checkLate(request: FastifyRequest): void {
    const { config, method, url } = request.routeOptions
    const id: unknown = config.triggerJob
    if (id === undefined || this.#known.has(id)) return
    if (typeof id !== 'string' || this.#scheduler.get(id) === undefined) {
      const error = new JobUnknownError(show(id), `, which the route ${method} ${url} names`)
      // It is not the client's mistake.
      throw Object.assign(error, { statusCode: 500 })
    }
    this.#known.add(id)
  }

  /** Makes the handler of a route that triggers a job. */
  route<Request = FastifyRequest>(id: string, options: TriggerRouteOptions<Request> = {}): JobRouteHandler {
    const known = copyKnown(options, ['data', 'wait'], "`route`'s options", PEER_TRIGGER_CALL_NAMES)
    const { data, wait = false } = known as TriggerRouteOptions<Request>
    if (data !== undefined && typeof data !== 'function') throw new OptionInvalidError('data', 'a function', show(data))
    if (typeof wait !== 'boolean') throw new OptionInvalidError('wait', 'true or false', show(wait))
    this.#named.push({ id, where: ', which `jobs.route` names' })
    return async (request, reply) => {
      reply.code(wait ? STATUS_OF.success : 202)
      if (ASKS_NO_JOB.has(request.method)) return reply.send() as Promise<never>
      const given: TriggerOptions = data === undefined ? { wait } : { wait, data: await data(request as Request) }
      const run = await this.#scheduler.trigger(id, given).catch((error: unknown) => {
        // Without `data` of the request's, it is not the client's mistake.
        if (data === undefined && error instanceof DataInvalidError) error.statusCode = 500
        throw error
      })
      if (run === null) throw new JobLockedError(id)
      if (wait && run.outcome !== null) reply.code(STATUS_OF[run.outcome])
      return toBody(run)
    }
  }

  /**
   * Wraps a route's handler. If the client has disconnected and the handler returns nothing, Fastify sends no answer
   * and calls no hooks, so the job is triggered here.
   */
  #watched(handler: RouteHandlerMethod): RouteHandlerMethod {
    const onReturned = (request: FastifyRequest, reply: FastifyReply, value: unknown): void => {
      if (value === undefined && !reply.sent && isGone(reply)) this.#triggerAfter(request, reply)
    }
    return function (this: FastifyInstance, request, reply) {
      const returned: unknown = handler.call(this, request, reply)
      if (isThenable(returned))
        returned.then(
          (value) => onReturned(request, reply, value),
          () => {}
        )
      return returned
    }
  }

  /** Triggers the job of a route that answered with 2xx. As the response is sent, a failure can only be logged. */
  #triggerAfter(request: FastifyRequest, reply: FastifyReply): void {
    const id = request.routeOptions.config.triggerJob
    if (id === undefined || reply.statusCode < 200 || reply.statusCode > 299) return
    if (ASKS_NO_JOB.has(request.method) || this.#done.has(request)) return
    this.#done.add(request)
    this.#scheduler.trigger(id).then(
      (run) => {
        if (run !== null) return
        logSafely(request.log, 'info', { jobId: id }, 'not triggered: another run of the job holds its lock')
      },
      (err: unknown) => logSafely(request.log, 'error', { err, jobId: id }, 'could not trigger a job after the reply')
    )
  }
}

/** Whether the connection, or the HTTP/2 stream, has ended before the response. */
function isGone({ raw }: FastifyReply): boolean {
  return raw.destroyed || (raw as { stream?: { destroyed?: boolean } }).stream?.destroyed === true
}
