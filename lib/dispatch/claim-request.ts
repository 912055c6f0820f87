import type { ClaimRequest, HeldLock } from '../../types/coordination.js'
import { DAY } from '../base/duration.js'
import type { ClaimTemplate } from '../jobs/claim-template.js'
import type { JobRecord } from '../jobs/job.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import type { DueTick } from '../timetable/timetable.js'

/** How long a claim is remembered beyond twice the distance to the next tick. */
const KEEP = 7 * DAY
const MAX_KEEP = 1000 * DAY

/** How long the claim of a date is remembered: there is no later one. */
const KEEP_ONCE = 35 * DAY

/** What asks for a run by hand. */
export function toManualRequest(job: JobRecord, runId: string, scheduledTime: number, ttl: number): ClaimRequest {
  return { ...withoutTick(job, runId, ttl), kind: 'manual', scheduledTime, coversUntil: scheduledTime }
}

/** What asks for the run of a replica that died. */
export function toRecoverRequest(job: JobRecord, runId: string, ttl: number): ClaimRequest {
  return { ...withoutTick(job, runId, ttl), kind: 'recover', scheduledTime: -1, coversUntil: -1 }
}

function withoutTick(
  job: JobRecord,
  runId: string,
  ttl: number
): Omit<ClaimRequest, 'kind' | 'scheduledTime' | 'coversUntil'> {
  const { template } = job
  const { jobId, afterCompletion, pausedInitially, rerun, fingerprint } = template
  const retention = retentionOf(template, afterCompletion)
  return { jobId, runId, ttl, retention, afterCompletion, pausedInitially, waits: false, rerun, fingerprint }
}

/** How long what is claimed of a job is remembered, with `period` to its next tick. */
export function retentionOf({ isOnce }: ClaimTemplate, period: number): number {
  return isOnce ? KEEP_ONCE : Math.min(MAX_KEEP, 2 * period + KEEP)
}

/** Whether a tick is later than its grace allows; the default grace is capped below the distance to the next one. */
export function isTooLate(tick: DueTick, { afterCompletion, grace }: ClaimTemplate, now: number): boolean {
  if (afterCompletion > 0) return false
  const { scheduledTime, dueTime, following } = tick
  const most = following === null ? DEFAULT_GRACE : Math.min(DEFAULT_GRACE, following - scheduledTime - 1)
  return now - dueTime > (grace ?? most)
}

/** Whether a tick of a job is later than its grace allows. */
export function isMissed({ template }: JobRecord, tick: DueTick, now: number): boolean {
  return isTooLate(tick, template, now)
}

/** The lock of a request that may have been granted, though nobody was told. */
export function jobLock(job: JobRecord, runId: string, ttl: number, now: number): HeldLock {
  return { name: job.id, kind: 'job', token: runId, ttl, validUntil: now + ttl }
}
