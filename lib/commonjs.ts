import * as errors from './errors.js'
import plugin from './plugin.js'
import { createScheduler } from './scheduler.js'

/** What `require()` gives: the plugin itself, as of Fastify's own plugins, with this package's names. */
export const commonjs: typeof plugin & {
  readonly default: typeof plugin
  readonly fastifyRedlockScheduler: typeof plugin
  readonly createScheduler: typeof createScheduler
  readonly errors: typeof errors
} = Object.assign(plugin, { default: plugin, fastifyRedlockScheduler: plugin, createScheduler, errors })
