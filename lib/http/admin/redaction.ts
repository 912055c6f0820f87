import redactor from '@pinojs/redact'
import type { HistoryRun, RunError } from '../../../types/history.js'
import { show } from '../../base/show.js'
import { OptionInvalidError } from '../../errors.js'

/** What stands where something is not shown. */
export const REDACTED = '[redacted]'
/** What stands for a whole value that could not be looked through. */
const UNREADABLE = '[redact failed]'

/** What paths may begin with. */
const PARTS = ['data', 'result', 'error'] as const
type Part = (typeof PARTS)[number]

const MAX_PATHS = 100

/** Takes what people are not to see out of what is shown of jobs. */
export interface Redaction {
  data(data: unknown): unknown
  run(run: HistoryRun): HistoryRun
  /** A text that stands for an error in a row: `name: message`. */
  errorLine(text: string): string
}

/** @throws OptionInvalidError for what is no list of paths */
export function createRedaction(paths: unknown): Redaction {
  const expected = `an array of at most ${MAX_PATHS} paths such as data.card.number, which begin with ${PARTS.join(', ')}`
  const isPath = (path: unknown): boolean => typeof path === 'string' && /^(?:data|result|error)(?:$|[.[])/.test(path)
  if (!Array.isArray(paths) || paths.length > MAX_PATHS || !paths.every(isPath)) {
    throw new OptionInvalidError('admin.redact', expected, show(paths))
  }
  let redact: (value: object) => unknown = (value) => value
  try {
    if (paths.length > 0) redact = redactor({ paths: [...paths], censor: REDACTED, serialize: false })
  } catch {
    throw new OptionInvalidError('admin.redact', expected, show(paths))
  }
  const isOf = (part: Part): boolean => paths.some((path: string) => path.startsWith(part))
  const apply = (part: Part, value: unknown): unknown => {
    if (!isOf(part)) return value
    try {
      return (redact({ [part]: value }) as Record<string, unknown>)[part]
    } catch {
      return UNREADABLE
    }
  }
  const error = (given: RunError): RunError => redactError(given, (value) => apply('error', value))
  return {
    data: (data) => apply('data', data),
    run: (run) => ({
      ...run,
      result:
        run.result === null || !isOf('result') ? run.result : redactJson(run.result, (value) => apply('result', value)),
      error: run.error === null ? null : error(run.error),
      attempts: run.attempts.map((attempt) => ({ ...attempt, error: error(attempt.error) }))
    }),
    errorLine: (text) => {
      const { name, message } = error({ name: '', message: text, stack: null })
      return `${name}${message}`
    }
  }
}

/** The message of an error that is not shown stands in its stack as well. */
function redactError(error: RunError, apply: (value: unknown) => unknown): RunError {
  const shown = apply(error)
  if (typeof shown !== 'object' || shown === null) return { name: 'Error', message: REDACTED, stack: null }
  const read = shown as RunError
  return read.message === error.message ? read : { ...read, stack: null }
}

/** A result that was cut is no JSON any more: what is in it is not known. */
function redactJson(text: string, apply: (value: unknown) => unknown): string {
  try {
    return JSON.stringify(apply(JSON.parse(text)))
  } catch {
    return REDACTED
  }
}
