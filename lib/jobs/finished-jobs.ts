import type { Clock, TimerHandle } from '../../types/clock.js'
import { MINUTE } from '../base/duration.js'
import type { JobRecord } from './job.js'

/** How long a finished job stays after its last run, so that its metrics can be scraped. */
const REMOVAL_DELAY = 5 * MINUTE

export interface FinishedJobsOptions {
  readonly clock: Clock
  /** The jobs of this process. */
  readonly jobs: () => Iterable<JobRecord>
  /** Whether the job still has a due tick, a request or a run. */
  readonly isBusy: (job: JobRecord) => boolean
  /** Whether the job's trigger has no further tick; the trigger may have changed since the job finished. */
  readonly isOver: (job: JobRecord) => boolean
  readonly remove: (job: JobRecord) => void
}

/** Removes jobs whose trigger has no further tick, some time after their last run. */
export class FinishedJobs {
  readonly #options: FinishedJobsOptions
  /**
   * When each job is removed, on the monotonic clock. The order is that of insertion, as the delay is always the same.
   */
  readonly #due = new Map<JobRecord, number>()
  #timer: TimerHandle | null = null
  #stopped = false

  constructor(options: FinishedJobsOptions) {
    this.#options = options
  }

  /** Begins or restarts the delay: the job's trigger has no further tick, or a run of such a job has ended. */
  scheduleRemoval(job: JobRecord): void {
    if (job.removed) return
    job.isFinished = true
    if (this.#stopped) return
    this.#due.delete(job)
    this.#due.set(job, this.#options.clock.monotonic() + REMOVAL_DELAY)
    this.#arm()
  }

  /** Starts, or starts again after `stop`: the delay of every job that was finished by then begins anew. */
  start(): void {
    this.#stopped = false
    for (const job of this.#options.jobs()) if (job.isFinished) this.scheduleRemoval(job)
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
    this.#timer = clock.setTimeout(() => this.#removeDue(), Math.max(1, Math.ceil(first - clock.monotonic())))
  }

  #removeDue(): void {
    const { clock, isBusy, isOver, remove } = this.#options
    this.#timer = null
    const now = clock.monotonic()
    for (const [job, at] of this.#due) {
      if (at > now) break
      this.#due.delete(job)
      if (job.removed) continue
      if (!isOver(job)) job.isFinished = false
      else if (isBusy(job)) this.scheduleRemoval(job)
      else remove(job)
    }
    this.#arm()
  }
}
