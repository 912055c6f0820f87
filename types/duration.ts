/**
 * A length of time: a non-negative integer of milliseconds, a string with a unit that the `ms` package reads (`'5m'`,
 * `'300s'`, `'1.5h'`), or an object of parts, which are added up.
 *
 * @example
 * 300_000
 * '5m'
 * { minutes: 5 }
 * { hours: 1, minutes: 30 }
 */
export type Duration = number | string | DurationParts

/** A length of time as the sum of its parts: non-negative numbers, at least one of them. */
export interface DurationParts {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
}
