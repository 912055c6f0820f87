import type { FastifyInstance } from 'fastify'
import type { Scheduler } from '../../types/scheduler.js'
import { OptionInvalidError, RouteTakenError, show } from '../errors.js'

const DEFAULT_ENDPOINT = '/metrics'

/**
 * Serves the scheduler's registry.
 *
 * @param endpoint the path, `false` for none; when undefined and the app serves `/metrics` already, the app's is left alone
 * @throws OptionInvalidError, RouteTakenError
 */
export function serveMetrics(
  app: FastifyInstance,
  scheduler: Scheduler<FastifyInstance>,
  endpoint: string | false | undefined
): void {
  const { register } = scheduler
  if (
    endpoint !== undefined &&
    endpoint !== false &&
    (typeof endpoint !== 'string' || !/^\/[^\s?#]*$/.test(endpoint))
  ) {
    throw new OptionInvalidError('metrics.endpoint', 'a path such as /metrics, or false', show(endpoint))
  }
  if (register === null || endpoint === false) return
  const url = endpoint ?? DEFAULT_ENDPOINT
  if (app.hasRoute({ method: 'GET', url })) {
    if (endpoint !== undefined) throw new RouteTakenError(url)
    app.log.info(
      { url },
      "the app serves its metrics itself: give `metrics.register` the app's registry to have the jobs' there too"
    )
    return
  }
  app.get(url, { logLevel: 'warn' }, async (_request, reply) => {
    reply.type(register.contentType)
    return await register.metrics()
  })
}
