/**
 * The types of jobs by their id, which a program adds to:
 *
 * ```ts
 * declare module 'fastify-redlock-scheduler' {
 *   interface JobTypes {
 *     import: { data: { table: string }; result: number }
 *   }
 * }
 * ```
 *
 * `add`, `get`, `trigger` and `route` then check the data and the result of the job `import`. Each entry may have:
 * - `data`: what the job takes. `trigger` requires it; with `data?` it does not, as the job has data of its own.
 * - `result`: what its handler returns.
 */
// biome-ignore lint/suspicious/noEmptyInterface: programs add to it
export interface JobTypes {}

/** The ids in `JobTypes`. */
export type KnownJobId = Extract<keyof JobTypes, string>

type EntryOf<Id extends string> = Id extends keyof JobTypes ? JobTypes[Id] : unknown

/** What the job with that id takes; `unknown` when `JobTypes` does not say. */
export type JobData<Id extends string> =
  EntryOf<Id> extends { readonly data: infer Data }
    ? Data
    : EntryOf<Id> extends { readonly data?: infer Data }
      ? Data
      : unknown

/** What the handler of the job with that id returns; `unknown` when `JobTypes` does not say. */
export type JobResult<Id extends string> = EntryOf<Id> extends { readonly result: infer Result } ? Result : unknown

/** Whether `trigger` requires data for the job with that id. */
export type IsDataRequired<Id extends string> =
  EntryOf<Id> extends { readonly data: infer Data } ? (undefined extends Data ? false : true) : false
