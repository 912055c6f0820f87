import type { TriggerObject } from './trigger.js'

/** A live, read-only view of a job. All times are in milliseconds since the Unix epoch. */
export interface Job<Data = unknown> {
  readonly id: string
  readonly name: string
  /** `null` for a job that runs by hand only. */
  readonly trigger: TriggerObject | null
  /** As it was given, whatever a `schema` makes of it. */
  readonly data: Data
  /** Whether this replica knows the job to be paused. */
  readonly paused: boolean
  /** The number of active runs of the job in this process. */
  readonly running: number
  /**
   * The nominal time of the next tick, whichever replica will run it, even while jitter delays it; `null` when there is
   * none or the job is paused.
   */
  readonly nextRun: number | null
  /** When the last run in this process started; `null` before the first. */
  readonly lastRun: number | null
  /** When the last successful run in this process ended; `null` before the first. */
  readonly lastSuccess: number | null
}
