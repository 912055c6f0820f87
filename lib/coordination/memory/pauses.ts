/**
 * Who has paused a job, or when it was resumed. A pause by code ends where the code has it no more, and begins anew where
 * it comes back; an operator's pause or resumption stays.
 */
type Pause = 'operator' | 'code' | { readonly resumedAt: number; readonly byCode: boolean }

/** The pauses of jobs in a store in memory. */
export class MemoryPauses {
  readonly #pauses = new Map<string, Pause>()

  isPaused(jobId: string): boolean {
    return this.#pauses.size > 0 && typeof this.#pauses.get(jobId) === 'string'
  }

  /** When a job was resumed; `-Infinity` when it never was. */
  resumedAt(jobId: string): number {
    if (this.#pauses.size === 0) return Number.NEGATIVE_INFINITY
    const pause = this.#pauses.get(jobId)
    return typeof pause === 'object' ? pause.resumedAt : Number.NEGATIVE_INFINITY
  }

  /** The code says whether a job is paused. */
  noteCode(jobId: string, paused: boolean, now: number): void {
    if (!paused && this.#pauses.size === 0) return
    const known = this.#pauses.get(jobId)
    if (paused && (known === undefined || (typeof known === 'object' && known.byCode))) this.#pauses.set(jobId, 'code')
    if (!paused && known === 'code') this.#pauses.set(jobId, { resumedAt: now, byCode: true })
  }

  /** An operator pauses a job. */
  pause(jobId: string): void {
    this.#pauses.set(jobId, 'operator')
  }

  /** An operator resumes a job; one that is not paused has been resumed already. */
  resume(jobId: string, now: number): void {
    const known = this.#pauses.get(jobId)
    if (known === undefined) this.#pauses.set(jobId, { resumedAt: Number.NEGATIVE_INFINITY, byCode: false })
    else if (typeof known === 'object') this.#pauses.set(jobId, { ...known, byCode: false })
    else this.#pauses.set(jobId, { resumedAt: now, byCode: false })
  }

  /** The clock was corrected by a step back, to `now`. */
  correct(now: number): void {
    for (const [jobId, pause] of this.#pauses) {
      if (typeof pause === 'object' && pause.resumedAt > now) this.#pauses.set(jobId, { ...pause, resumedAt: now })
    }
  }
}
