import type { CronFields } from '../../types/trigger.js'
import { CronInvalidError } from '../errors.js'
import { show } from '../show.js'

export type FieldName = keyof CronFields

/** APScheduler's fields, the most significant first. */
export const FIELD_NAMES = ['year', 'month', 'day', 'week', 'dayOfWeek', 'hour', 'minute', 'second'] as const

/** What each field's values range over, both ends included. */
export const RANGES: Readonly<Record<FieldName, { readonly min: number; readonly max: number }>> = {
  year: { min: 1970, max: 9999 },
  month: { min: 1, max: 12 },
  day: { min: 1, max: 31 },
  week: { min: 1, max: 53 },
  dayOfWeek: { min: 0, max: 6 },
  hour: { min: 0, max: 23 },
  minute: { min: 0, max: 59 },
  second: { min: 0, max: 59 }
}

/** One of the comma-separated expressions of a field. */
export type FieldExpression =
  | {
      readonly kind: 'range'
      readonly from: number
      readonly to: number
      readonly step: number
      readonly star: boolean
    }
  /** The month's last day. */
  | { readonly kind: 'last' }
  /** The nth weekday of the month, 6 for the last; weekday 0 is Monday. */
  | { readonly kind: 'position'; readonly nth: number; readonly weekday: number }

const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const POSITIONS = ['1st', '2nd', '3rd', '4th', '5th', 'last']
const MAX_LENGTH = 256

const STAR = /^\*(?:\/(\d{1,4}))?$/
const NUMBERS = /^(\d{1,4})(?:-(\d{1,4}))?(?:\/(\d{1,4}))?$/
const NAMES = /^([a-z]{3})(?:-([a-z]{3}))?$/
const POSITION = /^(1st|2nd|3rd|4th|5th|last) +([a-z]{3})$/

/**
 * Reads one of APScheduler's fields: `*`, `a`, `a-b`, each with `/step`, names in `month` and `dayOfWeek`, and `last`,
 * `2nd fri` and `last fri` in `day`; several of them separated by commas.
 *
 * @throws CronInvalidError which names the field and the value
 */
export function readField(name: FieldName, value: unknown): FieldExpression[] {
  const fail = (reason: string): Error => new CronInvalidError(show(value), `\`${name}\` ${reason}`)
  if (typeof value === 'number' && !Number.isInteger(value)) throw fail('must be a whole number')
  if (typeof value !== 'number' && typeof value !== 'string') throw fail('must be a number or a string')
  const text = String(value).trim().toLowerCase()
  if (text.length > MAX_LENGTH) throw fail(`is longer than ${MAX_LENGTH} characters`)
  return text.split(/ *, */).map((part) => {
    const expression = readExpression(name, part)
    if (typeof expression === 'string') throw fail(expression)
    return expression
  })
}

/** The expression, or what is wrong with it. */
function readExpression(name: FieldName, text: string): FieldExpression | string {
  const { min, max } = RANGES[name]
  const star = STAR.exec(text)
  if (star !== null) return range(name, min, max, star[1], true)
  const numbers = NUMBERS.exec(text)
  if (numbers !== null) {
    const from = Number(numbers[1])
    const single = numbers[2] === undefined && numbers[3] === undefined
    return range(name, from, numbers[2] === undefined ? (single ? from : max) : Number(numbers[2]), numbers[3], false)
  }
  const names = name === 'month' ? MONTHS : name === 'dayOfWeek' ? WEEKDAYS : null
  const named = NAMES.exec(text)
  if (names !== null && named !== null) {
    const from = names.indexOf(named[1] as string)
    const to = named[2] === undefined ? from : names.indexOf(named[2])
    if (from < 0 || to < 0) return `has an unknown name in \`${text}\``
    return range(name, from + min, to + min, undefined, false)
  }
  if (name === 'day' && text === 'last') return { kind: 'last' }
  const position = name === 'day' ? POSITION.exec(text) : null
  if (position !== null) {
    const weekday = WEEKDAYS.indexOf(position[2] as string)
    if (weekday < 0) return `has an unknown weekday in \`${text}\``
    return { kind: 'position', nth: 1 + POSITIONS.indexOf(position[1] as string), weekday }
  }
  return `cannot be read at \`${text.slice(0, 50)}\``
}

function range(
  name: FieldName,
  from: number,
  to: number,
  by: string | undefined,
  star: boolean
): FieldExpression | string {
  const { min, max } = RANGES[name]
  const step = by === undefined ? 1 : Number(by)
  if (from < min || from > max || to < min || to > max) return `must be from ${min} to ${max}`
  if (from > to) return 'has a range whose end is before its start'
  if (step === 0) return 'has a step of 0'
  if (by !== undefined && step > to - from) return `has a step larger than its range of ${to - from}`
  return { kind: 'range', from, to, step, star }
}

/** A field in canonical form. */
export function writeField(expressions: readonly FieldExpression[]): string {
  const texts = new Set(expressions.map(writeExpression))
  return texts.has('*') ? '*' : [...texts].join(',')
}

function writeExpression(expression: FieldExpression): string {
  if (expression.kind === 'last') return 'last'
  if (expression.kind === 'position') return `${POSITIONS[expression.nth - 1]} ${WEEKDAYS[expression.weekday]}`
  const { from, to, step, star } = expression
  const text = star ? '*' : from === to ? `${from}` : `${from}-${to}`
  return step === 1 ? text : `${text}/${step}`
}
