import type { ClaimMemo, Fingerprint, Overlap } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import { fingerprintOf, isOnce, type JobDefinition } from './definition.js'

/** The part of a claim request that is the same for all ticks of a job; made once for each definition. */
export interface ClaimTemplate {
  readonly jobId: string
  readonly trigger: Trigger
  /** The interval of `after: 'completion'`, in milliseconds; 0 for a trigger with ticks. */
  readonly afterCompletion: number
  /** The lock's time to live, in milliseconds; `null` for `lock: false`. */
  readonly ttl: number | null
  /** The job's `misfireGraceTime`, in milliseconds; `null` for the default. */
  readonly grace: number | null
  readonly pausedInitially: boolean
  /** The job's group; `''` for none. */
  readonly group: string
  /** Whether a tick that finds the lock held waits for it. */
  readonly waits: boolean
  /** Whether a run whose replica died is taken over. */
  readonly rerun: boolean
  /** How many runs of the job may go on at once. */
  readonly slots: number
  /** What becomes of a tick that finds none free. */
  readonly overlap: Overlap
  /** How many runs of the job the fleet begins; `null` for any number. */
  readonly maxRuns: number | null
  /** Whether the job runs as a replica starts. */
  readonly startsRuns: boolean
  /** Whether the job has a single tick, a date. */
  readonly isOnce: boolean
  readonly fingerprint: Fingerprint
  readonly memo: ClaimMemo
}

export function claimTemplateOf(definition: JobDefinition, trigger: Trigger): ClaimTemplate {
  const {
    id,
    lockTtl,
    misfireGraceTime,
    pausedInitially,
    group,
    coalesce,
    recovery,
    maxInstances,
    overlap,
    maxRuns,
    runOnStart
  } = definition
  const { afterCompletion } = trigger
  return Object.freeze({
    jobId: id,
    trigger,
    afterCompletion: afterCompletion ?? 0,
    ttl: lockTtl,
    grace: misfireGraceTime,
    pausedInitially,
    group: group ?? '',
    waits: coalesce === 'all' && afterCompletion === null,
    rerun: recovery === 'rerun',
    slots: maxInstances,
    overlap,
    maxRuns,
    startsRuns: runOnStart,
    isOnce: isOnce(definition),
    fingerprint: fingerprintOf(definition, trigger),
    memo: { store: null, record: null }
  })
}
