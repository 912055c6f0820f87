import type { DateInput } from './trigger.js'

/** What is paused: a job by its id, the jobs of a group, or all jobs; jobs that come later included. */
export type PauseTarget = string | { readonly group: string } | { readonly all: true }

/** A pause in force. Times are in milliseconds since the Unix epoch. */
export interface JobPause {
  /** What was paused: the job itself, its group, or all jobs. */
  readonly of: 'job' | 'group' | 'all'
  /** Why, for people; `null` where nobody said. */
  readonly note: string | null
  /** Who has paused; `null` for the job's code. */
  readonly by: string | null
  /** When, by the fleet's clock; `null` for the job's code. */
  readonly at: number | null
  /** When it is over; `null` when it is until somebody resumes. */
  readonly until: number | null
  /** Tells this pause from any other: for `expectedVersion`. */
  readonly version: string
}

/** Who does something, and why. */
export interface ActionOptions {
  /**
   * Who asks for it, for people: 1 to 200 characters.
   *
   * @default the replica's id
   */
  readonly by?: string
  /** Why, for people; at most 500 characters. */
  readonly note?: string
}

/** Who changes something, and what they take for granted. */
export interface ChangeOptions extends ActionOptions {
  /**
   * The version that must still be in force, `null` for none: another one, as somebody else was faster, is refused with
   * `FST_ERR_RLS_JOB_CHANGED`. Left out, the last one wins.
   */
  readonly expectedVersion?: string | null
}

export interface PauseOptions extends ChangeOptions {
  /**
   * When it is over by itself, in the future by the fleet's clock: ticks from then on run, and those before have no run. An ISO
   * string without an offset is in the scheduler's time zone. Left out, it is until somebody resumes.
   */
  readonly until?: DateInput
}

/** What operators have changed of a job from code. Times are in milliseconds since the Unix epoch. */
export interface JobOverride {
  /** All options that differ from the code, as JSON carries them: dates are ISO strings. */
  readonly changes: Readonly<Record<string, unknown>>
  /** Why, for people; `null` where nobody said. */
  readonly note: string | null
  /** Who has changed it last. */
  readonly by: string
  /** When, by the fleet's clock. */
  readonly at: number
  /** Tells this override from any other: for `expectedVersion`. */
  readonly version: string
  /** Why this replica cannot apply it, so that it follows its code; `null` where it does. */
  readonly error: string | null
}

export interface OverrideOptions extends ChangeOptions {}

export interface CancelOptions extends ActionOptions {}

export interface SkipOptions extends ActionOptions {}

export interface ReleaseOptions extends ActionOptions {
  /** The slot whose lock is to be freed (`maxInstances`), from 1 on; left out, those of all slots. */
  readonly slot?: number
}

/** A lock that was freed, and the run that held it. */
export interface ReleasedLock {
  readonly slot: number
  readonly runId: string
}

/** What people and programs do at run time. */
export type ChangeAction = 'trigger' | 'pause' | 'resume' | 'skip' | 'override' | 'reset' | 'cancel' | 'release'

/** What somebody has done. Times are in milliseconds since the Unix epoch. */
export interface FleetChange {
  /** Unique in the fleet. Of a pause and of an override it is the `version`. */
  readonly id: string
  readonly action: ChangeAction
  /** What it was done to: a job, or one of its runs or ticks; a group; or all jobs. */
  readonly of: 'job' | 'group' | 'all'
  /** `null` of a group and of all jobs, and where the job of a cancelled run is not known. */
  readonly jobId: string | null
  readonly group: string | null
  readonly by: string
  /** Why, for people; `null` where nobody said. */
  readonly note: string | null
  /** When, by the fleet's clock. */
  readonly at: number
  /** The runs that it is about: the one that was cancelled, or has begun; those that held the released locks. */
  readonly runIds: readonly string[]
  /** The request that waits for its run (`trigger`). */
  readonly requestId: string | null
  /** The nominal time of the skipped tick, or that a run by hand was asked for with. */
  readonly scheduledTime: number | null
  /** When the pause ends by itself. */
  readonly until: number | null
  /** The names of the options that were overridden by it. */
  readonly options: readonly string[]
}
