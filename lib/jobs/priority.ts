import type { Priority } from '../../types/job-options.js'

/** All priorities, the highest first. A job's lane is its priority's place in this list. */
export const PRIORITIES = ['high', 'normal', 'low'] as const satisfies readonly Priority[]

/** The lane of the lowest priority. */
export const LOW_LANE = PRIORITIES.indexOf('low')

/** A job's lane: 0 for the highest priority. */
export function laneOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority)
}
