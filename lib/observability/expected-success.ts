import type { Trigger } from '../../types/trigger.js'
import { MINUTE } from '../base/duration.js'
import type { JobDefinition } from '../jobs/definition.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import { isByHand, isFromCompletion } from '../triggers/index.js'

/** What is known of a job's runs, in milliseconds since the Unix epoch. */
export interface KnownRuns {
  /** When the last successful run ended; `null` before the first. */
  readonly lastSuccess: number | null
  /** When the first run ended, whatever its outcome; `null` before. */
  readonly firstEnd: number | null
  /** Since when the fleet has had the job; `null` where that is not known. */
  readonly since: number | null
  /** When the job was resumed; `null` where it was not. */
  readonly resumedAt: number | null
  /** How long the longest successful run took, in milliseconds. */
  readonly longest: number
}

/**
 * By when a job's next run is to have succeeded: the first tick since its last success, with all that may lie between that and the
 * run's end. `null` for a job that has no such tick. What a scrape compares with the present to see that a job is overdue, also
 * one that has never succeeded.
 */
export function expectedSuccess(
  { misfireGraceTime, timeout, jitter }: Pick<JobDefinition, 'misfireGraceTime' | 'timeout' | 'jitter'>,
  trigger: Trigger,
  known: KnownRuns
): number | null {
  if (isByHand(trigger)) return null
  const began = known.lastSuccess ?? earliest(known.since, known.firstEnd)
  if (began === null) return null
  const from = Math.max(began, known.resumedAt ?? began)
  const tick = isFromCompletion(trigger) ? from + (trigger.afterCompletion ?? 0) : trigger.next(from)
  if (tick === null) return null
  const grace = misfireGraceTime ?? graceOf(trigger, tick)
  return tick + jitter + grace + (timeout || Math.max(MINUTE, 2 * known.longest))
}

/** The default grace of a tick: it ends before the next one. */
export function graceOf(trigger: Trigger, tick: number): number {
  if (isFromCompletion(trigger)) return DEFAULT_GRACE
  const following = trigger.next(tick)
  return following === null ? DEFAULT_GRACE : Math.min(DEFAULT_GRACE, following - tick)
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.min(a, b)
}
