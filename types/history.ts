import type { RunOutcome, RunTrigger, SkipReason } from './run.js'

/** What was thrown, as text that can be kept. All of it together has at most 4,096 characters; what was cut ends with `…`. */
export interface RunError {
  /** The error's name, such as `TypeError`; `NonError` for a thrown value that is no error. At most 100 characters. */
  readonly name: string

  /** The error's message; of a thrown value that is no error, that value as text. At most half of all characters. */
  readonly message: string

  /**
   * The stack as Node writes it, then a line for each cause (`[cause]: TypeError: ...`) and for the first errors of an
   * `AggregateError` (`[error 1 of 12]: ...`). `null` where there is neither a stack nor a cause.
   *
   * A message that is too long to be here as well is cut in the stack's first line, so that the frames after it stay.
   */
  readonly stack: string | null

  /** The error's `code`, such as `ECONNREFUSED`; a number as its digits. At most 100 characters. */
  readonly code?: string
}

/** An attempt that failed, after which another one was made. */
export interface FailedAttempt {
  /** From 1 on. */
  readonly attempt: number
  /** When it had failed, in milliseconds since the Unix epoch. */
  readonly at: number
  /** Without a stack; 500 characters at most. */
  readonly error: RunError
}

/** How far a run has come, as its handler said by `context.progress()`. */
export interface RunProgress {
  /** From 0 to 1. */
  readonly share: number
  readonly note: string | null
  /** When that was said, in milliseconds since the Unix epoch. */
  readonly at: number
}

/** What became of a run. Times are in milliseconds since the Unix epoch. */
export interface HistoryRun {
  readonly kind: 'run'
  readonly id: string
  readonly jobId: string
  /** The tick's nominal time; for a run by hand when it was asked for, or the tick that it repeats. */
  readonly scheduledTime: number
  readonly startedAt: number
  /** When its outcome became known; `null` while it goes on. */
  readonly finishedAt: number | null
  /** How long its handler took until then, in milliseconds; `null` while it goes on. */
  readonly duration: number | null
  /** `null` while it goes on. */
  readonly outcome: RunOutcome | null
  readonly trigger: RunTrigger
  /** Who asked for a run by hand, as `trigger()` was told; else `null`. */
  readonly by: string | null
  /** 1, plus one for each retry and each time the run was taken over. */
  readonly attempt: number
  /** The attempts before the last, as far as they were made by this run: the last 20 of them. */
  readonly attempts: readonly FailedAttempt[]
  /** Which of the job's slots it had, from 1 on; `null` for a run without a lock. */
  readonly slot: number | null
  readonly replicaId: string
  readonly fencingToken: number | null
  readonly progress: RunProgress | null
  /** What the handler returned, as JSON of at most 1,024 characters: a longer one is cut and ends with `…`. */
  readonly result: string | null
  readonly error: RunError | null
  /** The last 20 lines that it wrote by its `log`, as the logger wrote them; each of 1,000 characters at most. */
  readonly log: readonly string[]
}

/** Ticks that had no run for one reason: `count` of them, from `first` to `last`. */
export interface HistoryTicks {
  readonly kind: 'ticks'
  readonly jobId: string
  readonly first: number
  readonly last: number
  readonly count: number
  readonly reason: SkipReason
  /** The replica that said so, or for `operator` who skipped them; the last one where several did. */
  readonly by: string
  /** When that was said, in milliseconds since the Unix epoch. */
  readonly at: number
}

export type HistoryEntry = HistoryRun | HistoryTicks

/**
 * What became of one tick. Of `run` and `reason` one is `null`; both are while that is open, as the tick waits for a slot or has
 * just come.
 */
export interface TickStory {
  readonly scheduledTime: number
  /** The run; the last one where the tick was run again. */
  readonly run: HistoryRun | null
  /** Why it had no run. */
  readonly reason: SkipReason | null
  /** The replica that ran it, or said why not; `null` where nobody did: whoever had it has died. */
  readonly by: string | null
  /** When the run began, or that was said. */
  readonly at: number | null
}

/**
 * What a text is that the history keeps: the `result` of a run as JSON, the message or the stack of an `error`, a line
 * of the `log`, or a `note` of an operator or of a run's progress.
 */
export type RedactKind = 'result' | 'error' | 'log' | 'note'

/**
 * Takes what must not be kept out of a text of the history, before it is stored. It is called with each text on its
 * own, and synchronously: a run never waits for it. A log line is cut at 1,000 characters before.
 *
 * Where it throws, or returns anything but a string, `[redact failed]` is kept in place of the text.
 *
 * @example
 * redact: (text) => text.replace(/\b\d{16}\b/g, '[card]')
 */
export type HistoryRedact = (text: string, kind: RedactKind) => string

export interface HistoryOptions {
  /**
   * How many runs of each job are kept, from 1 to 1,000.
   *
   * @default 100
   */
  readonly runs?: number
  /**
   * For how long runs and ticks are kept, from a minute to 90 days.
   *
   * @default '7d'
   */
  readonly retention?: import('./duration.js').Duration
  /**
   * Of which runs the last 20 log lines are kept.
   *
   * @default 'failed'
   */
  readonly logs?: 'failed' | 'all' | false
  /** Called with each result, error, log line and note before it is kept. */
  readonly redact?: HistoryRedact
}

export interface HistoryQuery {
  /**
   * How many entries at most, from 1 to 1,000.
   *
   * @default 100
   */
  readonly limit?: number
  /** Only those with an earlier nominal time: a `Date`, an ISO 8601 text, or milliseconds since the Unix epoch. */
  readonly before?: Date | number | string
}
