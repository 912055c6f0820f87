import { MONTHS, placeOf, WEEKDAYS } from './names.js'
import { isWeekEndUncertain, type ValueRange, valuesOf } from './wrapped.js'

/** A day counted back from the month's last one; with `weekday`, the nearest day from Monday to Friday. */
export interface LastDay {
  readonly back: number
  readonly weekday: boolean
}

/** An expression in words that croner, crontab(5) and all other systems read alike. */
export interface CronWords {
  /** Six words in canonical form. */
  readonly words: readonly string[]
  /** The words for croner, which does not know all of `lasts`. */
  readonly forCroner: readonly string[]
  readonly lasts: readonly LastDay[]
}

interface Field extends ValueRange {
  readonly name: string
  readonly names: readonly string[]
}

const DAY = 3
const DAY_OF_WEEK = 5
const FIELDS: readonly Field[] = [
  { name: 'second', min: 0, max: 59, names: [] },
  { name: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', min: 0, max: 23, names: [] },
  { name: 'day', min: 1, max: 31, names: [] },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  // 7 is Sunday too, as in crontab(5).
  { name: 'dayOfWeek', min: 0, max: 7, names: WEEKDAYS }
]

const NICKNAMES: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
  '@minutely': '* * * * *',
  '@secondly': '* * * * * *'
}

