import { TriggerNeverError, TriggerUndecidedError } from '../errors.js'
import type { Budget } from './budget.js'
import type { TickSource } from './source.js'

// Where the search for a first tick begins: first by the time zones' rules that jobs meet, then by those of the years
// before, as far back as `PAST` when the trigger has no bound. Fixed, so that every replica decides the same.
const PRESENT = Date.UTC(2026, 0, 1)
const PAST = Date.UTC(2000, 0, 1)
const MAX_KEY_SHOWN = 400
const YEAR = 366 * 86_400_000

/** The time after which a trigger's first tick is searched for. */
export function searchStart({ first, last }: Pick<TickSource, 'first' | 'last'>): number {
  return first === Number.NEGATIVE_INFINITY ? Math.min(PAST, last - 30 * YEAR) : first - 1
}

/**
 * Refuses a trigger that has no tick, as far as that can be found out.
 *
 * @param budget what the search may cost
 * @param doubt what to say of a trigger that may have a tick beyond the budget
 * @throws TriggerNeverError when it has none, TriggerUndecidedError when none was found within the budget
 */
export function requireTick(trigger: TickSource, budget: Budget, doubt: string): void {
  const start = searchStart(trigger)
  if (trigger.next(Math.max(start, PRESENT), budget) !== null) return
  if (start < PRESENT && trigger.next(start, budget) !== null) return
  const key = trigger.key.slice(0, MAX_KEY_SHOWN)
  throw budget.isSpent ? new TriggerUndecidedError(key, doubt) : new TriggerNeverError(key)
}
