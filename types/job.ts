import type { JobOverride, JobPause } from './levers.js'
import type { TriggerObject } from './trigger.js'

/** A live, read-only view of a job. All times are in milliseconds since the Unix epoch. */
export interface Job<Data = unknown> {
  readonly id: string
  readonly name: string
  /** `null` for a job that runs by hand only. */
  readonly trigger: TriggerObject | null
  /** As it was given, whatever a `schema` makes of it. */
  readonly data: Data
  /** The group that it belongs to; `null` for none. */
  readonly group: string | null
  /** What it is for; `null` for nothing. */
  readonly description: string | null
  /** Whether this replica knows the job to be paused: by itself, with its group, or with all jobs. */
  readonly paused: boolean
  /** The pauses in force that this replica knows of: the job's own, its group's, and that of all jobs. */
  readonly pauses: readonly JobPause[]
  /** What operators have changed of the job's code, as this replica knows it; `null` for nothing. The other fields are as changed. */
  readonly override: JobOverride | null
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
