import type { CronFields } from '../../types/trigger.js'
import { show } from '../base/show.js'
import { CronInvalidError } from '../errors.js'
import { MONTHS, placeOf, WEEKDAYS } from './names.js'
import { isWeekEndUncertain, lengthOf, type ValueRange } from './wrapped.js'

export type FieldName = keyof CronFields

/** APScheduler's fields, the most significant first. */
export const FIELD_NAMES = ['year', 'month', 'day', 'week', 'dayOfWeek', 'hour', 'minute', 'second'] as const

/** The values each field may have, both ends included. */
export const RANGES: Readonly<Record<FieldName, ValueRange>> = {
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

const WEEKDAYS_FROM_MONDAY = [...WEEKDAYS.slice(1), WEEKDAYS[0] as string]
const POSITIONS = ['1st', '2nd', '3rd', '4th', '5th', 'last']
const MAX_LENGTH = 256

const STAR = /^\*(?:\/(\d{1,4}))?$/
const NUMBERS = /^(\d{1,4})(?:-(\d{1,4}))?(?:\/(\d{1,4}))?$/
const NAMES = /^([a-z]+)(?:-([a-z]+))?(?:\/(\d{1,4}))?$/
const POSITION = /^(1st|2nd|3rd|4th|5th|last) +([a-z]+)$/

/**
 * Reads one of APScheduler's fields: `*`, `a`, `a-b`, each with `/step`, names in `month` and `dayOfWeek`, and `last`,
 * `2nd fri` and `last fri` in `day`; several of them separated by commas. Weekdays must be names, as systems disagree
 * on whether 0 is Monday or Sunday.
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

/** The expression, or a string that says what is wrong with it. */
function readExpression(name: FieldName, text: string): FieldExpression | string {
  const { min, max } = RANGES[name]
  const star = STAR.exec(text)
  if (name === 'dayOfWeek' && (star === null ? /^\d/.test(text) : Number(star[1] ?? 1) > 1)) {
    return `names weekdays, as mon-fri or sat,sun, and not by numbers or steps: 0 is Monday for some, Sunday for others`
  }
  if (star !== null) return range(name, min, max, star[1], true)
  const numbers = NUMBERS.exec(text)
  if (numbers !== null) {
    const from = Number(numbers[1])
    const single = numbers[2] === undefined && numbers[3] === undefined
    return range(name, from, numbers[2] === undefined ? (single ? from : max) : Number(numbers[2]), numbers[3], false)
  }
  if (name === 'day' && text === 'last') return { kind: 'last' }
  const names = name === 'month' ? MONTHS : name === 'dayOfWeek' ? WEEKDAYS_FROM_MONDAY : null
  const named = NAMES.exec(text)
  if (names !== null && named !== null) return readNames(name, names, named)
  const position = name === 'day' ? POSITION.exec(text) : null
  if (position !== null) {
    const weekday = placeOf(position[2] as string, WEEKDAYS_FROM_MONDAY)
    if (weekday < 0) return `has an unknown weekday in \`${text}\``
    return { kind: 'position', nth: 1 + POSITIONS.indexOf(position[1] as string), weekday }
  }
  return `cannot be read at \`${text.slice(0, 50)}\``
}

function readNames(name: FieldName, names: readonly string[], parts: RegExpExecArray): FieldExpression | string {
  const { min, max } = RANGES[name]
  const [text, first, last, by] = parts
  const from = placeOf(first as string, names)
  const to = last === undefined ? (by === undefined ? from : max - min) : placeOf(last, names)
  if (from < 0 || to < 0) return `has an unknown name in \`${text}\``
  if (name === 'dayOfWeek' && last === undefined && by !== undefined && isWeekEndUncertain(from + 1, Number(by))) {
    return `has \`${text}\`, which ends on Saturday for some and on Sunday for others: name the days, or write a range`
  }
  return range(name, from + min, to + min, by, false)
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
  if (from > to && name === 'year') return 'has a range whose end is before its start'
  if (step === 0) return 'has a step of 0'
  const length = lengthOf(from, to, RANGES[name])
  if (by !== undefined && step > length) return `has a step larger than its range of ${length}`
  return { kind: 'range', from, to, step, star }
}

/** A field in canonical form. */
export function writeField(expressions: readonly FieldExpression[]): string {
  const texts = new Set(expressions.map(writeExpression))
  return texts.has('*') ? '*' : [...texts].join(',')
}

function writeExpression(expression: FieldExpression): string {
  if (expression.kind === 'last') return 'last'
  if (expression.kind === 'position')
    return `${POSITIONS[expression.nth - 1]} ${WEEKDAYS_FROM_MONDAY[expression.weekday]?.slice(0, 3)}`
  const { from, to, step, star } = expression
  const text = star ? '*' : from === to ? `${from}` : `${from}-${to}`
  return step === 1 ? text : `${text}/${step}`
}
