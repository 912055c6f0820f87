import type {
  Change,
  ChangeAnswer,
  ChangeEffect,
  ChangeRequest,
  ReleasedLock,
  SkippedTick,
  Standing,
  StandingOverride
} from '../../../types/coordination.js'
import { overrideBy, overrideScope, scopeOf } from '../../base/scopes.js'
import { KEEP_CHANGES, KEEP_SKIP } from '../redis/constants.js'
import { type MemoryPauses, pauseOf } from './pauses.js'

/** How many changes are remembered by their ids, should they be asked for again. */
const MAX_REMEMBERED = 10_000

/** The runs that commands are about. */
export interface ChangedRuns {
  /** The job of a run that has begun and not ended; `null` for any other. */
  jobOf(runId: string): string | null
  /** Whether a tick was claimed. */
  isTaken(tick: SkippedTick): boolean
  /** Frees the locks of a job, or that of one slot: those that were held. */
  release(locks: { readonly jobId: string; readonly slot: number | null }): ReleasedLock[]
}

/** What was changed in a store in memory: the last changes, and what is in force by them. */
export class MemoryChanges {
  readonly #pauses: MemoryPauses
  readonly #runs: ChangedRuns
  readonly #entries: Change[] = []
  /** The last change of each scope. */
  readonly #last = new Map<string, Change>()
  readonly #byId = new Map<string, Change>()
  /** The ticks that have no run, by their job. */
  readonly #skips = new Map<string, Map<number, string>>()
  readonly #overrides = new Map<string, StandingOverride>()
  #version = 0

  constructor(pauses: MemoryPauses, runs: ChangedRuns) {
    this.#pauses = pauses
    this.#runs = runs
  }

  /** That of the last change; 0 for none. */
  get version(): number {
    return this.#version
  }

  /** The changes later than a version that are remembered. */
  after(version: number): Change[] {
    return this.#entries.filter((change) => change.version > version)
  }

  /** The last changes, the newest first. */
  newest(limit: number): Change[] {
    return this.#entries.slice(-limit).reverse()
  }

  get standing(): Standing {
    return {
      pauses: [...this.#pauses.standing()],
      resumed: [...this.#pauses.resumed()],
      skips: [...this.#skipped()],
      overrides: [...this.#overrides.values()]
    }
  }

  /**
   * Makes a change.
   *
   * @param at when; of a node of several masters what these have agreed upon, or `null` for a look: see `CoordinationNode.changeAt`
   * @param isNode whether it is such a node
   * @param tell called with the change if that is news
   */
  make(
    { expected, ...effect }: ChangeRequest,
    at: number | null,
    now: number,
    isNode: boolean,
    tell: (change: Change) => void
  ): ChangeAnswer {
    const made = this.#byId.get(effect.id)
    if (made !== undefined) return { status: 'made', change: made }
    const scope = scopeOf(effect)
    const last = this.#last.get(scope)
    if (effect.kind === 'skip' && (effect.scheduledTime <= now || this.#runs.isTaken(effect)))
      return { status: 'passed' }
    const cancelledJob = effect.kind === 'cancel' && !effect.isDone ? this.#runs.jobOf(effect.runId) : undefined
    if (cancelledJob === null) return { status: 'unknown' }
    if (expected !== undefined && this.#versionOf(effect, now) !== expected) {
      return { status: 'conflict', by: last?.by ?? null, at: last?.at ?? null }
    }
    let about: typeof effect = effect
    if (effect.kind === 'release' && at !== null) about = { ...effect, runs: this.#runs.release(effect) }
    if (effect.kind === 'cancel' && cancelledJob !== undefined) about = { ...effect, jobId: cancelledJob }
    // A look says what is later than the last change.
    const before = this.#version
    const version = Math.max(before + 1, Math.floor(now))
    const change: Change = { ...about, at: at ?? (last?.at ?? 0) + 1, version, after: before }
    const answer = { status: 'made', change } as const
    if (change.kind === 'release' && (change.runs ?? []).length === 0) return answer
    if (at === null || (isNode && last !== undefined && isLater(last, change))) return answer
    this.#version = change.version
    this.#entries.push(change)
    if (this.#entries.length > KEEP_CHANGES) this.#entries.shift()
    this.#byId.set(change.id, change)
    if (this.#byId.size > MAX_REMEMBERED) this.#byId.delete(this.#byId.keys().next().value as string)
    if (scope !== '') this.#last.set(scope, change)
    if (change.kind === 'pause') this.#pauses.pause(pauseOf(change))
    else if (change.kind === 'skip') this.#noteSkip(change, now)
    else if (change.kind === 'override' || change.kind === 'reset') {
      this.#overrides.set(change.jobId, overrideBy(change))
    } else if (change.kind === 'resume') this.#pauses.resume(change.scope, change.at, now)
    tell(change)
    return answer
  }

  /** Whether a job was overridden, or reset, by a change later than a version. */
  isOverriddenSince(jobId: string, version: number): boolean {
    return this.#version > version && (this.#last.get(overrideScope(jobId))?.version ?? 0) > version
  }

  /** The version of what is in force that a change is about; `null` for none. */
  #versionOf(effect: ChangeEffect, now: number): string | null {
    if (effect.kind === 'override' || effect.kind === 'reset') {
      const override = this.#overrides.get(effect.jobId)
      return override?.changes == null ? null : override.version
    }
    return 'scope' in effect ? this.#pauses.versionOf(effect.scope, now) : null
  }

  /** Whether a tick has no run. */
  isSkipped(jobId: string, scheduledTime: number): boolean {
    return this.#skips.size > 0 && this.#skips.get(jobId)?.has(scheduledTime) === true
  }

  #noteSkip({ jobId, scheduledTime, by }: Required<SkippedTick>, now: number): void {
    for (const [id, ticks] of this.#skips) {
      for (const tick of ticks.keys()) if (tick < now - KEEP_SKIP) ticks.delete(tick)
      if (ticks.size === 0) this.#skips.delete(id)
    }
    this.#skips.set(jobId, (this.#skips.get(jobId) ?? new Map<number, string>()).set(scheduledTime, by))
  }

  *#skipped(): Iterable<SkippedTick> {
    for (const [jobId, ticks] of this.#skips)
      for (const [scheduledTime, by] of ticks) yield { jobId, scheduledTime, by }
  }
}

/** Whether a change counts more than another of the same, of which several masters may hear in any order. */
function isLater(change: Change, other: Change): boolean {
  return change.at > other.at || (change.at === other.at && change.id > other.id)
}