/** What other systems write around or instead of an expression, and what to write here. */
const ELSEWHERE: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(cron_)?tz=/, "a time zone is an option of its own here: write { cron: '...', timezone: '...' }"],
  [/^cron\(/, 'write 5 fields without `cron(...)` around them: the last of EventBridge is the year'],
  [/^rate\(/, "write it as an interval: { interval: '5m' }"],
  [/^at\(/, "write it as a date: { date: '2027-01-01T12:00' }"],
  [/^@every\b/, "write it as an interval: { interval: '5m' }"],
  [/^@reboot$/, 'a start has no time that replicas could agree on: call `trigger(id)` where the app has started']
]

const RANGE = /^(\*|[a-z]+|\d{1,4})(?:-([a-z]+|\d{1,4}))?(?:\/(\d{1,4}))?$/
const LAST = /^l(?:-(\d{1,2}))?(w?)$/
const NEAREST = /^(\d{1,2})w$/
const NTH = /^(.+?)(#[1-5l]|l)$/
const HASHED = /^h(\(.*\))?(\/\d+)?$|~/

/**
 * Reads the words of an expression. Syntax with one meaning everywhere is rewritten in words that all systems know:
 * names, ranges that go past a field's end, steps from a value on. Syntax that another system reads differently is
 * refused.
 *
 * @throws WordError which says what to write instead
 */
export function readWords(text: string): CronWords {
  const pattern = text.trim().toLowerCase()
  const elsewhere = ELSEWHERE.find(([found]) => found.test(pattern))
  if (elsewhere !== undefined) throw new WordError(elsewhere[1])
  const given = expand(pattern).split(/\s+/)
  if (given.length === 7) {
    throw new WordError('expected 5 or 6 fields: leave out the year, which `startDate` and `endDate` can bound')
  }
  if (given.length === 5) given.unshift('0')
  if (given.length !== 6 || given.includes('')) throw new WordError('expected 5 or 6 fields, or a nickname')
  checkQuestionMarks(given)
  const lasts: LastDay[] = []
  const words: string[] = []
  const forCroner: string[] = []
  for (const [index, word] of given.entries()) {
    const both = index === DAY_OF_WEEK && word.startsWith('+') ? '+' : ''
    const parts = word.slice(both.length).split(',')
    const read = parts.map((part) => readPart(part === '?' ? '*' : part, index, lasts))
    words.push(both + read.join(','))
    const numbered = index === DAY ? read.filter((part) => !LAST.test(part)) : read
    forCroner.push(both + (numbered.length > 0 ? numbered.join(',') : 'l'))
  }
  return { words, forCroner, lasts }
}

/** Why words cannot be read. */
export class WordError extends Error {}

function expand(pattern: string): string {
  if (!pattern.startsWith('@')) return pattern
  const expanded = Object.hasOwn(NICKNAMES, pattern) ? NICKNAMES[pattern] : undefined
  if (expanded === undefined) throw new WordError(`known nicknames are ${Object.keys(NICKNAMES).join(', ')}`)
  return expanded
}

/**
 * In Quartz and EventBridge `?` is one of the two day fields; anywhere else, the fields are in another order than ours.
 */
function checkQuestionMarks(words: readonly string[]): void {
  for (const [index, word] of words.entries()) {
    if (!word.includes('?')) continue
    if (index !== DAY && index !== DAY_OF_WEEK) {
      throw new WordError(
        `\`?\` may only be the day of month or of week, and is the ${(FIELDS[index] as Field).name} here: ` +
          'of six fields that begin with the minute (EventBridge) leave out the last one, the year'
      )
    }
    if (word !== '?') throw new WordError(`\`?\` stands alone, and not in \`${word}\``)
  }
  const weekdays = (words[DAY_OF_WEEK] as string).replace(/[#/]\d+/g, '')
  if (words[DAY] === '?' && /\d/.test(weekdays)) {
    throw new WordError(
      'beside `?` weekdays are written by their names, such as mon-fri: where `?` comes from (Quartz, EventBridge) ' +
        '1 is Sunday, and here it is Monday'
    )
  }
}

/** One of the parts that a comma separates, in canonical form. */
function readPart(text: string, index: number, lasts: LastDay[]): string {
  const field = FIELDS[index] as Field
  const { name } = field
  if (text === '') throw new WordError(`\`${name}\` has an empty part`)
  if (HASHED.test(text)) {
    throw new WordError(
      `\`${name}\` has \`${shorten(text)}\`, a time that is chosen for each job: write a time, and spread jobs by \`jitter\``
    )
  }
  if (index === DAY) {
    const last = LAST.exec(text)
    if (last !== null) {
      const back = Number(last[1] ?? 0)
      if (back > 30) throw new WordError(`\`${name}\` must be from l-1 to l-30 at \`${text}\``)
      lasts.push({ back, weekday: last[2] === 'w' })
      return text
    }
    const nearest = NEAREST.exec(text)
    if (nearest !== null) return `${inRange(Number(nearest[1]), text, field)}w`
  }
  if (index === DAY_OF_WEEK && text === 'l') {
    throw new WordError(`\`${name}\` has \`l\` without a weekday: name it, as in \`fril\`, the month's last Friday`)
  }
  const nth = index === DAY_OF_WEEK ? NTH.exec(text) : null
  if (nth === null) return readRange(text, field).join(',')
  if ((nth[1] as string).includes('*')) throw new WordError(`\`${name}\` cannot be read at \`${shorten(text)}\``)
  const suffix = nth[2] === '#l' ? 'l' : nth[2]
  return readRange(nth[1] as string, field)
    .map((part) => `${part}${suffix}`)
    .join(',')
}

/** Rewrites `*`, a value or a range, with or without a step, as ranges that croner knows. */
function readRange(text: string, field: Field): string[] {
  const { name, min, max } = field
  const parts = RANGE.exec(text)
  if (parts === null || (parts[1] === '*' && parts[2] !== undefined)) {
    throw new WordError(`\`${name}\` cannot be read at \`${shorten(text)}\``)
  }
  const [, first, second] = parts as unknown as [string, string, string | undefined]
  const step = parts[3] === undefined ? 1 : Number(parts[3])
  const count = name === 'dayOfWeek' ? 7 : max - min + 1
  if (step === 0) throw new WordError(`\`${name}\` has a step of 0`)
  if (step > count) throw new WordError(`\`${name}\` has a step of ${step}, and only ${count} values`)
  if (first === '*') return [step === 1 ? '*' : `*/${step}`]
  if (second !== undefined && /\d/.test(first) !== /\d/.test(second)) {
    throw new WordError(`\`${name}\` has a number and a name in one range at \`${shorten(text)}\``)
  }
  const from = readValue(first, text, field)
  if (second === undefined && parts[3] === undefined) return [String(from)]
  if (second === undefined && name === 'dayOfWeek' && isWeekEndUncertain(from, step)) {
    throw new WordError(
      `\`${name}\` has \`${text}\`, which ends on Saturday for some and on Sunday for others: name the days, or write a range`
    )
  }
  const to = second === undefined ? (name === 'dayOfWeek' ? 6 : max) : readValue(second, text, field)
  return rangeTexts(from, to, step, field)
}

/** @throws WordError when it is out of the field's range */
function readValue(text: string, part: string, field: Field): number {
  if (/^\d/.test(text)) return inRange(Number(text), part, field)
  const place = placeOf(text, field.names)
  if (place < 0) throw new WordError(`\`${field.name}\` has an unknown name at \`${shorten(part)}\``)
  return field.min + place
}

function inRange(value: number, part: string, { name, min, max }: Field): number {
  if (value >= min && value <= max) return value
  const isYear = name === 'dayOfWeek' && value >= 1970
  const hint = isYear ? '. An expression has no year: use `startDate` and `endDate`, or an object with `year`' : ''
  throw new WordError(`\`${name}\` must be from ${min} to ${max} at \`${shorten(part)}\`${hint}`)
}

/** A range, or two if it goes past the field's end. */
function rangeTexts(first: number, to: number, step: number, field: Field): string[] {
  const isWeek = field.name === 'dayOfWeek'
  const from = isWeek && first > to ? first % 7 : first
  if (from <= to) return [rangeText(from, to, step)]
  const range = isWeek ? { min: 0, max: 6 } : field
  if (step > 1) return valuesOf(from, to, step, range).map(String)
  return [rangeText(from, range.max, 1), rangeText(range.min, to, 1)]
}

function rangeText(from: number, to: number, step: number): string {
  if (step > to - from) return String(from)
  return step === 1 ? `${from}-${to}` : `${from}-${to}/${step}`
}

function shorten(text: string): string {
  return text.slice(0, 50)
}
