/**
 * A length of time: milliseconds as a non-negative integer, a string with a unit that the `ms` package reads (`'5m'`,
 * `'300s'`, `'1.5h'`), or its parts, which are added up.
 *
 * @example
 * 300_000
 * '5m'
 * { minutes: 5 }
 * { hours: 1, minutes: 30 }
 */
export type Duration = number | string | DurationParts

/** A length of time by its parts. Each part is a non-negative number; at least one is given. */
export interface DurationParts {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
}
