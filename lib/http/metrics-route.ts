import type { FastifyInstance, FastifySchema } from 'fastify'
import type { Scheduler } from '../../types/scheduler.js'
import { show } from '../base/show.js'
import { OptionInvalidError, RouteTakenError } from '../errors.js'

const DEFAULT_ENDPOINT = '/metrics'

/**
 * Where to serve the metrics, below the app's prefix, or `null` for nowhere: when the app does not want it, or serves `/metrics` itself.
 *
 * @param endpoint the option as it was given
 * @param enabled whether there are metrics at all
 * @param isRegisterGiven whether the app has given a registry, which it is then likely to serve
 * @throws OptionInvalidError; RouteTakenError when the path was asked for and is taken
 */
export function metricsUrl(
  app: FastifyInstance,
  endpoint: unknown,
  enabled: boolean,
  isRegisterGiven: boolean
): string | null {
  if (endpoint === false || !enabled) return null
  if (endpoint !== undefined && (typeof endpoint !== 'string' || !/^\/[^\s?#]*$/.test(endpoint))) {
    throw new OptionInvalidError('metrics.endpoint', 'a path such as /metrics, or false', show(endpoint))
  }
  const path = endpoint ?? DEFAULT_ENDPOINT
  const url = `${app.prefix}${path}`
  if (!app.hasRoute({ method: 'GET', url })) return path
  if (endpoint !== undefined) throw new RouteTakenError(url)
  if (!isRegisterGiven) {
    const hint = "`metrics.register` adds the jobs' to a registry of the app's"
    app.log.info({ url }, `the app serves its metrics itself: ${hint}`)
  }
  return null
}

/** Serves the registry of a scheduler with metrics, which is asked for it at each scrape and not before. */
export function serveMetrics(app: FastifyInstance, url: string, scheduler: Pick<Scheduler, 'register'>): void {
  // `hide` keeps it out of what @fastify/swagger documents.
  app.get(url, { logLevel: 'warn', schema: { hide: true } as FastifySchema }, async (_request, reply) => {
    const { register } = scheduler
    reply.type(register!.contentType)
    return await register!.metrics()
  })
}
