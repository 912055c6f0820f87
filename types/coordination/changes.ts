/** What a pause is of: a job by its id, the jobs of a group, or all jobs. */
export type PauseScope = `job:${string}` | `group:${string}` | 'all'

/** What a change does. `note` says why, for people. Times are in milliseconds since the Unix epoch. */
export type ChangeEffect =
  /** The ticks have no run, up to `until`, or until they are resumed where that is `null`. */
  | {
      readonly kind: 'pause'
      readonly scope: PauseScope
      readonly note: string | null
      readonly until: number | null
    }
  | { readonly kind: 'resume'; readonly scope: PauseScope; readonly note: string | null }
  /**
   * A request for a run by hand waits that whoever takes ticks may begin. Of one that somebody has asked for it says which, and the
   * nominal time that its run has if that is another than the present; of several together neither.
   */
  | {
      readonly kind: 'request'
      readonly jobId: string
      readonly requestId: string | null
      readonly scheduledTime: number | null
      readonly note: string | null
    }
  /** Somebody has asked for a run by hand, which has begun, or whose request waits: it has no effect. */
  | {
      readonly kind: 'trigger'
      readonly jobId: string
      readonly runId: string | null
      readonly requestId: string | null
      /** As of `request`. */
      readonly scheduledTime: number | null
      readonly note: string | null
    }
  /** A tick of a job has no run. */
  | {
      readonly kind: 'skip'
      readonly jobId: string
      readonly scheduledTime: number
      readonly note: string | null
    }
  /**
   * A job from code is defined otherwise than by its code. `changes` are all options that differ, as JSON carries them, and
   * `options` the names of those that this change is about.
   */
  | {
      readonly kind: 'override'
      readonly jobId: string
      readonly changes: Readonly<Record<string, unknown>>
      readonly options?: readonly string[]
      readonly note: string | null
    }
  /** It is as its code says again. */
  | { readonly kind: 'reset'; readonly jobId: string; readonly note: string | null }
  /**
   * A run is to be cancelled, wherever it goes on. `jobId` is that of its job, `null` until that is known. `isDone`: its replica was
   * asked, and has told it.
   */
  | {
      readonly kind: 'cancel'
      readonly runId: string
      readonly jobId: string | null
      readonly isDone?: true
      readonly note: string | null
    }
  /** The locks of a job, or that of one slot, are free from now on. `runs` are those that held them, once that is known. */
  | {
      readonly kind: 'release'
      readonly jobId: string
      readonly slot: number | null
      readonly runs?: readonly ReleasedLock[]
      readonly note: string | null
    }

/** A lock that was freed: the slot that it was of, and the run that held it. */
export interface ReleasedLock {
  readonly slot: number
  readonly runId: string
}

/** A change that somebody asks for. */
export type ChangeRequest = ChangeEffect & {
  /** Unique across replicas: a change that is asked for again under its id is not made twice. No spaces or quotes. */
  readonly id: string
  /** Who asks for it: a person, or a replica's id. */
  readonly by: string
  /**
   * The version that must be in force for the change to be made: `null` for none. Left out, it is made whatever is.
   *
   * A version is the id of the change that has put something in force: of a pause, the change that paused; of an override, the
   * change that has made it. A pause by code has the version `code`. So it says the same on every one of several masters.
   */
  readonly expected?: string | null
}

/** A change that was made. */
export type Change = ChangeEffect & {
  readonly id: string
  readonly by: string
  /** When, by the fleet's clock. */
  readonly at: number
  /**
   * Of two changes in a store the later one has the greater number: its time in milliseconds, or one more than the last. So none has
   * the number of one that the store has lost. Of several masters it is their common time.
   */
  readonly version: number
  /** The version of the change before it in its store, 0 for none; of several masters it is left out. */
  readonly after?: number
}

/** What becomes of a change that is asked for. */
export type ChangeAnswer =
  | { readonly status: 'made'; readonly change: Change }
  /** Something else is in force than was expected: who has put it there, and when; `null` where nobody knows. Nothing was done. */
  | { readonly status: 'conflict'; readonly by: string | null; readonly at: number | null }
  /** No such run is open. Nothing was done. */
  | { readonly status: 'unknown' }
  /** The tick has passed, or was claimed. Nothing was done. */
  | { readonly status: 'passed' }

/** A pause in force, or what is noted of one that is over by `until`. */
export interface StandingPause {
  readonly scope: PauseScope
  readonly note: string | null
  /** `null` where nobody knows. */
  readonly by: string | null
  readonly at: number | null
  readonly until: number | null
  /** See `ChangeRequest`. */
  readonly version: string
}

/** A tick that is to have no run. */
export interface SkippedTick {
  readonly jobId: string
  readonly scheduledTime: number
  /** Who has said so; left out where nobody knows. */
  readonly by?: string
}

/** What differs from a job's code. */
export interface StandingOverride {
  readonly jobId: string
  /** `null` where it was reset: only nodes of several say so, as another may have missed it. */
  readonly changes: Readonly<Record<string, unknown>> | null
  readonly note: string | null
  readonly by: string
  readonly at: number
  /** See `ChangeRequest`. */
  readonly version: string
}

/** What changes have put in force. */
export interface Standing {
  readonly pauses: readonly StandingPause[]
  /** The ids of jobs that operators have resumed, so that their code does not pause them. */
  readonly resumed: readonly string[]
  /** Ticks that are to have no run, and some that have passed. */
  readonly skips: readonly SkippedTick[]
  readonly overrides: readonly StandingOverride[]
}

/** What people and programs change at run time, for the whole fleet. `CoordinationListener.onChanges` tells every replica. */
export interface Changes {
  /**
   * Makes a change: its effect, and that others hear of it, are one step.
   *
   * @throws RedisUnavailableError when it may not have been made
   */
  change(request: ChangeRequest): Promise<ChangeAnswer>
  /**
   * What is in force now.
   *
   * @throws RedisUnavailableError
   */
  standing(): Promise<Standing>
  /**
   * The last changes that were made, the newest first.
   *
   * @throws RedisUnavailableError
   */
  readChanges(limit: number): Promise<readonly Change[]>
}
