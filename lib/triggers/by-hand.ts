import type { Trigger } from '../../types/trigger.js'

/** Stands for the trigger of a job that has none and runs by hand only: it never has a tick. */
export const BY_HAND: Trigger = Object.freeze({ key: 'by hand', afterCompletion: null, next: () => null })

/** Whether a trigger stands for none. */
export function isByHand(trigger: Trigger): boolean {
  return trigger === BY_HAND
}
