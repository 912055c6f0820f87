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
 * A job's definition: checked, filled in and frozen. It could be written down: the handler is not part of it, and is found by
 * the name in `task`, so that a definition can come from somewhere else than code.
 */
export interface JobDefinition extends ResolvedDefaults {
  readonly id: string
  readonly name: string
  /** As it was given. */
  readonly trigger: TriggerObject
  /** Under which name its handler is known; of a job from code that is its own id. */
  readonly task: string
  readonly data: unknown
  readonly pausedInitially: boolean
}

/** Whether a job has one tick: a date. */
export function isOnce({ trigger }: JobDefinition): boolean {
  return 'date' in trigger
}

/** What tells a definition from another of the same id: whether its trigger is another one, or anything else. */
export function fingerprintOf(definition: JobDefinition, { key }: Trigger): Fingerprint {
  const { id: _id, trigger: _trigger, task: _task, data, ...options } = definition
  const written = JSON.stringify(options)
  return {
    trigger: `${isOnce(definition) ? DATE_MARK : ''}${hashed(key)}`,
    options: hashed(data === undefined ? written : `${written} ${writeData(data)}`)
  }
}

/** What tells a job's data from others; `null` where there is none, or it cannot be written down. */
export function dataFingerprint({ data }: JobDefinition): string | null {
  const written = data === undefined ? '' : writeData(data)
  return written === '' ? null : hashed(written)
}

/** Data that cannot be written down, such as what refers to itself, tells nothing apart. */
function writeData(data: unknown): string {
  try {
    return JSON.stringify(data) ?? ''
  } catch {
    return ''
  }
}

function hashed(text: string): string {
  return hash32(text).toString(36)
}
