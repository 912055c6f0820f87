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

/**
 * What a text is that the history keeps: the `result` of a run as JSON, the message or the stack of an `error`, a line
 * of the `log`, or a `note` of an operator or of a run's progress.
 */
export type RedactKind = 'result' | 'error' | 'log' | 'note'

/**
 * Takes what must not be kept out of a text of the history, before it is stored. It is called with each text on its
 * own, and synchronously: a run never waits for it.
 *
 * Where it throws, or returns anything but a string, `[redact failed]` is kept in place of the text.
 *
 * @example
 * redact: (text) => text.replace(/\b\d{16}\b/g, '[card]')
 */
export type HistoryRedact = (text: string, kind: RedactKind) => string
