import type { Job } from '../types/job.js'
import type { Trigger, TriggerInput } from '../types/trigger.js'
import type { ResolvedJob } from './job-options.js'
import { JobStats } from './observability/job-stats.js'
import type { DueTick, Timed, Timetable } from './timetable.js'

/** A job inside the scheduler: its definition, and how it stands in this process. */
export class JobRecord implements Timed {
  readonly id: string
  readonly stats: JobStats
  /** What users see of it. */
  readonly view: Job
  definition: ResolvedJob
  trigger: Trigger
  /** As far as this replica knows. */
  paused: boolean
  /** Whether the job was removed: nothing of it starts any more. */
  removed = false
  /** The last tick that came without a claim, for a job with `lock: false`; `null` before the first. */
  lastUnlocked: number | null = null
  /** The due tick that is not yet asked for: one at most, as a later one stands for it. */
  pending: DueTick | null = null
  /** The earliest late tick that `pending` stands for; its own time when it stands for none. */
  firstLate = 0
  /** What Redis did not answer for, to be asked for again; its tick is `pending`. */
  unanswered: AskedTick | null = null

  constructor(
    definition: ResolvedJob,
    trigger: Trigger,
    durationBuckets: readonly number[],
    timetable: Timetable<JobRecord>
  ) {
    this.id = definition.id
    this.definition = definition
    this.trigger = trigger
    this.stats = new JobStats(durationBuckets)
    this.paused = definition.pausedInitially
    this.view = new JobView(this, timetable)
  }

  get jitter(): number {
    return this.definition.jitter
  }

  get lookBack(): number {
    return 'date' in this.definition.trigger ? this.definition.misfireGraceTime : 0
  }
}

/** A due tick that is asked for. */
export interface AskedTick {
  readonly tick: DueTick
  /** The trigger the job had then; it may have another since. */
  readonly trigger: Trigger
  /** The request's identity, kept when it is repeated. */
  readonly runId: string
  /** The lock's time to live, in milliseconds. */
  readonly ttl: number
  /** As `JobRecord.firstLate`. */
  readonly firstLate: number
}

class JobView implements Job {
  readonly #job: JobRecord
  readonly #timetable: Timetable<JobRecord>

  constructor(job: JobRecord, timetable: Timetable<JobRecord>) {
    this.#job = job
    this.#timetable = timetable
  }

  get id(): string {
    return this.#job.id
  }

  get name(): string {
    return this.#job.definition.name
  }

  get trigger(): TriggerInput {
    return this.#job.definition.trigger
  }

  get data(): unknown {
    return this.#job.definition.data
  }

  get paused(): boolean {
    return this.#job.paused
  }

  get running(): number {
    return this.#job.stats.running
  }

  get nextRun(): number | null {
    return this.#job.removed ? null : this.#timetable.nextOf(this.#job)
  }

  get lastRun(): number | null {
    return this.#job.stats.lastRun || null
  }

  get lastSuccess(): number | null {
    return this.#job.stats.lastSuccess || null
  }

  toJSON(): Job {
    const { id, name, trigger, data, paused, running, nextRun, lastRun, lastSuccess } = this
    return { id, name, trigger, data, paused, running, nextRun, lastRun, lastSuccess }
  }
}
