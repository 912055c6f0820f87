import type { ClaimRequest, HeldLock } from '../../types/coordination.js'
import { DAY } from '../duration.js'
import type { AskedTick, JobRecord } from '../job-record.js'
import type { DueTick } from '../timetable.js'

/** How long a claim is remembered beyond twice the distance to the next tick. */
const KEEP = 7 * DAY
const MAX_KEEP = 1000 * DAY

/** What asks for a due tick, or for the right to count it when it is too late to run. */
export function toRequest(job: JobRecord, { tick, runId, ttl }: AskedTick, missed: boolean): ClaimRequest {
  const { pausedInitially } = job.definition
  const { trigger } = job
  const { afterCompletion } = trigger
  const period = afterCompletion ?? (tick.following === null ? 0 : tick.following - tick.scheduledTime)
  return {
    jobId: job.id,
    kind: missed ? 'miss' : 'tick',
    // Of an interval from the last end the store knows when it is due; no earlier than its `startDate`.
    scheduledTime:
      afterCompletion === null ? tick.scheduledTime : Math.max(0, trigger.next(Number.MIN_SAFE_INTEGER) ?? 0),
    runId,
    ttl,
    keep: Math.min(MAX_KEEP, 2 * period + job.lookBack + KEEP),
    afterCompletion: afterCompletion ?? 0,
    pausedInitially
  }
}

/** What asks for a run by hand. */
export function toManualRequest(job: JobRecord, runId: string, scheduledTime: number, ttl: number): ClaimRequest {
  const { pausedInitially } = job.definition
  return { jobId: job.id, kind: 'manual', scheduledTime, runId, ttl, keep: KEEP, afterCompletion: 0, pausedInitially }
}

/** Whether a tick is later than its grace allows; the grace is capped below the distance to the next tick. */
export function isMissed(job: JobRecord, tick: DueTick, now: number): boolean {
  const { misfireGraceTime } = job.definition
  const grace =
    tick.following === null ? misfireGraceTime : Math.min(misfireGraceTime, tick.following - tick.scheduledTime - 1)
  return job.trigger.afterCompletion === null && now - tick.dueTime > grace
}

/** The lock of a request that may have been granted, though nobody was told. */
export function jobLock(job: JobRecord, runId: string, ttl: number, now: number): HeldLock {
  return { name: job.id, kind: 'job', token: runId, ttl, validUntil: now + ttl }
}
