import type { Clock, TimerHandle } from '../../types/clock.js'
import { MINUTE } from '../base/duration.js'
import type { JobRecord } from './job.js'

/** How long a job stays after its last run, so that what came of it can be seen and scraped. */
const KEEP = 5 * MINUTE

export interface FinishedJobsOptions {
  readonly clock: Clock
  /** The jobs of this process. */
  readonly jobs: () => Iterable<JobRecord>
  /** Whether something of the job may still be to come, or is not yet accounted for. */
  readonly isBusy: (job: JobRecord) => boolean
  /** Whether the job's trigger still has no further tick, as it may have been changed. */
  readonly isOver: (job: JobRecord) => boolean
  readonly remove: (job: JobRecord) => void
}

/** Jobs whose trigger has no further tick: they go a while after their last run. */
export class FinishedJobs {
  readonly #options: FinishedJobsOptions
  /** When they go, on the monotonic clock; in this order, as all stay equally long. */
  readonly #due = new Map<JobRecord, number>()
  #timer: TimerHandle | null = null
  #stopped = false

  constructor(options: FinishedJobsOptions) {
    this.#options = options
  }

  /** The job's trigger has no further tick, or a run of such a job has ended: the time until it goes begins. */
  touch(job: JobRecord): void {
    if (this.#stopped || job.removed) return
    job.isFinished = true
    this.#due.delete(job)
    this.#due.set(job, this.#options.clock.monotonic() + KEEP)
    this.#arm()
  }

  /** Begins, also again after `stop`: what was known to be finished then is kept for its time anew. */
  start(): void {
    this.#stopped = false
    for (const job of this.#options.jobs()) if (job.isFinished) this.touch(job)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
    this.#due.clear()
  }

  #arm(): void {
    const first = this.#due.values().next().value
    if (this.#timer !== null || first === undefined) return
    const { clock } = this.#options
    this.#timer = clock.setTimeout(() => this.#look(), Math.max(1, Math.ceil(first - clock.monotonic())))
  }

  #look(): void {
    const { clock, isBusy, isOver, remove } = this.#options
    this.#timer = null
    const now = clock.monotonic()
    for (const [job, at] of this.#due) {
      if (at > now) break
      this.#due.delete(job)
      if (job.removed) continue
      if (!isOver(job)) job.isFinished = false
      else if (isBusy(job)) this.touch(job)
      else remove(job)
    }
    this.#arm()
  }
}
