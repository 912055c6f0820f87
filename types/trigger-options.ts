import type { IsDataRequired, JobData } from './job-types.js'

export interface TriggerOptions<Data = unknown> {
  /** Passed to the handler instead of the job's own `data`. */
  readonly data?: Data
  /**
   * Whether to resolve only when the run has ended and its lock is released, or its `timeout` has passed, instead of as
   * soon as it has started. A run that waits for others (`overlap: 'wait'`) is waited for wherever it runs.
   *
   * @default false
   */
  readonly wait?: boolean
  /**
   * Runs with one key never overlap in the fleet; runs with different keys do, up to the job's `maxInstances`. 1 to 200
   * characters, no control characters; not with several Redis masters.
   */
  readonly concurrencyKey?: string
  /**
   * What to do when no run can begin, as the job has `maxInstances` under way or one with the same key. `skip`: nothing.
   * `wait`: the request waits in the store, in order, 1,000 at most, and outlives this replica; its `data` must be JSON of at
   * most 256 KB. Requests without `data` are one while they wait. Not with several Redis masters.
   *
   * @default 'skip'
   */
  readonly overlap?: 'skip' | 'wait'
  /**
   * Where it runs. `here`: on this replica. `any`: on one that has the job and takes ticks, which hears of it within a second; until
   * then the request waits in the store, as with `overlap: 'wait'`.
   *
   * @default 'here'
   */
  readonly on?: 'here' | 'any'
  /** Who asks for it, for people: the history says so. 1 to 200 characters, no control characters. */
  readonly by?: string
  /** Why, for people; at most 500 characters. */
  readonly note?: string
  /**
   * The nominal time that the run has, in place of the present: to run a past tick again. A `Date`, an ISO 8601 text, or
   * milliseconds since the Unix epoch; not later than now.
   */
  readonly scheduledTime?: Date | number | string
}

/** The options of `trigger()`; they may be omitted unless `JobTypes` says that the job's data is required. */
export type TriggerArguments<Id extends string> =
  IsDataRequired<Id> extends true
    ? [options: SkippingOptions<JobData<Id>> & { readonly data: JobData<Id> }]
    : [options?: SkippingOptions<JobData<Id>>]

type SkippingOptions<Data> = TriggerOptions<Data> & { readonly overlap?: 'skip'; readonly on?: 'here' }

/** The options of `trigger()` for a run that may wait for others. */
export type WaitingTriggerOptions<Id extends string> = TriggerOptions<JobData<Id>> &
  ({ readonly overlap: 'wait' } | { readonly on: 'any' }) &
  (IsDataRequired<Id> extends true ? { readonly data: JobData<Id> } : unknown)
