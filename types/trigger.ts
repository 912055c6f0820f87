import type { Duration } from './duration.js'

/**
 * A point in time: a `Date`, milliseconds since the Unix epoch, or an ISO 8601 string. A string without an offset is
 * read in the trigger's time zone, never in the process' own, so that every replica reads the same instant.
 */
export type DateInput = Date | number | string

/**
 * What `except` leaves out: a date without a time, such as `'2026-12-24'`, is that whole day of the calendar; any other
 * date is one instant; a trigger is all of its ticks.
 */
export type ExceptInput = DateInput | DateRangeInput | TriggerInput

/** All times from one date to another, both included; a date without a time is a whole day. */
export interface DateRangeInput {
  readonly from: DateInput
  readonly to: DateInput
}

/** What all triggers but a `date` share. */
export interface TriggerExceptions {
  /**
   * Ticks to leave out: up to 500 dates, ranges of dates and triggers, which are read in the trigger's time zone unless
   * they name another. Not with `after: 'completion'`, which has no ticks.
   *
   * @default []
   * @example ['2026-12-24', { from: '2026-12-31', to: '2027-01-06' }, { cron: '0 9 1-7 * +mon' }]
   */
  readonly except?: readonly ExceptInput[]
}

/** Bounds that `cron`, `interval` and `every` triggers share. */
export interface TriggerBounds extends TriggerExceptions {
  /** The earliest time a tick may have, inclusive. */
  readonly startDate?: DateInput
  /** The latest time a tick may have, inclusive. */
  readonly endDate?: DateInput
  /**
   * An IANA time zone.
   *
   * @default the scheduler's `timezone`
   */
  readonly timezone?: string
}

/**
 * APScheduler's cron fields. All fields must match. A field left out is `*` when it is more significant than the least
 * significant field given, else its minimum; `week` and `dayOfWeek` left out are `*`.
 *
 * Source: APScheduler's user guide, `apscheduler.triggers.cron`.
 */
export interface CronFields {
  /** 4-digit year. */
  readonly year?: number | string
  /** 1 to 12, or `jan` to `dec`, or `january` to `december`. */
  readonly month?: number | string
  /** 1 to 31, `last`, `2nd fri`, `last fri`. */
  readonly day?: number | string
  /** ISO week, 1 to 53. */
  readonly week?: number | string
  /** `mon` to `sun`, or `monday` to `sunday`. Numbers are refused, as systems disagree on which day is 0. */
  readonly dayOfWeek?: string
  /** 0 to 23. */
  readonly hour?: number | string
  /** 0 to 59. */
  readonly minute?: number | string
  /** 0 to 59. */
  readonly second?: number | string
}

/**
 * Ticks by a cron expression: 5 or 6 fields (seconds first), a nickname such as `@hourly`, or APScheduler's fields.
 * Syntax that another system reads differently is refused.
 */
export interface CronTriggerInput extends TriggerBounds {
  readonly cron: string | CronFields
}

/** Ticks on a fixed grid, counted from `startDate`, else from the Unix epoch plus `offset`; never from boot time. */
export interface IntervalTriggerInput extends TriggerBounds {
  readonly interval: Duration
  /**
   * How far the grid is shifted from the Unix epoch. Refused together with `startDate`, which anchors the grid itself.
   *
   * @default 0
   */
  readonly offset?: Duration
  /** `'completion'` measures the interval from the end of the job's last run, on whichever replica. */
  readonly after?: 'completion'
}

/**
 * The unit of a calendar trigger, one of the four, and how many of it lie between two ticks: up to a hundred years.
 */
export interface CalendarPeriod {
  readonly days?: number
  /** Weeks begin on Monday, as in ISO 8601. */
  readonly weeks?: number
  readonly months?: number
  readonly years?: number
}

/**
 * Ticks on the calendar of a time zone: every so many days, weeks, months or years, at a time of day. They are counted
 * from the day, week, month or year that `startDate` lies in, which is required where more than one is counted.
 *
 * Source: APScheduler's `CalendarIntervalTrigger`; counted as by `INTERVAL` of RFC 5545.
 */
export interface CalendarTriggerInput extends TriggerBounds {
  readonly every: CalendarPeriod
  /** The time of day, of 24 hours: `'09:00'` or `'09:00:30'`. */
  readonly at: string
  /**
   * The days, one or several. With `weeks` they are `mon` to `sun`, or `monday` to `sunday`. With `months` they are 1 to
   * 31, or `last`; a day that a month does not have is its last one. With `years` they are a month and a day, such as
   * `12-24`; `02-29` is the 28th in other years.
   *
   * @default the weekday, day of the month, or month and day of `startDate`
   */
  readonly on?: number | string | readonly (number | string)[]
}

/** A single tick. */
export interface DateTriggerInput {
  readonly date: DateInput
  readonly timezone?: string
}

/** What `any` and `all` triggers share. */
export interface TriggerList extends TriggerExceptions {
  /**
   * The IANA time zone of the list's triggers that name none, and of the dates in `except`.
   *
   * @default the scheduler's `timezone`
   */
  readonly timezone?: string
}

/** The ticks of all triggers in the list; equal times are one tick. */
export interface AnyTriggerInput extends TriggerList {
  readonly any: readonly TriggerInput[]
}

/** The times at which every trigger in the list has a tick. */
export interface AllTriggerInput extends TriggerList {
  readonly all: readonly TriggerInput[]
}

/** When a job is due, as an object. */
export type TriggerObject =
  | CronTriggerInput
  | IntervalTriggerInput
  | CalendarTriggerInput
  | DateTriggerInput
  | AnyTriggerInput
  | AllTriggerInput

/** When a job is due; a string is a cron expression. */
export type TriggerInput = TriggerObject | string

/**
 * When a job is due, as a pure value: it holds no timer and no clock, and triggers with the same `key` are
 * interchangeable.
 */
export interface Trigger {
  /** The trigger as a canonical string: equal triggers have equal keys, however they were written. */
  readonly key: string
  /** The interval in milliseconds if it is measured from the last run's end (`after: 'completion'`); else `null`. */
  readonly afterCompletion: number | null
  /**
   * The first tick strictly later than `after`, or `null` when there is none.
   *
   * @param after milliseconds since the Unix epoch; it need not be a tick
   */
  next(after: number): number | null
}

/** Options of `preview`. */
export interface PreviewOptions {
  /**
   * How many ticks to list, 1 to 10,000.
   *
   * @default 5
   */
  readonly count?: number
  /**
   * The time that all listed ticks are strictly later than.
   *
   * @default now
   */
  readonly from?: DateInput
}
