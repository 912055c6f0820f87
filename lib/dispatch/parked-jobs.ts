import type { Clock, TimerHandle } from '../../types/clock.js'
import type { JobRecord } from '../jobs/job.js'

/** Jobs whose due tick waits for a while before it is requested again. */
export class ParkedJobs {
  readonly #clock: Clock
  readonly #delay: number
  readonly #onDue: (jobs: readonly JobRecord[]) => void
  readonly #jobs = new Set<JobRecord>()
  #timer: TimerHandle | null = null

  /**
   * @param delay in milliseconds, from when the first job is parked
   * @param onDue called after that with the jobs still parked; each stays parked until it is deleted
   */
  constructor(clock: Clock, delay: number, onDue: (jobs: readonly JobRecord[]) => void) {
    this.#clock = clock
    this.#delay = delay
    this.#onDue = onDue
  }

  get size(): number {
    return this.#jobs.size
  }

  has(job: JobRecord): boolean {
    return this.#jobs.has(job)
  }

  park(job: JobRecord): void {
    this.#jobs.add(job)
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = null
      this.#onDue([...this.#jobs])
    }, this.#delay)
  }

  delete(job: JobRecord): void {
    if (this.#jobs.size > 0) this.#jobs.delete(job)
  }

  /** Removes and returns all parked jobs. */
  clear(): readonly JobRecord[] {
    this.#timer?.cancel()
    this.#timer = null
    const jobs = [...this.#jobs]
    this.#jobs.clear()
    return jobs
  }
}
