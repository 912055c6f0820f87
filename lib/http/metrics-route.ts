import type { FastifyInstance, FastifySchema } from 'fastify'
import type { Scheduler } from '../../types/scheduler.js'
import { RouteTakenError } from '../errors.js'
import { checkPath } from './route-path.js'

const DEFAULT_ENDPOINT = '/metrics'

/**
 * The path of the metrics' route below the app's prefix; `null` when the app wants none or serves `/metrics` itself.
 *
 * @param endpoint the option as the user gave it
 * @param enabled whether there are metrics at all
 * @param isRegisterGiven whether the app has given its own registry, which it is then likely to serve itself
 * @throws OptionInvalidError; RouteTakenError when the given path is taken
 */
export function metricsUrl(
  app: FastifyInstance,
  endpoint: unknown,
  enabled: boolean,
  isRegisterGiven: boolean
): string | null {
  if (endpoint === false || !enabled) return null
  if (endpoint !== undefined) checkPath(endpoint, 'metrics.endpoint', DEFAULT_ENDPOINT)
  const path = endpoint ?? DEFAULT_ENDPOINT
  const url = `${app.prefix}${path}`
  if (!app.hasRoute({ method: 'GET', url })) return path
  if (endpoint !== undefined) throw new RouteTakenError(url, 'metrics.endpoint')
  if (!isRegisterGiven) {
    const hint = "`metrics.register` adds the jobs' to a registry of the app's"
    app.log.info({ url }, `the app serves its metrics itself: ${hint}`)
  }
  return null
}

/** Serves the registry of a scheduler that has metrics; it is read from the scheduler at each scrape, not before. */
export function serveMetrics(app: FastifyInstance, url: string, scheduler: Pick<Scheduler, 'register'>): void {
  // `hide` keeps the route out of @fastify/swagger's documentation.
  app.get(url, { logLevel: 'warn', schema: { hide: true } as FastifySchema }, async (_request, reply) => {
    const { register } = scheduler
    reply.type(register!.contentType)
    return await register!.metrics()
  })
}
