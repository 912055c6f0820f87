import type { Fingerprint } from '../../types/coordination.js'
import type { Trigger, TriggerObject } from '../../types/trigger.js'
import { hash32 } from '../base/hash.js'
import { DATE_MARK } from './fingerprint.js'

/** A job's defaults: durations in milliseconds, everything filled in. */
export interface ResolvedDefaults {
  /** The lock's TTL, or `null` for `lock: false`. */
  readonly lockTtl: number | null
  /** `null` for the default, which is capped below the distance to the next tick. */
  readonly misfireGraceTime: number | null
  readonly coalesce: 'latest' | 'earliest' | 'all'
  readonly recovery: 'none' | 'rerun'
  readonly onRedisError: 'skip' | 'run'
  readonly jitter: number
  /** 0 for none. */
  readonly timeout: number
  readonly retry: ResolvedRetry | null
}

export interface ResolvedRetry {
  readonly limit: number
  readonly delay: number
  readonly factor: number
  readonly maxDelay: number
  readonly jitter: boolean
}

/**
 * A job's definition: validated, complete and frozen. It does not contain the handler but refers to it by `task`, so a
 * definition is serialisable and need not come from code.
 */
export interface JobDefinition extends ResolvedDefaults {
  readonly id: string
  readonly name: string
  /** The trigger as the user gave it; `null` for a job that runs by hand only. */
  readonly trigger: TriggerObject | null
  /** The name of the job's handler; for a job from code, the job's id. */
  readonly task: string
  readonly data: unknown
  readonly pausedInitially: boolean
}

/** Whether a job has a single tick, a date. */
export function isOnce({ trigger }: JobDefinition): boolean {
  return trigger !== null && 'date' in trigger
}

/**
 * Hashes of a definition, by which replicas notice that they define a job differently: of its trigger and of the rest.
 */
export function fingerprintOf(definition: JobDefinition, { key }: Trigger): Fingerprint {
  const { id: _id, trigger: _trigger, task: _task, data, ...options } = definition
  const written = JSON.stringify(options)
  return {
    trigger: `${isOnce(definition) ? DATE_MARK : ''}${hashed(key)}`,
    options: hashed(data === undefined ? written : `${written} ${serializeData(data)}`)
  }
}

/** A hash of a job's data; `null` when there is none or it is not serialisable. */
export function dataFingerprint({ data }: JobDefinition): string | null {
  const written = data === undefined ? '' : serializeData(data)
  return written === '' ? null : hashed(written)
}

/** The data as JSON; an empty string when it is not serialisable, such as an object that contains itself. */
function serializeData(data: unknown): string {
  try {
    return JSON.stringify(data) ?? ''
  } catch {
    return ''
  }
}

function hashed(text: string): string {
  return hash32(text).toString(36)
}
