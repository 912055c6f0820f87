import type { JobRecord } from '../job-record.js'

/** The most and the fewest ticks asked for in one call. */
const MAX_SLICE = 64
const MIN_SLICE = 16

/**
 * A busy second is asked for in about this many calls, with a turn of the event loop after each, so that replicas which
 * wake at the same time get a share of it each.
 */
const SLICES = 8

/** Jobs whose due tick waits to be claimed; each job is in it once at most. */
export class DueQueue {
  readonly #shuffle: ((jobs: JobRecord[]) => void) | null
  #jobs: JobRecord[] = []
  #head = 0
  #arrived: JobRecord[] = []

  /** @param shuffle puts what arrives at one time into an order of this replica's own; `null` keeps it */
  constructor(shuffle: ((jobs: JobRecord[]) => void) | null) {
    this.#shuffle = shuffle
  }

  get size(): number {
    return this.#jobs.length - this.#head + this.#arrived.length
  }

  push(job: JobRecord): void {
    this.#arrived.push(job)
  }

  /** The next jobs to ask for: a share of those that wait, `limit` at most. */
  take(limit: number): JobRecord[] {
    if (this.#arrived.length > 0) {
      this.#shuffle?.(this.#arrived)
      this.#jobs = this.#jobs.slice(this.#head).concat(this.#arrived)
      this.#head = 0
      this.#arrived = []
    }
    const waiting = this.#jobs.length - this.#head
    const share = Math.max(MIN_SLICE, Math.min(MAX_SLICE, Math.ceil(waiting / SLICES)))
    const slice = this.#jobs.slice(this.#head, this.#head + Math.min(share, limit))
    this.#head += slice.length
    if (this.#head === this.#jobs.length) {
      this.#jobs = []
      this.#head = 0
    }
    return slice
  }

  /** Empties the queue, and returns what was in it. */
  clear(): JobRecord[] {
    const left = [...this.#jobs.slice(this.#head), ...this.#arrived]
    this.#jobs = []
    this.#head = 0
    this.#arrived = []
    return left
  }
}
