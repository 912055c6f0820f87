import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { JobRouteHandler, TriggerJobConfig, TriggerRouteOptions } from '../../types/plugin.js'
import type { Scheduler } from '../../types/scheduler.js'
import type { TriggerOptions } from '../../types/trigger-options.js'
import { copyKnown, isPlainObject, isThenable, oneOf } from '../base/check.js'
import { PEER_TRIGGER_CALL_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { MANUAL_OVERLAPS, type RunsByHand } from '../engine/runs-by-hand.js'
import { DataInvalidError, JobIdInvalidError, JobLockedError, JobUnknownError, OptionInvalidError } from '../errors.js'
import { logSafely } from '../observability/log.js'
import { STATUS_OF, toBody, toQueuedBody } from './run-body.js'

/** Methods that never trigger a route's job, even if the route accepts them: they only ask about the route. */
const ASKS_NO_JOB: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS', 'TRACE'])

const ROUTE_KEYS = ['data', 'wait', 'concurrencyKey', 'overlap'] as const satisfies (keyof TriggerRouteOptions)[]

const CONFIG_KEYS = ['id', 'data', 'overlap'] as const

/** The app's routes that trigger jobs: those with `config.triggerJob`, and those whose handler is `route(id)`. */
export class TriggerRoutes {
  readonly #scheduler: Scheduler<FastifyInstance>
  readonly #runsByHand: RunsByHand
  /** The job that each such route names, for the check when the app is ready. */
  readonly #named: { readonly id: unknown; readonly where: string }[] = []

  /** The jobs that routes name and that have existed. If one is removed later, its routes are not refused. */
  readonly #known = new Set<unknown>()

  /** Requests whose job was triggered, as for some both the response's end and the client's disconnect are reported. */
  readonly #done = new WeakSet<FastifyRequest>()

  constructor(app: FastifyInstance, scheduler: Scheduler<FastifyInstance>, runsByHand: RunsByHand) {
    this.#scheduler = scheduler
    this.#runsByHand = runsByHand
    app.addHook('onRoute', (route) => {
      const { method, url, config } = route
      if (config?.triggerJob === undefined) return
      const { id } = readConfig(config.triggerJob)
      this.#named.push({ id, where: `, which the route ${method} ${url} names` })
      route.handler = this.#watched(route.handler)
    })
    app.addHook('onRequest', async (request) => this.#checkLate(request))
    app.addHook('onSend', (request, reply, payload, done) => {
      const config = configOf(request)
      if (config === null) {
        done(null, payload)
      } else if (this.#isDue(request, reply) && this.#waits(config)) {
        // Before the answer: once the client has it, no death of this process loses the run.
        this.#keep(config, request, reply).then(() => done(null, payload), done)
      } else {
        // Fastify does not report the end of a response whose client has disconnected, or does so while it is sent.
        if (isGone(reply)) this.#triggerAfter(request, reply)
        else reply.raw.once('close', () => this.#triggerAfter(request, reply))
        done(null, payload)
      }
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
    if (config.triggerJob === undefined) return
    const { id } = readConfig(config.triggerJob)
    if (this.#known.has(id)) return
    if (typeof id !== 'string' || this.#scheduler.get(id) === undefined) {
      const error = new JobUnknownError(show(id), `, which the route ${method} ${url} names`)
      // It is not the client's mistake.
      throw Object.assign(error, { statusCode: 500 })
    }
    this.#known.add(id)
  }

  /** Makes the handler of a route that triggers a job. */
  route<Request = FastifyRequest>(id: string, options: TriggerRouteOptions<Request> = {}): JobRouteHandler<never> {
    const known = copyKnown(options, ROUTE_KEYS, "`route`'s options", PEER_TRIGGER_CALL_NAMES)
    const { data, wait = false, concurrencyKey } = known as TriggerRouteOptions<Request>
    const overlap = oneOf((known as TriggerRouteOptions).overlap, 'overlap', MANUAL_OVERLAPS, 'skip')
    checkFunction(data, 'data')
    checkFunction(concurrencyKey, 'concurrencyKey')
    if (typeof wait !== 'boolean') throw new OptionInvalidError('wait', 'true or false', show(wait))
    this.#named.push({ id, where: ', which `jobs.route` names' })
    return async (request, reply) => {
      reply.code(wait ? STATUS_OF.success : 202)
      if (ASKS_NO_JOB.has(request.method)) return reply.send() as Promise<never>
      const given: TriggerOptions = {
        wait,
        overlap,
        ...(data === undefined ? {} : { data: await data(request as Request) }),
        ...(concurrencyKey === undefined ? {} : { concurrencyKey: await concurrencyKey(request as Request) })
      }
      const run = await this.#runsByHand.trigger(id, given).catch((error: unknown) => {
        // The request makes the key, so that a wrong one is the client's mistake.
        if (error instanceof JobIdInvalidError) error.statusCode = 400
        throw data === undefined ? notOfClient(error) : error
      })
      if (run === null) throw new JobLockedError(id)
      if (run.startedAt === null) return toQueuedBody(run) as never
      if (wait && run.outcome !== null) reply.code(STATUS_OF[run.outcome])
      return toBody(run) as never
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

  /** Whether a request's answer triggers its job, which has not been triggered yet. */
  #isDue(request: FastifyRequest, reply: FastifyReply): boolean {
    if (reply.statusCode < 200 || reply.statusCode > 299) return false
    return !ASKS_NO_JOB.has(request.method) && !this.#done.has(request)
  }

  #waits({ id, overlap }: TriggerConfig): boolean {
    return (overlap ?? this.#runsByHand.defaultOverlap(id)) === 'wait'
  }

  /** Keeps a request's run in the store, to begin once the response is sent. */
  async #keep(config: TriggerConfig, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    this.#done.add(request)
    const { id, data } = config
    const begin = await this.#runsByHand.keep(id, await dataOf(config, request)).catch((error: unknown) => {
      throw data === undefined ? notOfClient(error) : error
    })
    if (isGone(reply)) {
      begin()
    } else {
      reply.raw.once('finish', begin)
      reply.raw.once('close', begin)
    }
  }

  /** Triggers the job of a route that answered with 2xx. As the response is sent, a failure can only be logged. */
  #triggerAfter(request: FastifyRequest, reply: FastifyReply): void {
    const config = configOf(request)
    if (config === null || !this.#isDue(request, reply)) return
    const { id } = config
    const trigger = async (): Promise<void> => {
      if (this.#waits(config)) {
        await this.#keep(config, request, reply)
        return
      }
      this.#done.add(request)
      const run = await this.#runsByHand.trigger(id, await dataOf(config, request))
      if (run !== null) return
      logSafely(request.log, 'info', { jobId: id }, 'not triggered: another run of the job holds its lock')
    }
    trigger().catch((err: unknown) => {
      logSafely(request.log, 'error', { err, jobId: id }, 'could not trigger a job after the reply')
    })
  }
}

/** A route's `config.triggerJob` as an object. */
type TriggerConfig = TriggerJobConfig & object

/** The `config.triggerJob` of a request's route; `null` for none. */
function configOf(request: FastifyRequest): TriggerConfig | null {
  const { triggerJob } = request.routeOptions.config
  return triggerJob === undefined ? null : readConfig(triggerJob)
}

/** @throws OptionInvalidError, OptionUnknownError */
function readConfig(config: unknown): TriggerConfig {
  // What is no object is an id, or no job has it: who looks for it says so.
  if (!isPlainObject(config)) return { id: config as string }
  const read = copyKnown(config, CONFIG_KEYS, '`config.triggerJob`', PEER_TRIGGER_CALL_NAMES) as TriggerConfig
  checkFunction(read.data, 'config.triggerJob.data')
  oneOf(read.overlap, 'overlap', MANUAL_OVERLAPS, 'wait')
  return read
}

async function dataOf({ data }: TriggerConfig, request: FastifyRequest): Promise<TriggerOptions> {
  return data === undefined ? {} : { data: await data(request) }
}

/** Without `data` of the request's, data that a schema refuses is not the client's mistake. */
function notOfClient(error: unknown): unknown {
  if (error instanceof DataInvalidError) error.statusCode = 500
  return error
}

function checkFunction(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== 'function') throw new OptionInvalidError(name, 'a function', show(value))
}

/** Whether the connection, or the HTTP/2 stream, has ended before the response. */
function isGone({ raw }: FastifyReply): boolean {
  return raw.destroyed || (raw as { stream?: { destroyed?: boolean } }).stream?.destroyed === true
}
