import type { Trigger } from '../../types/trigger.js'

// Completion intervals (`after: 'completion'`) are measured from the end of the last run. They have no ticks of their
// own: when one is due depends on when the last run ended, on whichever replica, and only the store knows that. The
// trigger knows only the interval's length, and by its bounds when it may be due. lib/dispatch/completion.ts makes such
// jobs due.

/** Whether a trigger is a completion interval, which has no ticks of its own. */
export function isFromCompletion({ afterCompletion }: Trigger): boolean {
  return afterCompletion !== null
}

/** Whether a time may be a tick of a trigger; of a completion interval, any time may. */
export function mayBeTick(trigger: Trigger, time: number): boolean {
  return isFromCompletion(trigger) || trigger.next(time - 1) === time
}

/** The earliest time at which a completion interval may be due, by its `startDate`. */
export function earliestOf(trigger: Trigger): number {
  return Math.max(0, trigger.next(Number.MIN_SAFE_INTEGER) ?? 0)
}
