import type { Fingerprint, Overlap } from '../../types/coordination.js'
import type { Priority } from '../../types/job-options.js'
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
  readonly priority: Priority
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
  /** The job's JSON Schema; `null` for none, and for a Standard Schema, which cannot be written down. */
  readonly schema: Readonly<Record<string, unknown>> | null
  readonly pausedInitially: boolean
  /** The most runs of the job that go on at once in the fleet. */
  readonly maxInstances: number
  /** What becomes of a tick that finds as many under way. */
  readonly overlap: Overlap
  /** How many runs of the job the fleet begins; `null` for any number. */
  readonly maxRuns: number | null
  /** Whether the job runs as a replica starts, unless a run has begun within its last period. */
  readonly runOnStart: boolean
  /** After how many failed runs in a row it is paused; `null` for never. */
  readonly pauseAfterFailures: number | null
  /** The group that it is paused and resumed with; `null` for none. */
  readonly group: string | null
  /** What it is for, for people; `null` for nothing. */
  readonly description: string | null
}

/**
 * Options that came later, at their defaults: there they are not part of the fingerprint, as a build of the app from before
 * them defines such a job alike.
 */
export const LATER_DEFAULTS = Object.freeze({
  maxInstances: 1,
  overlap: 'skip',
  priority: 'normal',
  maxRuns: null,
  runOnStart: false,
  pauseAfterFailures: null,
  group: null
}) satisfies Partial<JobDefinition>

type LaterOptions = Pick<JobDefinition, keyof typeof LATER_DEFAULTS>

const LATER_NAMES = Object.keys(LATER_DEFAULTS) as (keyof LaterOptions)[]

/** Whether a job has a single tick, a date. */
export function isOnce({ trigger }: JobDefinition): boolean {
  return trigger !== null && 'date' in trigger
}

/**
 * Hashes of a definition, by which replicas notice that they define a job differently: of its trigger and of the rest.
 */
export function fingerprintOf(definition: JobDefinition, { key }: Trigger): Fingerprint {
  const {
    id: _id,
    trigger: _trigger,
    task: _task,
    data,
    schema,
    maxInstances,
    overlap,
    priority,
    maxRuns,
    runOnStart,
    pauseAfterFailures,
    group,
    // It says nothing of what the job does.
    description: _description,
    ...options
  } = definition
  const later = writeLater({ maxInstances, overlap, priority, maxRuns, runOnStart, pauseAfterFailures, group })
  const written = `${JSON.stringify(schema === null ? options : { ...options, schema })}${later}`
  return {
    trigger: `${isOnce(definition) ? DATE_MARK : ''}${hashed(key)}`,
    options: hashed(data === undefined ? written : `${written} ${writeData(data)}`)
  }
}

/** Those of the later options that are not at their defaults. */
function writeLater(options: LaterOptions): string {
  let written = ''
  for (const name of LATER_NAMES) if (options[name] !== LATER_DEFAULTS[name]) written += ` ${name}=${options[name]}`
  return written
}

/** A hash of a job's data; `null` when there is none or it is not serialisable. */
export function dataFingerprint({ data }: JobDefinition): string | null {
  const written = data === undefined ? '' : writeData(data)
  return written === '' ? null : hashed(written)
}

/** The data as JSON; an empty string when it is not serialisable, such as an object that contains itself. */
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
