import type { ClaimMemo, Definition } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import { hash32 } from '../base/hash.js'
import { DATE_MARK } from './definition.js'
import type { ResolvedJob } from './options.js'

/** What a job's definition says of its claims: made once for each definition, and the same for all of its ticks. */
export interface ClaimTemplate {
  readonly jobId: string
  readonly trigger: Trigger
  /** As in a claim's request. */
  readonly afterCompletion: number
  /** The lock's time to live, in milliseconds; `null` for `lock: false`. */
  readonly ttl: number | null
  /** Its `misfireGraceTime`. */
  readonly grace: number | null
  readonly pausedInitially: boolean
  readonly waits: boolean
  readonly rerun: boolean
  /** Whether it has one tick: a date. */
  readonly isOnce: boolean
  readonly definition: Definition
  readonly memo: ClaimMemo
}

export function claimTemplateOf(resolved: ResolvedJob, trigger: Trigger): ClaimTemplate {
  const { id, lockTtl, misfireGraceTime, pausedInitially, coalesce, recovery } = resolved
  const { afterCompletion } = trigger
  const isOnce = 'date' in resolved.trigger
  return Object.freeze({
    jobId: id,
    trigger,
    afterCompletion: afterCompletion ?? 0,
    ttl: lockTtl,
    grace: misfireGraceTime,
    pausedInitially,
    waits: coalesce === 'all' && afterCompletion === null,
    rerun: recovery === 'rerun',
    isOnce,
    definition: definitionOf(resolved, trigger, isOnce),
    memo: { store: null, record: null }
  })
}

/** What tells a definition from another of the same id. */
function definitionOf(resolved: ResolvedJob, { key }: Trigger, isOnce: boolean): Definition {
  const { id: _id, trigger: _trigger, handler: _handler, data: _data, ...options } = resolved
  return { trigger: `${isOnce ? DATE_MARK : ''}${word(key)}`, options: word(JSON.stringify(options)) }
}

function word(text: string): string {
  return hash32(text).toString(36)
}
