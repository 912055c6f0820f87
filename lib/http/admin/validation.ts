import type { FastifyInstance } from 'fastify'
import { ownAjvWith } from '../../jobs/own-ajv.js'
import { ownCompilerOf } from '../app-schemas.js'

/** Of ajv. What is not known is refused, not taken away; an error has the value that it is about. */
const OPTIONS = { verbose: true, removeAdditional: false, useDefaults: true, strict: false, addUsedSchema: false }

type Validate = ((data: unknown) => boolean) & { readonly errors?: unknown }

/**
 * Compiles the schemas of requests when the first such request comes, so that no app waits for them at its start. By Fastify's own
 * ajv, whatever the app compiles the schemas of its routes by: that may take others.
 */
export function compileLater(app: FastifyInstance): Parameters<FastifyInstance['setValidatorCompiler']>[0] {
  // Before it is asked for another one.
  const compilerWith = ownCompilerOf(app)
  return (route) => {
    let validate: Validate | null = null
    return (data: unknown) => {
      // In a query all is text, and one of several may stand alone; a body is taken as it is.
      const options = { ...OPTIONS, coerceTypes: route.httpPart === 'querystring' ? 'array' : false }
      validate ??= (
        compilerWith === null ? ownAjvWith(options)(route.schema as never) : compilerWith(options)(route)
      ) as Validate
      return validate(data) || { error: validate.errors as never }
    }
  }
}
