import type { Fingerprint } from '../../types/coordination.js'

/** The first character of a fingerprint's `trigger` if the trigger is a date. */
export const DATE_MARK = '@'

/** Whether the trigger is a date, which has a single tick. */
export function isDate({ trigger }: Fingerprint): boolean {
  return trigger.startsWith(DATE_MARK)
}

export function hasSameTrigger(a: Fingerprint, b: Fingerprint): boolean {
  return a === b || a.trigger === b.trigger
}

export function isSame(a: Fingerprint, b: Fingerprint): boolean {
  return a === b || (a.trigger === b.trigger && a.options === b.options)
}
