import type { Coordination } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import { JobChangedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import { logSafely } from '../observability/log.js'
import type { AskedPause } from './job-control.js'

export interface FailurePausesOptions {
  readonly coordination: Coordination
  readonly log: Logger
  readonly journal: Journal
  readonly pause: (job: JobRecord, asked: AskedPause) => Promise<unknown>
}

/**
 * Pauses jobs that have failed `pauseAfterFailures` times in a row, on whichever replicas. How often that is, the store says, once
 * it has heard of a failure: whoever told it asks.
 */
export class FailurePauses {
  readonly #options: FailurePausesOptions
  readonly #asking = new Set<JobRecord>()

  constructor(options: FailurePausesOptions) {
    this.#options = options
  }

  /** The store has heard of a run of a job that failed. */
  async note(job: JobRecord): Promise<void> {
    const { pauseAfterFailures: limit, group } = job.definition
    if (limit === null || job.paused || this.#asking.has(job)) return
    const { coordination, log, pause } = this.#options
    this.#asking.add(job)
    try {
      const [status] = await coordination.readStatus([{ jobId: job.id, group: group ?? '' }], false)
      const failures = status?.failures ?? 0
      if (failures < limit) return
      const note = failures === 1 ? 'its last run failed' : `its last ${failures} runs failed`
      await pause(job, { by: undefined, expectedVersion: null, note, until: null })
      this.#options.journal.pausedAfterFailures(job, failures)
    } catch (err) {
      // Another replica, or a person, was faster.
      if (err instanceof JobChangedError) return
      const message = 'a job could not be paused after its failures: the next one that fails pauses it'
      logSafely(log, 'warn', { err, jobId: job.id }, message)
    } finally {
      this.#asking.delete(job)
    }
  }
}
