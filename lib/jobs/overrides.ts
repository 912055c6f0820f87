import { isDate } from 'node:util/types'
import type { Change, StandingOverride } from '../../types/coordination.js'
import type { OverrideChanges } from '../../types/job-options.js'
import { copyKnown, isPlainObject } from '../base/check.js'
import { copyJson } from '../base/json.js'
import { PEER_JOB_NAMES } from '../base/peer-names.js'
import { overrideBy } from '../base/scopes.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { showHeartbeat } from './heartbeat-url.js'
import { DEFAULT_KEYS, JOB_KEYS, TICK_KEYS } from './options.js'

/** The options that operators can change. */
const OVERRIDE_KEYS: readonly string[] = [
  'trigger',
  'data',
  'maxInstances',
  'overlap',
  'maxRuns',
  'runOnStart',
  'pauseAfterFailures',
  ...DEFAULT_KEYS
] satisfies (keyof OverrideChanges)[]

/** How many characters an override has at most as JSON: the store keeps it with each of the last changes. */
const MAX_OVERRIDE = 10_000

/** How deep a trigger may be nested to be looked into for dates. */
const MAX_DEPTH = 20

/** A change of overrides. */
export type OverrideChange = Extract<Change, { kind: 'override' | 'reset' }>

/** What is in force, and is no reset. */
export type Overridden = StandingOverride & { readonly changes: Readonly<Record<string, unknown>> }

/** What is known of one job. */
interface Known {
  readonly override: StandingOverride
  /** Of the change that says so; an earlier one says nothing any more. */
  readonly version: number
  /** When this process learned that, in its sequence: what was asked for before says nothing any more. */
  readonly knownAt: number
}

/** What this process knows of overrides, also of jobs that it does not have. */
export class Overrides {
  readonly #known = new Map<string, Known>()

  /** The override in force of a job; `null` for none. */
  of(jobId: string): Overridden | null {
    const override = this.#known.get(jobId)?.override
    return override === undefined || override.changes === null ? null : (override as Overridden)
  }

  /**
   * Notes a change.
   *
   * @param knownAt when this process learned of it, in its sequence
   * @returns whether it is news: `false` for what is older than what is known
   */
  note(change: OverrideChange, knownAt: number): boolean {
    const { jobId, version } = change
    const known = this.#known.get(jobId)
    if (known !== undefined && version < known.version) return false
    this.#known.set(jobId, { override: overrideBy(change), version, knownAt })
    return true
  }

  /**
   * Notes all that is in force. What was learned since that was asked for is left as it is.
   *
   * @param askedAt in this process' sequence
   */
  noteAll(overrides: readonly StandingOverride[], askedAt: number): void {
    for (const [jobId, { knownAt }] of this.#known) if (knownAt <= askedAt) this.#known.delete(jobId)
    for (const override of overrides) {
      if (!this.#known.has(override.jobId)) this.#known.set(override.jobId, { override, version: 0, knownAt: askedAt })
    }
  }
}

/**
 * Copies what is to be overridden, as JSON carries it.
 *
 * @throws OptionInvalidError, OptionUnknownError
 */
export function copyOverride(changes: unknown): Readonly<Record<string, unknown>> {
  const given = copyKnown(changes, JOB_KEYS, 'the changes', PEER_JOB_NAMES)
  const keys = Object.keys(given) as (keyof typeof given)[]
  if (keys.length === 0) throw new OptionInvalidError('changes', 'one option at least', show(changes))
  const copy: Record<string, unknown> = {}
  for (const key of keys) {
    if (!OVERRIDE_KEYS.includes(key)) {
      throw new OptionInvalidError(
        key,
        `left to the job's code: what can be overridden is ${OVERRIDE_KEYS.join(', ')}`,
        key === 'heartbeat' ? showHeartbeat(given[key]) : show(given[key])
      )
    }
    copy[key] = jsonOf(given[key], key)
  }
  return copy
}

/** What is in force of an override: options of ticks rest while it takes the job's trigger away. */
export function inForce(changes: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (changes.trigger !== null) return changes
  return Object.fromEntries(Object.entries(changes).filter(([key]) => !(TICK_KEYS as readonly string[]).includes(key)))
}

/** @throws OptionInvalidError for what is too much to be kept */
export function checkSize(changes: Readonly<Record<string, unknown>>): void {
  const { length } = JSON.stringify(changes)
  if (length <= MAX_OVERRIDE) return
  const expected = `at most ${MAX_OVERRIDE.toLocaleString('en')} characters as JSON, all that is overridden together`
  throw new OptionInvalidError('changes', expected, `${length.toLocaleString('en')} characters`)
}

function jsonOf(value: unknown, name: string): unknown {
  try {
    return copyJson(name === 'trigger' ? withTexts(value) : value).value
  } catch {
    throw new OptionInvalidError(name, 'what JSON carries, as the store keeps it', show(value))
  }
}

/** A trigger with an ISO text in the place of each date. */
function withTexts(value: unknown, depth = 0): unknown {
  if (isDate(value) && !Number.isNaN(value.getTime())) return value.toISOString()
  if (depth === MAX_DEPTH) return value
  if (Array.isArray(value)) return value.map((item) => withTexts(item, depth + 1))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withTexts(item, depth + 1)]))
}
