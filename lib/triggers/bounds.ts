import { show } from '../base/show.js'
import { TriggerInvalidError } from '../errors.js'
import { readDate } from './dates.js'

/** The range a trigger's ticks lie in, both ends included; infinite where it is open. */
export interface Bounds {
  readonly start: number
  readonly end: number
}

/**
 * Reads `startDate` and `endDate`.
 *
 * @throws DateInvalidError, TriggerInvalidError when the start is later than the end
 */
export function readBounds(options: Readonly<Record<string, unknown>>, timezone: string): Bounds {
  const { startDate, endDate } = options
  const start = startDate === undefined ? Number.NEGATIVE_INFINITY : readDate(startDate, 'startDate', timezone)
  const end = endDate === undefined ? Number.POSITIVE_INFINITY : readDate(endDate, 'endDate', timezone)
  if (start > end) {
    throw new TriggerInvalidError('`startDate` must not be later than `endDate`', show({ startDate, endDate }))
  }
  return { start, end }
}

/** The bounds as part of a trigger's key. */
export function boundsKey({ start, end }: Bounds): string {
  return `${start === Number.NEGATIVE_INFINITY ? '' : ` from ${start}`}${end === Number.POSITIVE_INFINITY ? '' : ` to ${end}`}`
}
