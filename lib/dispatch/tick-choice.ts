import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { countTicks, jitterOf, latestTick } from '../triggers/index.js'
import { isMissed } from './claim-request.js'

/** The most late ticks of a job that are run one after the other with `coalesce: 'all'`. */
const MAX_CATCH_UP = 1000

/** The one of several late ticks to request, and the latest tick that is claimed together with it. */
export interface TickChoice {
  readonly tick: DueTick
  readonly coversUntil: number
}

/**
 * Chooses the tick to request among the due ticks of a job, from `latest.firstLate` to `latest`, by its `coalesce`. A
 * tick beyond its grace is chosen only if it is the latest and none is within its grace.
 *
 * @returns `null` to request the latest, which stands for all of them
 */
export function chooseTick(job: JobRecord, latest: DueTick, now: number): TickChoice | null {
  const { coalesce, misfireGraceTime, jitter } = job.definition
  const coversUntil = latest.scheduledTime
  // The default grace ends before the next tick, so at most one tick is within it.
  if (coalesce === 'latest' || misfireGraceTime === null || latest.firstLate >= coversUntil) return null
  const { trigger } = job
  let scheduledTime = job.nextTick(Math.max(latest.firstLate, Math.ceil(now - misfireGraceTime - jitter)) - 1)
  if (coalesce === 'all' && scheduledTime !== null) {
    const surplus = countTicks(trigger, scheduledTime, coversUntil) + 2 - MAX_CATCH_UP
    for (let count = 0; count < surplus && scheduledTime !== null; count++) scheduledTime = job.nextTick(scheduledTime)
  }
  if (scheduledTime === null || scheduledTime >= coversUntil) return null
  let tick = lateTick(job, scheduledTime, latest.firstLate, latest.caughtUp)
  // The search above allowed for the longest jitter; this tick's own may be shorter, and its grace over.
  while (isMissed(job, tick, now)) {
    const next = job.nextTick(tick.scheduledTime)
    if (next === null || next >= coversUntil) break
    tick = lateTick(job, next, latest.firstLate, latest.caughtUp)
  }
  if (isMissed(job, tick, now)) return null
  return { tick, coversUntil: coalesce === 'all' ? tick.scheduledTime : coversUntil }
}

/**
 * Chooses the latest tick that has waited for the lock beyond its grace, for a job whose ticks wait (`coalesce:
 * 'all'`), so that it and those before it are counted while the run that they wait for is still active.
 *
 * @returns `null` when there is no such tick before `latest`
 */
export function chooseOverdue(job: JobRecord, latest: DueTick, now: number): TickChoice | null {
  const { coalesce, misfireGraceTime, jitter } = job.definition
  const { trigger } = job
  const { firstLate } = latest
  if (coalesce !== 'all' || job.lastHeld === null || firstLate >= latest.scheduledTime) return null
  if (!isMissed(job, lateTick(job, firstLate, firstLate, latest.caughtUp), now)) return null
  const last = latest.scheduledTime - 1
  const until = misfireGraceTime === null ? last : Math.min(last, Math.ceil(now - misfireGraceTime - jitter) - 1)
  const scheduledTime = latestTick(trigger, firstLate - 1, until) ?? firstLate
  const tick = lateTick(job, scheduledTime, firstLate, latest.caughtUp)
  if (job.nextTick(scheduledTime - 1) !== scheduledTime || !isMissed(job, tick, now)) return null
  return { tick, coversUntil: scheduledTime }
}

/** A late tick, as the timetable would have made it. */
export function lateTick(job: JobRecord, scheduledTime: number, firstLate: number, caughtUp: boolean): DueTick {
  const following = job.trigger.next(scheduledTime)
  const period = following === null ? null : following - scheduledTime
  const dueTime = scheduledTime + jitterOf(job.id, scheduledTime, job.definition.jitter, period)
  return { scheduledTime, dueTime, following, firstLate, preceding: null, caughtUp }
}
