import type { JobChanges, JobOptions } from '../../types/job-options.js'
import type { Trigger } from '../../types/trigger.js'
import { copyKnown } from '../base/check.js'
import { PEER_JOB_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import { inJob, JobDuplicateError, JobUnknownError, OptionInvalidError } from '../errors.js'
import type { Timetable } from '../timetable/timetable.js'
import { TriggerPool } from '../triggers/index.js'
import { GoneJobs } from './absence.js'
import { type JobBlocks, JobRecord } from './job.js'
import { JOB_KEYS, type ResolvedDefaults, type ResolvedJob, resolveJob } from './options.js'
import type { JobStats } from './stats.js'

/** The jobs of this process. Each change is checked as a whole before anything is changed. */
export class JobRegistry {
  readonly #jobs = new Map<string, JobRecord>()
  readonly #defaults: ResolvedDefaults
  readonly #newStats: () => JobStats
  readonly #pool: TriggerPool
  readonly #timetable: Timetable<JobRecord>
  readonly #blocks: JobBlocks
  readonly #onBareInterval: (jobId: string, interval: number) => void
  readonly #gone = new GoneJobs()

  /**
   * @param newStats makes the numbers of a job that is added
   * @param onBareInterval called for an interval that was given as a number so small that seconds may be meant
   */
  constructor(
    defaults: ResolvedDefaults,
    timezone: string,
    newStats: () => JobStats,
    timetable: Timetable<JobRecord>,
    blocks: JobBlocks,
    onBareInterval: (jobId: string, interval: number) => void
  ) {
    this.#blocks = blocks
    this.#onBareInterval = onBareInterval
    this.#defaults = defaults
    this.#newStats = newStats
    this.#pool = new TriggerPool({ timezone })
    this.#timetable = timetable
  }

  get size(): number {
    return this.#jobs.size
  }

  values(): IterableIterator<JobRecord> {
    return this.#jobs.values()
  }

  get(id: string): JobRecord | undefined {
    return this.#jobs.get(id)
  }

  /** @throws JobUnknownError */
  known(id: string): JobRecord {
    const job = this.#jobs.get(id)
    if (job === undefined) throw new JobUnknownError(show(id), '')
    return job
  }

  /**
   * @param app what the job's handler is called with as `app`
   * @throws JobDuplicateError, and the errors of the options and the trigger
   */
  add(options: JobOptions, app?: unknown): JobRecord {
    const definition = resolveJob(options, this.#defaults)
    if (this.#jobs.has(definition.id)) throw new JobDuplicateError(show(definition.id))
    const trigger = this.#acquire(definition)
    const job = new JobRecord(definition, app, trigger, this.#newStats(), this.#timetable, this.#blocks)
    this.#jobs.set(job.id, job)
    this.#timetable.add(job)
    this.#blocks.add(job)
    this.#gone.enter(job)
    return job
  }

  /** @throws JobUnknownError, and the errors of the options and the trigger */
  modify(id: string, changes: JobChanges): JobRecord {
    const job = this.known(id)
    const { id: newId, paused } = copyKnown(changes, JOB_KEYS, 'the changes', PEER_JOB_NAMES)
    if (newId !== undefined) throw new OptionInvalidError('id', 'left as it is by `modify`', show(newId))
    if (paused !== undefined) throw new OptionInvalidError('paused', 'changed by `pause` and `resume`', show(paused))
    const definition = resolveJob(changes, this.#defaults, job.definition)
    const trigger = this.#acquire(definition)
    const retimed = trigger !== job.trigger
    if (retimed) {
      this.#timetable.remove(job)
      this.#gone.leave(job, this.#timetable.now)
    }
    this.#blocks.remove(job)
    this.#pool.release(job.trigger)
    job.redefine(definition, trigger)
    if (retimed) {
      // What still waits is a tick of the old trigger.
      job.pending = null
      job.lastUnlocked = null
      this.#timetable.add(job)
      this.#gone.enter(job)
    }
    this.#blocks.add(job)
    return job
  }

  #acquire({ id, trigger }: ResolvedJob): Trigger {
    try {
      return this.#pool.acquire(trigger, (interval) => this.#onBareInterval(id, interval))
    } catch (error) {
      throw inJob(error, id)
    }
  }

  /** As of `JobRecord.moveTimes`. */
  moveTimes(step: number, now: number): void {
    for (const job of this.#jobs.values()) job.moveTimes(step, now)
    this.#gone.clear()
  }

  /** Whether there was such a job. */
  remove(id: string): JobRecord | null {
    const job = this.#jobs.get(id)
    if (job === undefined) return null
    this.#jobs.delete(id)
    this.#timetable.remove(job)
    this.#pool.release(job.trigger)
    this.#blocks.remove(job)
    job.removed = true
    this.#gone.leave(job, this.#timetable.now)
    job.pending = null
    return job
  }
}
