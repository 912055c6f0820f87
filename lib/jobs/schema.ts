import { isPlainObject, isThenable } from '../base/check.js'
import { copyPlain } from '../base/copy-plain.js'
import { copyJson } from '../base/json.js'
import { show } from '../base/show.js'
import {
  DataInvalidError,
  isSchedulerError,
  OptionInvalidError,
  SchemaAsyncError,
  SchemaFailedError,
  SchemaInvalidError
} from '../errors.js'

/** A job's `schema`: what its data has to be. */
export interface DataSchema {
  /** A JSON Schema as it was given; `null` for a Standard Schema, which is code and cannot be compared. */
  readonly json: Readonly<Record<string, unknown>> | null
  /**
   * Makes what a handler gets of what was given, which it leaves as it is.
   *
   * @throws DataInvalidError, DataNotJsonError, SchemaAsyncError, SchemaFailedError
   */
  parse(data: unknown): unknown
}

/**
 * Compiles a JSON Schema, into a function as Fastify's validator compilers make it: it returns `false` and has `errors`,
 * or returns `{ error }`; otherwise its argument is valid, and may have been completed, or is replaced by `{ value }`.
 */
export type SchemaCompiler = (schema: Readonly<Record<string, unknown>>) => unknown

/** Finds the compiler for the jobs of an `app`. */
export type CompilerOf = (app: unknown) => SchemaCompiler

/** How many issues, and how much of each, an error tells. */
const MAX_ISSUES = 5
const MAX_ISSUE = 200

/**
 * Resolves the `schema` of a job's options.
 *
 * @throws OptionInvalidError, SchemaInvalidError, SchemaAsyncError, AjvMissingError
 */
export function resolveSchema(schema: unknown, compile: SchemaCompiler): DataSchema {
  const standard = readStandard(schema)
  if (standard !== undefined) return ofStandard(standard, schema)
  if (isPlainObject(schema)) return ofJson(schema, compile)
  throw new OptionInvalidError('schema', 'a Standard Schema or a JSON Schema, which is an object', show(schema))
}

/** The `~standard` of a schema, which may be a function or an instance of a class; `undefined` when it has none. */
function readStandard(schema: unknown): unknown {
  if ((typeof schema !== 'object' || schema === null) && typeof schema !== 'function') return undefined
  try {
    return (schema as { '~standard'?: unknown })['~standard']
  } catch {
    throw new OptionInvalidError('schema', 'an object that can be read', show(schema))
  }
}

function ofStandard(standard: unknown, schema: unknown): DataSchema {
  const validate = readValidate(standard)
  if (validate === null) {
    throw new OptionInvalidError('schema', 'a Standard Schema of version 1, with `validate`', show(schema))
  }
  return Object.freeze({
    json: null,
    // Of a copy, as a schema may change what it is given, or hand parts of it on to a handler that does.
    parse: (data: unknown) => {
      const copy = copyPlain(data)
      return answer(data, () => outputOf(validate(copy), data))
    }
  })
}

function readValidate(standard: unknown): ((data: unknown) => unknown) | null {
  try {
    const { version, validate } = standard as { readonly version: unknown; readonly validate: unknown }
    if (version !== 1 || typeof validate !== 'function') return null
    return (data) => Reflect.apply(validate, standard, [data])
  } catch {
    return null
  }
}

function outputOf(result: unknown, data: unknown): unknown {
  refuseAsync(result)
  if (typeof result !== 'object' || result === null) throw failed(`answered ${show(result)}`, data)
  const { issues } = result as { readonly issues?: unknown }
  if (issues !== undefined && issues !== null) {
    if (!Array.isArray(issues)) throw failed(`answered ${show(result)}`, data)
    throw new DataInvalidError(listed(issues.slice(0, MAX_ISSUES).map(standardIssue)), show(data))
  }
  if (!('value' in result)) throw failed(`answered ${show(result)}`, data)
  return result.value
}

