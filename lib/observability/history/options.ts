import type { HistoryOptions, HistoryRedact } from '../../../types/history.js'
import { copyKnown } from '../../base/check.js'
import { DAY, MINUTE, parseDuration } from '../../base/duration.js'
import { show } from '../../base/show.js'
import { OptionInvalidError } from '../../errors.js'

/** The option `history`: validated, complete and frozen. */
export interface ResolvedHistory {
  readonly runs: number
  /** In milliseconds. */
  readonly retention: number
  readonly logs: 'failed' | 'all' | false
  readonly redact: HistoryRedact | undefined
}

export const HISTORY_KEYS = ['runs', 'retention', 'logs', 'redact'] as const satisfies (keyof HistoryOptions)[]

/** How many runs of a job are kept at most, and how many entries are read at once. */
export const MAX_LIMIT = 1000

/** @throws OptionInvalidError, OptionUnknownError, DurationInvalidError */
export function resolveHistory(history: unknown): ResolvedHistory | null {
  if (history === false) return null
  const options = copyKnown(history === undefined ? {} : history, HISTORY_KEYS, '`history`') as HistoryOptions
  const { runs = 100, retention = 7 * DAY, logs = 'failed', redact } = options
  checkLimit(runs, 'history.runs')
  if (logs !== 'failed' && logs !== 'all' && logs !== false) {
    throw new OptionInvalidError('history.logs', "'failed', 'all' or false", show(logs))
  }
  if (redact !== undefined && typeof redact !== 'function') {
    throw new OptionInvalidError('history.redact', 'a function', show(redact))
  }
  return Object.freeze({
    runs,
    retention: parseDuration(retention, 'history.retention', { min: MINUTE, max: 90 * DAY }),
    logs,
    redact
  })
}

/** @throws OptionInvalidError */
export function checkLimit(value: unknown, name: string): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_LIMIT) return
  throw new OptionInvalidError(name, `a whole number from 1 to ${MAX_LIMIT}`, show(value))
}
