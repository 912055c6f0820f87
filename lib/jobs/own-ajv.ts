import { AjvMissingError } from '../errors.js'
import type { SchemaCompiler } from './schema.js'

/** What is used of ajv, an optional peer. */
interface AjvInstance {
  compile(schema: object): unknown
}

interface AjvModules {
  readonly Ajv: new (options: object) => AjvInstance
  /** Adds the formats, such as `date-time`, to an instance; `null` where ajv-formats is not installed. */
  readonly addFormats: ((ajv: AjvInstance) => unknown) | null
}

/** `require`, by a name that the build replaces: so a bundler sees the calls below, and puts the packages into its file. */
declare const REQUIRE_FOR_BUNDLERS: (name: string) => unknown

/**
 * As Fastify's: of several errors the first. But what is given is neither coerced nor cut down; what is missing is
 * completed by `default`.
 */
const OPTIONS = { coerceTypes: false, removeAdditional: false, useDefaults: true, addUsedSchema: false, logger: false }

let modules: AjvModules | null = null

/**
 * Compiles JSON Schemas by an ajv that has no Fastify to take its settings from. ajv is loaded when it is first used.
 *
 * @throws AjvMissingError when it is not installed; what ajv throws for a schema
 */
export const ownAjv: SchemaCompiler = (schema) => ownAjvWith({})(schema)

/** As `ownAjv`, with other options of ajv. */
export function ownAjvWith(options: object): SchemaCompiler {
  return (schema) => {
    modules ??= load()
    const ajv = new modules.Ajv({ ...OPTIONS, ...options })
    modules.addFormats?.(ajv)
    return ajv.compile(schema)
  }
}

function load(): AjvModules {
  const { Ajv, addFormats } = inFile() ?? installed()
  return { Ajv: ofDefault(Ajv) as AjvModules['Ajv'], addFormats: ofDefault(addFormats) as AjvModules['addFormats'] }
}

type Loaded = Readonly<Record<keyof AjvModules, unknown>>

/** From the one file that a bundler has made of a program. */
function inFile(): Loaded | null {
  try {
    const Ajv = REQUIRE_FOR_BUNDLERS('ajv')
    let addFormats: unknown = null
    try {
      addFormats = REQUIRE_FOR_BUNDLERS('ajv-formats')
    } catch {}
    return { Ajv, addFormats }
  } catch {
    return null
  }
}

function installed(): Loaded {
  try {
    // Not imported by its name, which the banner that bundles need declares.
    const { createRequire } = process.getBuiltinModule('node:module')
    const require = createRequire(import.meta.url)
    const Ajv: unknown = require('ajv')
    let addFormats: unknown = null
    try {
      addFormats = require('ajv-formats')
    } catch {}
    return { Ajv, addFormats }
  } catch (error) {
    throw new AjvMissingError((error as Error).message.split('\n')[0] as string)
  }
}

/** What a module in CommonJS exports as `default`. */
function ofDefault(loaded: unknown): unknown {
  return (loaded as { readonly default?: unknown } | null)?.default ?? loaded
}
