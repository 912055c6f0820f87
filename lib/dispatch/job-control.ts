import type { Coordination } from '../../types/coordination.js'
import type { RemovalReason } from '../../types/events.js'
import type { JobChanges, JobOptions } from '../../types/job-options.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Journal } from '../observability/journal.js'
import type { Survey } from './survey.js'

export interface JobControlOptions {
  readonly replicaId: string
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly survey: Survey
  readonly journal: Journal
  /** Whether this replica takes ticks at present. */
  readonly isRunning: () => boolean
}

/** Adds, modifies, removes, pauses and resumes jobs: in this process, in the store, and for the journal. */
export class JobControl {
  readonly #options: JobControlOptions

  constructor(options: JobControlOptions) {
    this.#options = options
  }

  /** Adds a job, see `JobRegistry.add`. */
  add(options: JobOptions, app: unknown): JobRecord {
    const { jobs, survey, journal, isRunning } = this.#options
    const job = jobs.add(options, app)
    if (isRunning()) survey.add(job)
    journal.jobAdded(job)
    return job
  }

  /** Modifies a job, see `JobRegistry.modify`. */
  modify(id: string, changes: JobChanges): JobRecord {
    const { jobs, survey, journal, isRunning } = this.#options
    const before = jobs.get(id)
    const { trigger, hasEnded = false } = before ?? {}
    const job = jobs.modify(id, changes)
    if (isRunning() && (job.trigger !== trigger || hasEnded)) survey.add(job)
    journal.jobModified(job)
    return job
  }

  /** Removes a job; returns whether there was one with that id. */
  remove(id: string, reason: RemovalReason): boolean {
    const job = this.#options.jobs.remove(id)
    if (job !== null) this.#options.journal.jobRemoved(job, reason)
    return job !== null
  }

  /**
   * Pauses a job for the fleet.
   *
   * @throws RedisUnavailableError
   */
  async pause(job: JobRecord, note: string | undefined): Promise<void> {
    const { coordination, journal, replicaId } = this.#options
    await coordination.pause(job.id, note)
    journal.paused(this.#learnPaused(job, true), replicaId, note)
  }

  /**
   * Resumes a job for the fleet.
   *
   * @throws RedisUnavailableError
   */
  async resume(job: JobRecord): Promise<void> {
    const { coordination, journal, replicaId } = this.#options
    await coordination.resume(job.id)
    journal.resumed(this.#learnPaused(job, false), replicaId)
  }

  /** @returns the present job with that id, as it may have been removed and added again meanwhile */
  #learnPaused(job: JobRecord, paused: boolean): JobRecord {
    const { jobs } = this.#options
    const known = jobs.get(job.id) ?? job
    jobs.learnPaused(known, paused, nextInSequence())
    return known
  }
}
