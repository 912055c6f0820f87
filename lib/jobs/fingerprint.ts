import type { Definition } from '../../types/coordination.js'

/** What the word of a date's trigger begins with. */
export const DATE_MARK = '@'

/** Whether the trigger is a date: it has one tick. */
export function isDate({ trigger }: Definition): boolean {
  return trigger.startsWith(DATE_MARK)
}

export function hasSameTrigger(a: Definition, b: Definition): boolean {
  return a === b || a.trigger === b.trigger
}

export function isSame(a: Definition, b: Definition): boolean {
  return a === b || (a.trigger === b.trigger && a.options === b.options)
}
