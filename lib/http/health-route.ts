import type { FastifyInstance, FastifySchema } from 'fastify'
import type { PluginHealthOptions } from '../../types/plugin.js'
import type { Health } from '../../types/status.js'
import { copyKnown } from '../base/check.js'
import { PEER_HEALTH_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { OptionInvalidError, RouteTakenError } from '../errors.js'
import { checkFree, checkPath } from './route-path.js'

const HEALTH_KEYS = ['endpoint', 'failIfDegraded'] as const satisfies (keyof PluginHealthOptions)[]

/** A route that says whether this replica is ready. */
export interface HealthRoute {
  /** Below the app's prefix. */
  readonly path: string
  /** The states that are answered with 503. */
  readonly unready: ReadonlySet<Health['status']>
}

/**
 * What the option `health` asks for; `null` for no route.
 *
 * @param metricsPath the path of the metrics' route, which is still to be added; `null` for none
 * @throws OptionInvalidError, OptionUnknownError; RouteTakenError when the path is taken
 */
export function healthRoute(app: FastifyInstance, health: unknown, metricsPath: string | null): HealthRoute | null {
  const given = copyKnown(health === undefined ? {} : health, HEALTH_KEYS, '`health`', PEER_HEALTH_NAMES)
  const { endpoint: path = false, failIfDegraded = false } = given as { endpoint?: unknown; failIfDegraded?: unknown }
  if (typeof failIfDegraded !== 'boolean') {
    throw new OptionInvalidError('health.failIfDegraded', 'true or false', show(failIfDegraded))
  }
  if (path === false) return null
  checkPath(path, 'health.endpoint', '/ready')
  checkFree(app, path, 'health.endpoint')
  if (path === metricsPath) throw new RouteTakenError(`${app.prefix}${path}`, 'health.endpoint')
  return { path, unready: new Set(failIfDegraded ? ['closing', 'degraded'] : ['closing']) }
}

/** Serves how this replica is: 200 while it is ready, else 503. It asks nobody, so that it answers at once in an outage, too. */
export function serveHealth(app: FastifyInstance, { path, unready }: HealthRoute, health: () => Health): void {
  // `hide` keeps the route out of @fastify/swagger's documentation. Load balancers ask by HEAD.
  const schema = { hide: true } as FastifySchema
  app.get(path, { logLevel: 'warn', exposeHeadRoute: true, schema }, async (_request, reply) => {
    const state = health()
    reply.code(unready.has(state.status) ? 503 : 200).header('cache-control', 'no-store')
    return state
  })
}
