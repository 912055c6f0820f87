import type { Trigger } from '../../types/trigger.js'

// Intervals that are measured from the end of the last run (`after: 'completion'`). They have no ticks of their own: when one is
// due depends on when the last run ended, on whichever replica, and only the store knows that. The trigger says only how long
// the interval is, and by its bounds when it may be due. lib/dispatch/completion.ts makes such jobs due.

/** Whether a trigger is such an interval, which has no ticks of its own. */
export function isFromCompletion({ afterCompletion }: Trigger): boolean {
  return afterCompletion !== null
}

/** Whether a time may be a tick of a trigger: of such an interval any time may. */
export function mayBeTick(trigger: Trigger, time: number): boolean {
  return isFromCompletion(trigger) || trigger.next(time - 1) === time
}

/** The earliest time at which such an interval may be due, by its `startDate`. */
export function earliestOf(trigger: Trigger): number {
  return Math.max(0, trigger.next(Number.MIN_SAFE_INTEGER) ?? 0)
}
