import type { RunReport } from '../../../types/coordination.js'
import type { FailedAttempt, HistoryRun, RunError, RunProgress } from '../../../types/history.js'
import type { Run, RunOutcome } from '../../../types/run.js'
import { cutText } from '../../base/cut-text.js'
import { shortJson } from '../../base/short-json.js'
import { errorText } from './error-text.js'
import type { ResolvedHistory } from './options.js'
import { createRedactor } from './redactor.js'
import type { RunLog } from './run-log.js'

/** How many characters are kept of a result, of an error, and of the error of an attempt that was followed by another. */
const MAX_RESULT = 1024
const MAX_ERROR = 4096
const MAX_ATTEMPT_ERROR = 500

/** How many characters the note of a run's progress has at most. */
export const MAX_NOTE = 200

/** How many characters are read of a text that is redacted before it is cut. */
const READ_FACTOR = 4

/** How many failed attempts are kept of a run: the last ones. */
export const MAX_KEPT_ATTEMPTS = 20

const NO_LOG: readonly string[] = Object.freeze([])
const NO_ATTEMPTS: readonly FailedAttempt[] = Object.freeze([])

/** A run as the history is told of it. */
export interface EndedRun {
  readonly run: Run
  readonly slot: number | null
  readonly attempts: readonly FailedAttempt[] | null
  readonly progress: RunProgress | null
  /** What it wrote by its logger; `null` where that was not kept. */
  readonly written: Pick<RunLog, 'lines'> | null
}

/** How a run has ended. */
export interface RunEnding {
  readonly outcome: RunOutcome
  readonly error?: unknown
}

/** Makes of runs what the history keeps of them. None of it throws, whatever handlers return and throw. */
export class RunEntries {
  readonly #history: ResolvedHistory | null
  readonly #redact: ReturnType<typeof createRedactor>
  readonly #isRedacted: boolean

  /** @param onRedactFailed called once */
  constructor(history: ResolvedHistory | null, onRedactFailed: (error: unknown) => void) {
    this.#history = history
    this.#isRedacted = history?.redact !== undefined
    this.#redact = createRedactor(history?.redact, onRedactFailed)
  }

  /** Whether what runs write by their loggers is kept. */
  get keepsLogs(): boolean {
    return this.#history !== null && this.#history.logs !== false
  }

  /** Whether that is so also of runs that succeed. */
  get keepsAllLogs(): boolean {
    return this.#history !== null && this.#history.logs === 'all'
  }

  get isOn(): boolean {
    return this.#history !== null
  }

  /**
   * What the store is told of a run that has ended.
   *
   * @param duration in milliseconds
   */
  report(ended: EndedRun, ending: RunEnding, duration: number): RunReport {
    const entry = this.#history === null ? null : this.entry(ended, ending, duration)
    return { outcome: ending.outcome, duration, entry }
  }

  /** An attempt that has failed, and is followed by another. */
  attempt(attempt: number, at: number, error: unknown): FailedAttempt {
    const { name, message } = errorText(error, MAX_ATTEMPT_ERROR)
    return { attempt, at: Math.round(at), error: { name, message: this.#redact(message, 'error'), stack: null } }
  }

  /** How far a run has come, as it is kept and shown. */
  progress(said: RunProgress): RunProgress {
    if (!this.#isRedacted || said.note === null) return said
    return { ...said, note: cutText(this.#redact(said.note, 'note'), MAX_NOTE) }
  }

  /** What the history keeps of a run. @param duration in milliseconds */
  entry(ended: EndedRun, { outcome, error }: RunEnding, duration: number): HistoryRun {
    const { run, slot, attempts, progress, written } = ended
    const isFailed = outcome !== 'success'
    return {
      kind: 'run',
      id: run.id,
      jobId: run.jobId,
      scheduledTime: run.scheduledTime,
      startedAt: run.startedAt,
      finishedAt: run.startedAt + Math.round(duration),
      duration: Math.round(duration * 10) / 10,
      outcome,
      trigger: run.trigger,
      by: run.by,
      attempt: run.attempt,
      attempts: attempts === null ? NO_ATTEMPTS : attempts,
      slot,
      replicaId: run.replicaId,
      fencingToken: run.fencingToken,
      progress,
      result: run.result === undefined || isFailed ? null : this.#result(run.result),
      error: isFailed ? this.error(error) : null,
      log: written === null || !(isFailed || this.#history?.logs === 'all') ? NO_LOG : this.#lines(written)
    }
  }

  #result(result: unknown): string | null {
    if (!this.#isRedacted) return shortJson(result, MAX_RESULT)
    const text = shortJson(result, READ_FACTOR * MAX_RESULT)
    return text === null ? null : cutText(this.#redact(text, 'result'), MAX_RESULT)
  }

  /** What was thrown, as it is kept. */
  error(error: unknown): RunError {
    if (!this.#isRedacted) return errorText(error)
    // Cut afterwards: half a secret looks like none.
    const { message, stack, ...text } = errorText(error, READ_FACTOR * MAX_ERROR)
    return {
      ...text,
      message: cutText(this.#redact(message, 'error'), MAX_ERROR / 4),
      stack: stack === null ? null : cutText(this.#redact(stack, 'error'), MAX_ERROR / 2)
    }
  }

  #lines(log: Pick<RunLog, 'lines'>): readonly string[] {
    return log.lines().map((line) => this.#redact(line, 'log'))
  }
}
