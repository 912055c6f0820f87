import type { Fingerprint } from '../../types/coordination.js'

/** What the word of a date's trigger begins with. */
export const DATE_MARK = '@'

/** Whether the trigger is a date: it has one tick. */
export function isDate({ trigger }: Fingerprint): boolean {
  return trigger.startsWith(DATE_MARK)
}

export function hasSameTrigger(a: Fingerprint, b: Fingerprint): boolean {
  return a === b || a.trigger === b.trigger
}

export function isSame(a: Fingerprint, b: Fingerprint): boolean {
  return a === b || (a.trigger === b.trigger && a.options === b.options)
}
