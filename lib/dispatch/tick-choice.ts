import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { countTicks, jitterOf, latestTick } from '../triggers/index.js'
import { isMissed } from './claim-request.js'

/** How many late ticks of a job are run one after the other with `coalesce: 'all'`. */
const MAX_CATCH_UP = 1000

/** The tick of several late ones that is to be asked for, and the latest one that is taken with it. */
export interface TickChoice {
  readonly tick: DueTick
  readonly coversUntil: number
}

/**
 * Chooses among the due ticks of a job from `latest.firstLate` to `latest`, by its `coalesce`. Ticks beyond their grace are
 * not chosen, but for the latest when there is no other.
 *
 * @returns `null` for the latest, which stands for all
 */
export function chooseTick(job: JobRecord, latest: DueTick, now: number): TickChoice | null {
  const { coalesce, misfireGraceTime, jitter } = job.definition
  const coversUntil = latest.scheduledTime
  // With the default grace, which ends before the next tick, one tick at most is within it.
  if (coalesce === 'latest' || misfireGraceTime === null || latest.firstLate >= coversUntil) return null
  const { trigger } = job
  let scheduledTime = job.nextTick(Math.max(latest.firstLate, Math.ceil(now - misfireGraceTime - jitter)) - 1)
  if (coalesce === 'all' && scheduledTime !== null) {
    const surplus = countTicks(trigger, scheduledTime, coversUntil) + 2 - MAX_CATCH_UP
    for (let count = 0; count < surplus && scheduledTime !== null; count++) scheduledTime = job.nextTick(scheduledTime)
  }
  if (scheduledTime === null || scheduledTime >= coversUntil) return null
  let tick = lateTick(job, scheduledTime, latest.firstLate, latest.caughtUp)
  // Its own jitter may be less than the longest one.
  while (isMissed(job, tick, now)) {
    const next = job.nextTick(tick.scheduledTime)
    if (next === null || next >= coversUntil) break
    tick = lateTick(job, next, latest.firstLate, latest.caughtUp)
  }
  if (isMissed(job, tick, now)) return null
  return { tick, coversUntil: coalesce === 'all' ? tick.scheduledTime : coversUntil }
}

/**
 * The latest tick that has waited for the lock beyond its grace, of a job whose ticks wait (`coalesce: 'all'`): it is
 * counted with those before it, however long the run takes that they wait for. `null` for none before `latest`.
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

/** A tick that was due before, as the timetable would have made it. */
export function lateTick(job: JobRecord, scheduledTime: number, firstLate: number, caughtUp: boolean): DueTick {
  const following = job.trigger.next(scheduledTime)
  const period = following === null ? null : following - scheduledTime
  const dueTime = scheduledTime + jitterOf(job.id, scheduledTime, job.definition.jitter, period)
  return { scheduledTime, dueTime, following, firstLate, preceding: null, caughtUp }
}
