import { types } from 'node:util'
import type { RunError } from '../../../types/history.js'
import { cutText } from '../../base/cut-text.js'
import { shortJson } from '../../base/short-json.js'
import { show } from '../../base/show.js'

/** The most characters of a name, and of a code. */
const MAX_NAME = 100
/** The most characters of a message in a line about a cause, and in the first line of a stack that is cut. */
const MAX_SUMMARY = 200
const MAX_CAUSES = 5
const MAX_INNER_ERRORS = 3

/** What is read of an error. */
interface ReadError {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly code: string
}

/**
 * What was thrown as text, all of it together at most `limit` characters: the message has at most half of them, the
 * causes at most half of what is left then, and the stack the rest. Never throws, whatever was thrown.
 */
export function errorText(error: unknown, limit = 4096): RunError {
  const read = readError(error, limit)
  const name = cutText(read.name, Math.min(MAX_NAME, limit >> 3))
  const code = cutText(read.code, Math.min(MAX_NAME, limit >> 3))
  const message = cutText(read.message, limit >> 1)
  const room = limit - name.length - code.length - message.length
  const stack = stackText(read, causeLines(error), room)
  return code === '' ? { name, message, stack } : { name, message, stack, code }
}

function stackText(read: ReadError, causes: readonly string[], room: number): string | null {
  const kept: string[] = []
  let length = 0
  for (const line of causes) {
    // The causes in their order, without gaps.
    if (length + line.length + 1 > room >> 1) break
    kept.push(line)
    length += line.length + 1
  }
  if (read.stack !== null) kept.unshift(cutText(shortHead(read, read.stack, room - length), room - length))
  return kept.length === 0 ? null : kept.join('\n')
}

/** A stack with the message in it cut, where both have no room: its frames are worth more than a message that is known. */
function shortHead({ message }: ReadError, stack: string, room: number): string {
  if (stack.length <= room || message.length <= MAX_SUMMARY) return stack
  const start = stack.slice(0, MAX_NAME + 2 * MAX_SUMMARY).indexOf(message.slice(0, MAX_SUMMARY))
  const end = start + message.length
  if (start === -1 || stack[end] !== '\n') return stack
  return stack.slice(0, start) + cutText(message, MAX_SUMMARY) + stack.slice(end)
}

/** A line for each cause, the nearest first, with the first errors of those that have several. */
function causeLines(error: unknown): string[] {
  const lines: string[] = []
  const seen = new Set<unknown>()
  let each: unknown = error
  if (!isErrorLike(error)) return lines
  while (!seen.has(each) && lines.length < MAX_CAUSES) {
    seen.add(each)
    lines.push(...innerLines(each))
    each = read(each, 'cause')
    if (each === undefined || each === null) break
    lines.push(`[cause]: ${summary(each)}`)
  }
  return lines
}

function innerLines(error: unknown): string[] {
  const errors = read(error, 'errors')
  try {
    if (!isErrorLike(error) || !Array.isArray(errors)) return []
    const length = Number(errors.length)
    const first = Array.from({ length: Math.min(MAX_INNER_ERRORS, length) }, (_, index) => read(errors, String(index)))
    return first.map((each, index) => `[error ${index + 1} of ${length}]: ${summary(each)}`)
  } catch {
    return []
  }
}

function summary(error: unknown): string {
  const { name, message } = readError(error, MAX_SUMMARY)
  return `${cutText(name, MAX_NAME)}: ${cutText(message, MAX_SUMMARY)}`.replaceAll('\n', ' ')
}

function readError(error: unknown, limit: number): ReadError {
  if (!isErrorLike(error)) return { name: 'NonError', message: valueText(error, limit), stack: null, code: '' }
  const name = read(error, 'name')
  const message = read(error, 'message')
  const stack = read(error, 'stack')
  const code = read(error, 'code')
  return {
    name: typeof name === 'string' && name !== '' ? name : 'Error',
    message: message === undefined ? '' : valueText(message, limit),
    stack: typeof stack === 'string' && stack !== '' ? stack : null,
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : ''
  }
}

/** An error, of whichever realm, and what a library makes like one. An object with nothing but a message is none. */
function isErrorLike(value: unknown): boolean {
  try {
    if (typeof value !== 'object' || value === null) return false
    if (types.isNativeError(value) || value instanceof Error) return true
    const { name, message, stack } = value as Record<string, unknown>
    return typeof message === 'string' && (typeof name === 'string' || typeof stack === 'string')
  } catch {
    return false
  }
}

function valueText(value: unknown, limit: number): string {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null) return shortJson(value, limit) ?? 'an object without a JSON text'
  return typeof value === 'bigint' ? `${shortJson(value, limit)}` : show(value)
}

function read(object: unknown, key: string): unknown {
  try {
    return typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[key] : undefined
  } catch {
    return undefined
  }
}