function ofJson(schema: Record<string, unknown>, compile: SchemaCompiler): DataSchema {
  const json = copySchema(schema)
  const validate = compiled(schema, compile)
  return Object.freeze({
    json,
    // The copy is completed with defaults, and never what was given.
    parse: (data: unknown) => {
      const copy = data === undefined ? undefined : copyJson(data).value
      return answer(data, () => validOutput(validate, copy, data))
    }
  })
}

/** The schema as a value that is written down with the job's definition. */
function copySchema(schema: Record<string, unknown>): Readonly<Record<string, unknown>> {
  try {
    return Object.freeze(JSON.parse(JSON.stringify(schema)) as Record<string, unknown>)
  } catch (error) {
    throw new SchemaInvalidError(messageOf(error), show(schema))
  }
}

/** A compiled JSON Schema. */
type Validate = ((data: unknown) => unknown) & { readonly errors?: unknown; readonly $async?: unknown }

function compiled(schema: Record<string, unknown>, compile: SchemaCompiler): Validate {
  let validate: unknown
  try {
    validate = compile(schema)
  } catch (error) {
    if (isSchedulerError(error)) throw error
    throw new SchemaInvalidError(messageOf(error), show(schema))
  }
  if (isThenable(validate) || (validate as Partial<Validate> | null)?.$async === true) {
    refuseAsync(validate)
    throw new SchemaAsyncError(show(schema))
  }
  if (typeof validate === 'function') return validate as Validate
  throw new SchemaInvalidError(`the validator compiler made ${show(validate)} of it`, show(schema))
}

function validOutput(validate: Validate, copy: unknown, data: unknown): unknown {
  const result = validate(copy)
  refuseAsync(result)
  if (result === false) throw new DataInvalidError(jsonIssues(validate.errors), show(data))
  if (typeof result !== 'object' || result === null) {
    if (result === true || result === undefined) return copy
    throw failed(`answered ${show(result)}`, data)
  }
  const { error, value } = result as { readonly error?: unknown; readonly value?: unknown }
  if (error) throw new DataInvalidError(jsonIssues(error), show(data))
  return value === undefined ? copy : value
}

/** Calls a schema, which is the user's and may do anything. */
function answer(data: unknown, parse: () => unknown): unknown {
  try {
    return parse()
  } catch (error) {
    if (isSchedulerError(error)) throw error
    throw failed(`threw: ${messageOf(error)}`, data, error)
  }
}

function refuseAsync(result: unknown): void {
  if (!isThenable(result)) return
  // Nobody waits for it, so its rejection is handled here.
  result.then(
    () => {},
    () => {}
  )
  throw new SchemaAsyncError(show(result))
}

function failed(what: string, data: unknown, cause?: unknown): Error {
  const error = new SchemaFailedError(what, show(data))
  if (cause !== undefined) error.cause = cause
  return error
}

function standardIssue(issue: unknown): string {
  const { message, path } = issue as { readonly message?: unknown; readonly path?: unknown }
  const keys = Array.isArray(path) ? path.map(keyOf).join('') : ''
  return `\`data${keys}\` ${text(message)}`
}

function keyOf(segment: unknown): string {
  const key = typeof segment === 'object' && segment !== null ? (segment as { readonly key?: unknown }).key : segment
  return `/${String(key)}`
}

/** What ajv, or another compiler's function, says. */
function jsonIssues(errors: unknown): string {
  if (!Array.isArray(errors)) return listed([messageOf(errors)])
  const issues = errors.slice(0, MAX_ISSUES) as readonly {
    readonly instancePath?: unknown
    readonly message?: unknown
  }[]
  return listed(issues.map(({ instancePath, message }) => `\`data${text(instancePath)}\` ${text(message)}`))
}

function listed(issues: readonly string[]): string {
  const shown = issues.map((issue) => (issue.length > MAX_ISSUE ? `${issue.slice(0, MAX_ISSUE)}...` : issue))
  return shown.join(', ') || 'the schema does not say why'
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\s+/g, ' ') : ''
}

/** The message of a thrown value, which may be anything. */
function messageOf(error: unknown): string {
  try {
    const { message } = (typeof error === 'object' && error !== null ? error : {}) as { readonly message?: unknown }
    if (typeof message === 'string' && message !== '') return listed([text(message)])
  } catch {}
  return show(error)
}
