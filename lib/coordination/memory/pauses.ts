import type { Change, PauseScope, StandingPause } from '../../../types/coordination.js'
import { groupScope, jobScope } from '../../base/scopes.js'
import { VERSION_BY_CODE } from '../redis/constants.js'

/**
 * A pause, which is over by its `until`, or when a job was resumed. A pause by code ends where the code has it no more, and
 * begins anew where it comes back; an operator's pause or resumption stays.
 */
type Pause = StandingPause | 'code' | { readonly resumedAt: number; readonly byCode: boolean }

/** The pauses in a store in memory: of jobs, of groups, and of all jobs. */
export class MemoryPauses {
  /** Those of jobs, by their ids. */
  readonly #jobs = new Map<string, Pause>()
  /** Those of groups and of all jobs, by their scopes. */
  readonly #others = new Map<string, Pause>()

  /** Whether a job is paused, by whichever of the three. */
  isPaused(jobId: string, group: string, now: number): boolean {
    if (this.#jobs.size + this.#others.size === 0) return false
    return this.#of(jobId, group).some((pause) => isInForce(pause, now))
  }

  /** When a job was resumed, or what it is part of; `-Infinity` when it never was. */
  resumedAt(jobId: string, group: string, now: number): number {
    if (this.#jobs.size + this.#others.size === 0) return Number.NEGATIVE_INFINITY
    return Math.max(...this.#of(jobId, group).map((pause) => endOf(pause, now)))
  }

  /** The code says whether a job is paused. */
  noteCode(jobId: string, paused: boolean, now: number): void {
    if (!paused && this.#jobs.size === 0) return
    const known = this.#jobs.get(jobId)
    if (paused && (known === undefined || isOverByCode(known))) this.#jobs.set(jobId, 'code')
    if (!paused && known === 'code') this.#jobs.set(jobId, { resumedAt: now, byCode: true })
  }

  /** An operator pauses. */
  pause(pause: StandingPause): void {
    this.#set(pause.scope, pause)
  }

  /** An operator resumes; what is not paused has been resumed already. */
  resume(scope: PauseScope, at: number, now: number): void {
    const known = this.#get(scope)
    let resumedAt = at
    if (known === undefined) resumedAt = Number.NEGATIVE_INFINITY
    else if (!isInForce(known, now)) resumedAt = endOf(known, now)
    if (known !== undefined || scope.startsWith('job:')) this.#set(scope, { resumedAt, byCode: false })
  }

  /** The version of the pause in force; `null` for none. */
  versionOf(scope: PauseScope, now: number): string | null {
    const pause = this.#get(scope)
    if (pause === undefined || !isInForce(pause, now)) return null
    return typeof pause === 'object' && 'version' in pause ? pause.version : VERSION_BY_CODE
  }

  /** What is noted of pauses. */
  *standing(): Iterable<StandingPause> {
    for (const [jobId, pause] of this.#jobs) {
      if (pause === 'code') yield { ...NOBODYS, scope: jobScope(jobId) }
      else if ('version' in pause) yield pause
    }
    for (const pause of this.#others.values()) if (typeof pause === 'object' && 'version' in pause) yield pause
  }

  /** The jobs that operators have resumed. */
  *resumed(): Iterable<string> {
    for (const [jobId, pause] of this.#jobs) {
      if (typeof pause === 'object' && 'resumedAt' in pause && !pause.byCode) yield jobId
    }
  }

  /** The clock was corrected by a step back, to `now`. */
  correct(now: number): void {
    for (const pauses of [this.#jobs, this.#others]) {
      for (const [key, pause] of pauses) {
        if (typeof pause === 'object' && 'resumedAt' in pause && pause.resumedAt > now) {
          pauses.set(key, { ...pause, resumedAt: now })
        }
      }
    }
  }

  #of(jobId: string, group: string): (Pause | undefined)[] {
    return [this.#jobs.get(jobId), this.#others.get('all'), this.#others.get(groupScope(group))]
  }

  #get(scope: PauseScope): Pause | undefined {
    return scope.startsWith('job:') ? this.#jobs.get(scope.slice('job:'.length)) : this.#others.get(scope)
  }

  #set(scope: PauseScope, pause: Pause): void {
    if (scope.startsWith('job:')) this.#jobs.set(scope.slice('job:'.length), pause)
    else this.#others.set(scope, pause)
  }
}

/** A pause by code. */
const NOBODYS = { note: null, by: null, at: null, until: null, version: VERSION_BY_CODE }

/** What a change puts in force. */
export function pauseOf(change: Extract<Change, { kind: 'pause' }>): StandingPause {
  const { scope, note, by, at, until, id: version } = change
  return { scope, note, by, at, until, version }
}

function isInForce(pause: Pause | undefined, now: number): boolean {
  if (typeof pause !== 'object') return pause === 'code'
  return 'version' in pause && (pause.until === null || pause.until > now)
}

/** When a pause ended; `-Infinity` where it has not, or there was none. */
function endOf(pause: Pause | undefined, now: number): number {
  if (typeof pause !== 'object') return Number.NEGATIVE_INFINITY
  if ('resumedAt' in pause) return pause.resumedAt
  return pause.until !== null && pause.until <= now ? pause.until : Number.NEGATIVE_INFINITY
}

function isOverByCode(pause: Pause): boolean {
  return typeof pause === 'object' && 'byCode' in pause && pause.byCode
}
