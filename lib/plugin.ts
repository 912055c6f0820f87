// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { AdminOptions } from '../types/admin.js'
import type { FastifyScheduler, PluginMetricsOptions, PluginOptions, TriggerJobConfig } from '../types/plugin.js'
import type { SchedulerOptions } from '../types/scheduler-options.js'
import { checkCloseTimeout, followApp } from './app-life.js'
import { copyKnown, isPlainObject } from './base/check.js'
import { PEER_METRICS_NAMES, PEER_PLUGIN_NAMES } from './base/peer-names.js'
import { show } from './base/show.js'
import { Engine } from './engine.js'
import { DecoratorTakenError, OptionInvalidError } from './errors.js'
import { compilerOfApp } from './http/app-schemas.js'
import { healthRoute, serveHealth } from './http/health-route.js'
import { metricsUrl, serveMetrics } from './http/metrics-route.js'
import { TriggerRoutes } from './http/trigger-routes.js'
import { METRICS_KEYS, resolveOptions, SCHEDULER_KEYS } from './options.js'
import { Scheduler } from './scheduler.js'

// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
declare module 'fastify' {
  interface FastifyInstance {
    /** The scheduler of fastify-redlock-scheduler. */
    jobs: FastifyScheduler
  }
  interface FastifyContextConfig {
    /** A job to run after this route has answered with a status of 200 to 299: its id, or `{ id, data, overlap }`. */
    triggerJob?: TriggerJobConfig
  }
}

const DECORATOR = 'jobs'

const PLUGIN_KEYS = [
  ...SCHEDULER_KEYS.filter((key) => key !== 'app' && key !== 'logger'),
  'autostart',
  'admin',
  'health'
] as const

const plugin: FastifyPluginAsync<PluginOptions> = async (app, options) => {
  if (app.hasDecorator(DECORATOR)) throw new DecoratorTakenError(DECORATOR)
  const { endpoint, autostart, admin, health, ...schedulerOptions } = splitOptions(options)
  const url = metricsUrl(app, endpoint, schedulerOptions.metrics !== false, isRegisterGiven(schedulerOptions.metrics))
  const readiness = healthRoute(app, health, url)
  const resolved = resolveOptions({ ...schedulerOptions, app, logger: app.log } as SchedulerOptions)
  // Loaded only where it is asked for.
  const adminRoutes = admin === false ? null : await import('./http/admin/index.js')
  const resolvedAdmin = admin === false ? undefined : adminRoutes?.resolveAdmin(admin, resolved.prefix)
  checkCloseTimeout(app, resolved.closeTimeout, schedulerOptions.closeTimeout)
  const engine = new Engine(resolved, { compilerOf: compilerOfApp })
  const scheduler = new Scheduler<FastifyInstance>(engine, app)
  const routes = new TriggerRoutes(app, scheduler, engine.runsByHand)
  decorate(app, (instance) => {
    return Object.assign(new Scheduler(engine, instance), { route: routes.route.bind(routes) })
  })
  if (resolvedAdmin !== undefined) adminRoutes?.serveAdmin(app, resolvedAdmin, engine, scheduler)
  // From here on any failure, here or in another plugin, closes what was opened.
  followApp(app, { lifecycle: engine.lifecycle, clock: resolved.clock, autostart, check: () => routes.check() })
  if (url !== null) serveMetrics(app, url, scheduler)
  if (readiness !== null) serveHealth(app, readiness, engine.health)
}

/**
 * Gives each instance, including encapsulated children, a scheduler that passes the instance to handlers added on it.
 */
function decorate(app: FastifyInstance, schedulerOf: (instance: FastifyInstance) => FastifyScheduler): void {
  const known = new WeakMap<FastifyInstance, FastifyScheduler>()
  app.decorate(DECORATOR, {
    getter(this: FastifyInstance) {
      const jobs = known.get(this) ?? schedulerOf(this)
      known.set(this, jobs)
      return jobs
    }
  })
}

type SplitOptions = Omit<SchedulerOptions<FastifyInstance>, 'app' | 'logger'> & {
  readonly autostart: boolean
  readonly admin: AdminOptions | false
  readonly health: unknown
  readonly endpoint: string | false | undefined
}

/** Separates the plugin's own options from those of the scheduler, which validates them itself. */
function splitOptions(options: PluginOptions): SplitOptions {
  for (const key of ['app', 'logger']) {
    if (!(key in options)) continue
    throw new OptionInvalidError(key, "left out: it is Fastify's own", show((options as Record<string, unknown>)[key]))
  }
  const {
    metrics,
    autostart = true,
    admin = false,
    health,
    ...others
  } = copyKnown(options, PLUGIN_KEYS, "the scheduler's options", PEER_PLUGIN_NAMES) as PluginOptions
  if (typeof autostart !== 'boolean') throw new OptionInvalidError('autostart', 'true or false', show(autostart))
  const rest = { ...others, autostart, admin, health, endpoint: undefined }
  if (metrics === undefined) return rest
  if (!isPlainObject(metrics)) return { ...rest, metrics }
  const known = copyKnown(metrics, [...METRICS_KEYS, 'endpoint'], '`metrics`', PEER_METRICS_NAMES)
  const { endpoint, ...registry } = known as PluginMetricsOptions
  return { ...rest, metrics: registry, endpoint }
}

function isRegisterGiven(metrics: SplitOptions['metrics']): boolean {
  return isPlainObject(metrics) && metrics.register !== undefined
}

export default fp(plugin, { fastify: '5.x', name: 'fastify-redlock-scheduler' })
