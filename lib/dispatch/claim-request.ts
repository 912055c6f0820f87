import type { ClaimRequest, HeldLock } from '../../types/coordination.js'
import { DAY } from '../base/duration.js'
import type { ClaimTemplate } from '../jobs/claim-template.js'
import type { JobRecord } from '../jobs/job.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import type { DueTick } from '../timetable/timetable.js'

/**
 * How long a claim is remembered beyond twice the distance to the next tick, and at most: that long too it is remembered how
 * many runs a job has had.
 */
const RETENTION_MARGIN = 7 * DAY
const MAX_RETENTION = 1000 * DAY

/** How long the claim of a date is remembered; a date has no next tick. */
const DATE_RETENTION = 35 * DAY

/** The request for a manual run. */
export function toManualRequest(
  job: JobRecord,
  runId: string,
  scheduledTime: number,
  ttl: number,
  key = '',
  by = ''
): ClaimRequest {
  return { ...requestBase(job, runId, ttl), kind: 'manual', scheduledTime, coversUntil: scheduledTime, key, by }
}

/**
 * The request for a run as this replica starts.
 *
 * @param since there is none where a run has begun since that time
 */
export function toStartRequest(job: JobRecord, runId: string, scheduledTime: number, since: number): ClaimRequest {
  const base = requestBase(job, runId, job.template.ttl as number)
  return { ...base, kind: 'start', scheduledTime, coversUntil: since }
}

/** The request whether a job has had all of its runs: it is never granted. */
export function toProbe(job: JobRecord, runId: string): ClaimRequest {
  return toStartRequest(job, runId, 0, -1)
}

/** The request to take over a run whose replica died. */
export function toRecoverRequest(job: JobRecord, runId: string, ttl: number): ClaimRequest {
  return { ...requestBase(job, runId, ttl), kind: 'recover', scheduledTime: -1, coversUntil: -1 }
}

function requestBase(
  job: JobRecord,
  runId: string,
  ttl: number
): Omit<ClaimRequest, 'kind' | 'scheduledTime' | 'coversUntil'> {
  const { template } = job
  const { jobId, afterCompletion, pausedInitially, group, rerun, slots, maxRuns, startsRuns, fingerprint } = template
  const retention = retentionOf(template, afterCompletion)
  return {
    jobId,
    runId,
    ttl,
    retention,
    afterCompletion,
    pausedInitially,
    group,
    waits: false,
    rerun,
    slots,
    overlap: 'skip',
    maxRuns,
    startsRuns,
    fingerprint
  }
}

/**
 * How long the store remembers a job's claims, in milliseconds.
 *
 * @param period the time from a tick to the next one; 0 when none is known
 */
export function retentionOf({ isOnce, maxRuns }: ClaimTemplate, period: number): number {
  if (maxRuns !== null) return MAX_RETENTION
  return isOnce ? DATE_RETENTION : Math.min(MAX_RETENTION, 2 * period + RETENTION_MARGIN)
}

/** Whether a tick's grace is over; the default grace is capped below the distance to the next tick. */
export function isTooLate(tick: DueTick, { afterCompletion, grace }: ClaimTemplate, now: number): boolean {
  if (afterCompletion > 0) return false
  const { scheduledTime, dueTime, following } = tick
  const defaultGrace = following === null ? DEFAULT_GRACE : Math.min(DEFAULT_GRACE, following - scheduledTime - 1)
  return now - dueTime > (grace ?? defaultGrace)
}

/** Whether the grace of a job's tick is over, by the job's present definition. */
export function isMissed({ template }: JobRecord, tick: DueTick, now: number): boolean {
  return isTooLate(tick, template, now)
}

/** The request to begin what has waited longest for a slot of a job. */
export function toWaitingRequest(job: JobRecord, runId: string, noTicks: boolean): ClaimRequest {
  const base = requestBase(job, runId, job.template.ttl as number)
  return { ...base, kind: 'waiting', scheduledTime: -1, coversUntil: -1, waits: noTicks }
}

/** The lock of a request that may have been granted, although its reply was lost: in whichever slot. */
export function jobLock(job: JobRecord, runId: string, ttl: number, now: number): HeldLock {
  return { name: job.id, kind: 'job', token: runId, ttl, validUntil: now + ttl, slot: job.template.slots > 1 ? 0 : 1 }
}
