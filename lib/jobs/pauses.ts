import type { Change, PauseScope, SkippedTick, Standing, StandingPause } from '../../types/coordination.js'
import type { JobPause } from '../../types/levers.js'
import { DAY } from '../base/duration.js'
import { groupScope, jobScope } from '../base/scopes.js'

/** How long a tick that is to have no run is remembered: as in lua/constants.lua. */
const KEEP_SKIP = 7 * DAY

/** The pauses of job, group and all jobs that a job depends on. */
export interface Pausable {
  readonly id: string
  readonly definition: { readonly group: string | null; readonly pausedInitially: boolean }
}

/** A change of pauses. */
export type PauseChange = Extract<Change, { kind: 'pause' | 'resume' }>

/** What is known of one scope. */
interface Known {
  /** `null` where it is not paused. */
  readonly pause: StandingPause | null
  /** Of the change that says so; an earlier one says nothing any more. */
  readonly version: number
  /** When this process learned that, in its sequence: what was asked for before says nothing any more. */
  readonly knownAt: number
}

/** A pause by code. */
const BY_CODE = Object.freeze({
  of: 'job',
  note: null,
  by: null,
  at: null,
  until: null,
  version: 'code'
}) satisfies JobPause

/** What this process knows of pauses, and of ticks that have no run: of jobs, of groups, and of all jobs, by their scopes. */
export class Pauses {
  readonly #now: () => number
  readonly #known = new Map<string, Known>()
  /** The ticks that have no run, by their job, and who has said so. */
  readonly #skips = new Map<string, Map<number, string | null>>()

  /** @param now the fleet's time */
  constructor(now: () => number) {
    this.#now = now
  }

  /** The fleet's time, by which pauses end. */
  get now(): number {
    return this.#now()
  }

  /**
   * Notes a change.
   *
   * @param knownAt when this process learned of it, in its sequence
   * @returns the scope that it is of; `null` for what is older than what is known
   */
  note(change: PauseChange, knownAt: number): PauseScope | null {
    const { scope, version } = change
    const known = this.#known.get(scope)
    if (known !== undefined && version < known.version) return null
    this.#known.set(scope, {
      pause: change.kind === 'pause' ? { ...change, version: change.id } : null,
      version,
      knownAt
    })
    return scope
  }

  /**
   * Notes all that is in force. What was learned since that was asked for is left as it is.
   *
   * @param askedAt in this process' sequence
   */
  noteAll({ pauses, resumed, skips }: Standing, askedAt: number): void {
    for (const [scope, { knownAt }] of this.#known) if (knownAt <= askedAt) this.#known.delete(scope)
    const add = (scope: string, pause: StandingPause | null): void => {
      if (!this.#known.has(scope)) this.#known.set(scope, { pause, version: 0, knownAt: askedAt })
    }
    for (const skip of skips) this.noteSkip(skip)
    for (const jobId of resumed) add(jobScope(jobId), null)
    for (const pause of pauses) add(pause.scope, pause)
  }

  /** Notes that a tick has no run; those that have long passed are forgotten. */
  noteSkip({ jobId, scheduledTime, by }: SkippedTick): void {
    const ticks = this.#skips.get(jobId) ?? new Map<number, string | null>()
    for (const tick of ticks.keys()) if (tick < this.#now() - KEEP_SKIP) ticks.delete(tick)
    this.#skips.set(jobId, ticks.set(scheduledTime, by ?? null))
  }

  /** The ticks of a job between two times, both exclusive, that have no run, in order. */
  skippedBetween(jobId: string, after: number, before: number): number[] {
    const ticks = this.#skips.size === 0 ? undefined : this.#skips.get(jobId)
    if (ticks === undefined) return []
    return [...ticks.keys()].filter((tick) => tick > after && tick < before).sort((a, b) => a - b)
  }

  /** Who has said that a tick has no run; `null` where that is not known. */
  skippedBy(jobId: string, scheduledTime: number): string | null {
    return this.#skips.get(jobId)?.get(scheduledTime) ?? null
  }

  /** Whether a tick has no run. */
  isSkipped(jobId: string, scheduledTime: number): boolean {
    return this.#skips.size > 0 && this.#skips.get(jobId)?.has(scheduledTime) === true
  }

  /** A claim was answered as if the job were not paused. */
  forget(jobId: string): void {
    this.#known.delete(jobScope(jobId))
  }

  /** The pauses in force of a job: its own, its group's, and that of all jobs. */
  of({ id, definition: { group, pausedInitially } }: Pausable): JobPause[] {
    const own = this.#known.get(jobScope(id))
    const found: JobPause[] = []
    if (own === undefined && pausedInitially) found.push(BY_CODE)
    if (own !== undefined) this.#addInForce(found, own, 'job')
    if (group !== null) this.#addInForce(found, this.#known.get(groupScope(group)), 'group')
    this.#addInForce(found, this.#known.get('all'), 'all')
    return found
  }

  /** The pause in force of a group, or of all jobs; `null` for none. */
  ofScope(scope: PauseScope): JobPause | null {
    const found: JobPause[] = []
    this.#addInForce(found, this.#known.get(scope), scope === 'all' ? 'all' : 'group')
    return found[0] ?? null
  }

  #addInForce(found: JobPause[], known: Known | undefined, of: JobPause['of']): void {
    const pause = known?.pause ?? null
    if (pause === null || (pause.until !== null && pause.until <= this.#now())) return
    const { note, by, at, until, version } = pause
    found.push({ of, note, by, at, until, version })
  }
}
