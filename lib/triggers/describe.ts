import type {
  CalendarTriggerInput,
  CronFields,
  DateInput,
  IntervalTriggerInput,
  TriggerInput,
  TriggerObject
} from '../../types/trigger.js'
import { cutText } from '../base/cut-text.js'
import { DAY, HOUR, MINUTE, parseDuration, SECOND, WEEK } from '../base/duration.js'
import { readWords } from './cron-words.js'
import { readDate } from './dates.js'

/** A cron expression in words; it throws for what it cannot read. */
export type CronInWords = (expression: string) => string

/** When a job is due, for people. */
export interface DescribedTrigger {
  /** Such as `Every 10 minutes`; at most 120 characters. */
  readonly schedule: string
  /** The time zone that it is read in; `null` where it is the same in every zone. */
  readonly timezone: string | null
}

const MAX_LENGTH = 120
/** How many triggers of a list are told. */
const MAX_LISTED = 3

let cronInWords: Promise<CronInWords> | null = null

/** Loads what puts a cron expression into words: 30 ms, which who asks for no words need not wait for. */
export function loadCronInWords(): Promise<CronInWords> {
  cronInWords ??= import('cronstrue').then(({ default: loaded }) => {
    // What an import gives of a CommonJS module with a default export is not the same in every bundler.
    const { toString: inWords } = (loaded as unknown as { default?: typeof loaded }).default ?? loaded
    return (expression) => inWords(expression, { use24HourTimeFormat: true, verbose: false })
  })
  return cronInWords
}

/**
 * Describes a trigger, which has been checked.
 *
 * @param timezone that of a trigger which names none
 */
export function describeTrigger(
  trigger: TriggerInput | null,
  timezone: string,
  inWords: CronInWords
): DescribedTrigger {
  if (trigger === null) return { schedule: 'By hand only', timezone: null }
  const input = typeof trigger === 'string' ? { cron: trigger } : trigger
  const zone = input.timezone ?? timezone
  const { words, isLocal } = describe(input, zone, inWords)
  const hasExceptions = 'except' in input && (input.except?.length ?? 0) > 0
  return {
    schedule: cutText(hasExceptions ? `${words}, with exceptions` : words, MAX_LENGTH),
    timezone: isLocal ? zone : null
  }
}

interface Words {
  readonly words: string
  /** Whether it depends on the time zone when it is due. */
  readonly isLocal: boolean
}

function describe(input: TriggerObject, zone: string, inWords: CronInWords): Words {
  if ('interval' in input) return { words: ofInterval(input), isLocal: false }
  if ('every' in input) return { words: ofCalendar(input), isLocal: true }
  if ('date' in input) return { words: `Once, on ${localDate(input.date, zone)}`, isLocal: true }
  if ('cron' in input) return ofCron(input.cron, inWords)
  const list = 'any' in input ? input.any : input.all
  const parts = list.map((part) => describeTrigger(part, zone, inWords))
  const told = parts.slice(0, MAX_LISTED).map(({ schedule }, index) => (index === 0 ? schedule : lower(schedule)))
  if (parts.length > MAX_LISTED) told.push(`${parts.length - MAX_LISTED} more`)
  const words = told.join('any' in input ? '; ' : ' and at once ')
  return { words, isLocal: parts.some((part) => part.timezone !== null) }
}

function ofInterval({ interval, offset, after }: IntervalTriggerInput): string {
  const period = parseDuration(interval, 'interval')
  if (after === 'completion') return `${inUnits(period)} after the last run has ended`
  const shift = offset === undefined ? 0 : parseDuration(offset, 'offset') % period
  if (period === HOUR && shift % MINUTE === 0 && shift > 0) return `Every hour at :${two(shift / MINUTE)}`
  const every = `Every ${inUnits(period, true)}`
  return shift === 0 ? every : `${every}, ${inUnits(shift)} later`
}

const CALENDAR_UNITS = { days: 'day', weeks: 'week', months: 'month', years: 'year' } as const

function ofCalendar({ every, at, on }: CalendarTriggerInput): string {
  const [unit, count] = Object.entries(every)[0] as [keyof typeof CALENDAR_UNITS, number]
  const name = CALENDAR_UNITS[unit]
  const days = on === undefined ? '' : ` on ${[on].flat().join(', ')}`
  return `Every ${count === 1 ? name : `${count} ${name}s`}${days} at ${at}`
}

function ofCron(cron: string | CronFields, inWords: CronInWords): Words {
  if (typeof cron !== 'string') {
    const fields = Object.entries(cron).map(([field, value]) => `${FIELD_NAMES[field] ?? field} ${value}`)
    return { words: `At ${fields.join(', ')}`, isLocal: true }
  }
  const { words } = readWords(cron)
  const [second, minute, hour, ...days] = words as [string, string, string, string, string, string]
  const isDaily = days.every((word) => word === '*')
  const isLocal = !isDaily || hour !== '*' || !/^\*(\/\d+)?$/.test(minute)
  if (isDaily && second === '0') {
    const short = ofTimes(minute, hour)
    if (short !== null) return { words: short, isLocal }
  }
  // It knows names in capital letters only; without a leading `0` it is told without the seconds.
  const expression = (second === '0' ? words.slice(1) : words).join(' ').toUpperCase()
  try {
    return { words: inWords(expression), isLocal }
  } catch {
    return { words: cron, isLocal }
  }
}

const FIELD_NAMES: Readonly<Record<string, string>> = { dayOfWeek: 'weekday' }

/** How many times of a day are listed. */
const MAX_TIMES = 6

/** Times of the day, of which cronstrue makes more words than a row has room for; `null` for others. */
function ofTimes(minute: string, hour: string): string | null {
  if (!/^\d+$/.test(minute)) return null
  if (hour === '*') return minute === '0' ? 'Every hour' : `Every hour at :${two(minute)}`
  if (!/^\d+(,\d+)*$/.test(hour)) return null
  const times = hour.split(',').map((each) => `${two(each)}:${two(minute)}`)
  if (times.length === 1) return `Every day at ${times[0]}`
  return times.length <= MAX_TIMES ? times.join(', ') : null
}

function two(value: number | string): string {
  return String(value).padStart(2, '0')
}

function lower(words: string): string {
  return words.charAt(0).toLowerCase() + words.slice(1)
}

const UNITS: readonly (readonly [length: number, name: string])[] = [
  [WEEK, 'week'],
  [DAY, 'day'],
  [HOUR, 'hour'],
  [MINUTE, 'minute'],
  [SECOND, 'second'],
  [1, 'millisecond']
]

/**
 * A duration in the largest units that it is a whole number of, such as `90 minutes`.
 *
 * @param isSingle whether one of a unit is told without its number: `hour` for `1 hour`
 */
function inUnits(duration: number, isSingle = false): string {
  const [length, name] = UNITS.find(([each]) => duration % each === 0) as (typeof UNITS)[number]
  const count = duration / length
  if (count === 1) return isSingle ? name : `1 ${name}`
  return `${count} ${name}s`
}

function localDate(date: DateInput, zone: string): string {
  const time = readDate(date, 'date', zone)
  const parts = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: zone })
  return parts.format(time)
}
