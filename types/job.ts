import type { TriggerObject } from './trigger.js'

/** A job as it stands now: a live, read-only view. All times are milliseconds since the Unix epoch. */
export interface Job {
  readonly id: string
  readonly name: string
  readonly trigger: TriggerObject
  readonly data: unknown
  /** Whether this replica knows the job to be paused. */
  readonly paused: boolean
  /** Runs of the job in this process now. */
  readonly running: number
  /**
   * The next tick's nominal time, whichever replica has it, also while jitter puts it off; `null` when there is none, or
   * while the job is paused.
   */
  readonly nextRun: number | null
  /** The start of the last run in this process, or `null`. */
  readonly lastRun: number | null
  /** The end of the last successful run in this process, or `null`. */
  readonly lastSuccess: number | null
}
