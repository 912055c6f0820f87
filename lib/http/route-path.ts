import type { FastifyInstance } from 'fastify'
import { show } from '../base/show.js'
import { OptionInvalidError, RouteTakenError } from '../errors.js'

/** Refuses what is no path of a route. @throws OptionInvalidError */
export function checkPath(value: unknown, name: string, example: string): asserts value is string {
  if (typeof value === 'string' && /^\/[^\s?#]*$/.test(value)) return
  throw new OptionInvalidError(name, `a path such as ${example}, or false`, show(value))
}

/** Refuses a path where the app has a route already, below its prefix. @throws RouteTakenError */
export function checkFree(app: FastifyInstance, path: string, name: string): void {
  const url = `${app.prefix}${path}`
  if (app.hasRoute({ method: 'GET', url })) throw new RouteTakenError(url, name)
}
