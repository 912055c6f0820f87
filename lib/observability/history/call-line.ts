import { cutText } from '../../base/cut-text.js'
import { shortJson } from '../../base/short-json.js'

/** How many characters the parts of a line have at most, so that no call costs more than the line that is kept. */
const MAX_MESSAGE = 800
const MAX_VALUE = 200
const MAX_VALUES = 20

/**
 * A line for a call of a logger that does not show what it writes: `{"level":"info","msg":"..."}`, and the message of an
 * error as `err`. The fields of a call are left out: what that logger takes out of them is not known here.
 *
 * The values for `%s`, `%d`, `%i`, `%f`, `%j`, `%o` and `%O` are in the message, and so are texts and numbers after it.
 * Never throws.
 */
export function callLine(level: string, args: readonly unknown[]): string {
  try {
    const [first, ...rest] = args.slice(0, MAX_VALUES)
    if (typeof first !== 'object' || first === null) {
      return line(level, messageOf(first, rest), rest.find(isErrorLike)?.message)
    }
    const [text, ...values] = rest
    const error = errorMessage(first)
    const own = text === undefined ? (ownMessage(first) ?? error ?? '') : messageOf(text, values)
    return line(level, own, error)
  } catch {
    return line(level, '[unreadable]')
  }
}

function line(level: string, text: string, error?: string): string {
  const msg = cutText(text, MAX_MESSAGE)
  return JSON.stringify(
    error === undefined || text.includes(error) ? { level, msg } : { level, msg, err: cutText(error, MAX_VALUE) }
  )
}

/** Of `{ msg }` as pino has it, or of `{ message }` as winston has. */
function ownMessage(fields: object): string | null {
  const { msg, message } = fields as { msg?: unknown; message?: unknown }
  return typeof msg === 'string' ? msg : typeof message === 'string' ? message : null
}

/** Of an error that was given, or of the field `err` or `error`. */
function errorMessage(given: object): string | undefined {
  if (isErrorLike(given)) return given.message
  const { err, error } = given as { err?: unknown; error?: unknown }
  return isErrorLike(err) ? err.message : isErrorLike(error) ? error.message : undefined
}

function isErrorLike(value: unknown): value is { readonly message: string } {
  try {
    if (typeof value !== 'object' || value === null || !('stack' in value)) return false
    return typeof (value as { message?: unknown }).message === 'string'
  } catch {
    return false
  }
}

function messageOf(first: unknown, values: readonly unknown[]): string {
  let used = 0
  const text = valueText(first, MAX_MESSAGE)
  const message =
    values.length === 0
      ? text
      : text.replace(/%[sdifjoO%]/g, (found) => {
          if (found === '%%') return '%'
          return used < values.length ? valueText(values[used++], MAX_VALUE) : found
        })
  const after = values.slice(used).filter((value) => typeof value !== 'object' && typeof value !== 'function')
  return [message, ...after.map((value) => valueText(value, MAX_VALUE))].join(' ')
}

function valueText(value: unknown, limit: number): string {
  if (typeof value === 'string') return cutText(value, limit)
  if (typeof value === 'object' && value !== null) {
    return isErrorLike(value) ? cutText(value.message, limit) : `${shortJson(value, limit)}`
  }
  if (typeof value === 'bigint') return `${shortJson(value, limit)}`.replaceAll('"', '')
  return typeof value === 'function' ? '[function]' : cutText(String(value), limit)
}
