import type { FastifyInstance } from 'fastify'

/**
 * Of ajv. In a query all is text, and one of several may stand alone; a body is taken as it is. What is not known is refused, not
 * taken away.
 */
const OPTIONS = { removeAdditional: false, useDefaults: true, allErrors: false, strict: false, addUsedSchema: false }

type Validate = ((data: unknown) => boolean) & { errors?: unknown }
type Compile = (customOptions: object) => (route: object) => Validate

let compileBy: Compile | null = null

/** To be awaited before the first request is checked: it loads what compiles schemas. */
export async function loadCompiler(): Promise<void> {
  if (compileBy !== null) return
  const { default: AjvCompiler } = await import('@fastify/ajv-compiler')
  const create = AjvCompiler()
  compileBy = (customOptions) => create({}, { customOptions }) as unknown as ReturnType<Compile>
}

/**
 * Compiles the schemas of requests when the first such request comes, so that no app waits for them at its start. By a compiler of
 * its own: that of the app's routes may take other schemas.
 */
export const compileLater: Parameters<FastifyInstance['setValidatorCompiler']>[0] = (route) => {
  let validate: Validate | null = null
  return (data: unknown) => {
    const coerceTypes = route.httpPart === 'querystring' ? 'array' : false
    validate ??= (compileBy as Compile)({ ...OPTIONS, coerceTypes })(route)
    return validate(data) || { error: validate.errors as never }
  }
}
