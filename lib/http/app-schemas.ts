import { isDeepStrictEqual } from 'node:util'
import { show } from '../base/show.js'
import { SchemaInvalidError } from '../errors.js'
import { ownAjv } from '../jobs/own-ajv.js'
import type { CompilerOf, SchemaCompiler } from '../jobs/schema.js'

/** What is used of Fastify's schema controller, which is internal; each instance has one. */
interface SchemaController {
  readonly isCustomValidatorCompiler: boolean
  getSchemas(): object
  getValidatorCompiler(): ((route: object) => unknown) | undefined
  getValidatorBuilder(): (schemas: object, options: object) => (route: object) => unknown
}

/** What is used of the app's options, which Fastify keeps to itself. */
interface AppOptions {
  readonly ajv: { readonly customOptions: object }
  readonly schemaController?: { readonly compilersFactory?: { readonly buildValidator?: unknown } }
}

/** What is given is neither coerced nor cut down, as Fastify does with what comes by HTTP. */
const AS_GIVEN = { coerceTypes: false, removeAdditional: false }

/**
 * Compiles JSON Schemas as the app does: by the compiler of its `setValidatorCompiler`, as the schema of a body; otherwise by
 * the ajv that is Fastify's own, with the `ajv` options of the app and the schemas of its `addSchema`, but without coercion and
 * without removing anything. ajv itself need not be installed then, and is where Fastify is: also in one file with it.
 *
 * Fastify tells nobody its options and its builder of compilers, so they are read from its internals. Where a version of
 * Fastify has others, an ajv of our own compiles.
 */
export const compilerOfApp: CompilerOf = (app) => (schema) => {
  const controller = internal<SchemaController>(app, 'fastify.schemaController')
  const options = internal<AppOptions>(app, 'fastify.options')
  const build = controller?.getValidatorBuilder?.()
  if (typeof build !== 'function' || options?.ajv === undefined) return ownAjv(schema)
  const route = { schema, method: 'POST', url: '', httpPart: 'body' }
  const own = controller?.isCustomValidatorCompiler ? controller.getValidatorCompiler() : undefined
  // A builder that is an option of the app makes the app's compiler when it is ready, and ours with our settings.
  if (own !== undefined && options.schemaController?.compilersFactory?.buildValidator === undefined) return own(route)
  const { ajv } = options
  const compile = build(controller?.getSchemas() ?? {}, {
    ...ajv,
    customOptions: { useDefaults: true, ...ajv.customOptions, ...AS_GIVEN }
  })
  return refuseOther(schema, compile(route))
}

/** Makes Fastify's own compiler of schemas; `null` where the app, or an instance around it, has another one. */
export function ownCompilerOf(app: unknown): ((options: object) => (route: object) => unknown) | null {
  const controller = internal<SchemaController>(app, 'fastify.schemaController')
  const options = internal<AppOptions>(app, 'fastify.options')
  const build = controller?.getValidatorBuilder?.()
  const isOther = controller?.isCustomValidatorCompiler || options?.schemaController?.compilersFactory?.buildValidator
  if (typeof build !== 'function' || isOther) return null
  return (customOptions) => build({}, { customOptions })
}

/** ajv returns what it has compiled before under the schema's `$id`, whatever that was. */
function refuseOther(schema: Parameters<SchemaCompiler>[0], validate: unknown): unknown {
  const { schema: compiled } = (validate ?? {}) as { readonly schema?: unknown }
  if (compiled === undefined || compiled === schema || isDeepStrictEqual(compiled, schema)) return validate
  throw new SchemaInvalidError('the app has another schema with its `$id`', show(schema))
}

/** What an app, or an instance that it is encapsulated in, has under a symbol of Fastify's. */
function internal<Value>(app: unknown, name: string): Value | undefined {
  for (
    let instance = app;
    typeof instance === 'object' && instance !== null;
    instance = Object.getPrototypeOf(instance)
  ) {
    const key = Object.getOwnPropertySymbols(instance).find(({ description }) => description === name)
    if (key !== undefined) return (instance as Record<symbol, unknown>)[key] as Value
  }
  return undefined
}
