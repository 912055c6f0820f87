/** What a Standard Schema answers for a value. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] }

/** Why a Standard Schema refuses a value. */
export interface StandardSchemaIssue {
  readonly message: string
  /** Where in the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * A Standard Schema, version 1, such as a schema of zod 4, valibot or arktype. It must answer at once: a job's data is
 * not validated asynchronously.
 *
 * @see https://standardschema.dev, which asks libraries to copy these types rather than to depend on them
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>
    /** For the compiler alone; not there when the program runs. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** A JSON Schema: a plain object, such as a literal `as const`, or a schema of TypeBox. */
export interface JsonSchema {
  readonly '~standard'?: never
  // biome-ignore lint/suspicious/noExplicitAny: with `unknown` no interface would be assignable, such as TypeBox' are
  readonly [keyword: string]: any
}

type TypesOf<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>

/** What a schema takes: the data of a job and of `trigger()`. */
export type SchemaInput<Schema extends StandardSchema> = TypesOf<Schema>['input']

/** What a schema makes of it: the `data` of a handler, with defaults and transforms applied. */
export type SchemaOutput<Schema extends StandardSchema> = TypesOf<Schema>['output']
