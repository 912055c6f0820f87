import type { Fingerprint } from '../../types/coordination.js'
import type { Executor } from '../../types/executor.js'
import type { Job } from '../../types/job.js'
import type { Trigger } from '../../types/trigger.js'
import { DAY } from '../base/duration.js'
import type { Timed } from '../timetable/timetable.js'
import type { Block, BlockMember, Blocks } from './blocks.js'
import { type ClaimTemplate, claimTemplateOf } from './claim-template.js'
import { isOnce, type JobDefinition } from './definition.js'
import { DueState } from './due-state.js'
import type { ResolvedHandler } from './handler.js'
import { DEFAULT_GRACE } from './options.js'
import type { JobStats } from './stats.js'

/** How late a date may be brought at most: for longer it may be forgotten whether it ran. */
const MAX_LOOK_BACK = 7 * DAY

/** A block of such jobs, and all of them. */
export type JobBlock = Block<JobRecord>
export type JobBlocks = Blocks<JobRecord>

/** What makes a job what it is, each time that it is defined. */
export interface JobMeaning {
  readonly definition: JobDefinition
  readonly trigger: Trigger
  readonly handler: ResolvedHandler
}

/** A job inside the scheduler: what it is, by its definition, and how it stands in this process, by its `DueState`. */
export class JobRecord extends DueState implements Timed, BlockMember<JobRecord> {
  readonly id: string
  readonly stats: JobStats
  /** What users see of it. */
  readonly view: Job
  /** What its handler is called with as `app`. */
  readonly app: unknown
  /** Its place among the jobs of its trigger in the timetable. */
  place = -1
  /** The block with which it is asked for; `null` when it is asked for alone. */
  block: JobBlock | null = null
  /** Its place in the block. */
  blockIndex = -1
  /** Whether its trigger has no further tick, so that it goes some time after its last run. */
  isFinished = false
  #definition: JobDefinition
  #trigger: Trigger
  // Fields of the job itself, and not of an object of its own, as each run reads them.
  #executor: Executor
  #work: unknown
  #template: ClaimTemplate | null = null
  #removed = false
  #paused: boolean
  /** When it was asked for or said whether it is paused, in this process' sequence. */
  #pauseKnownAt = 0

  /** @param viewOf makes what users see of it */
  constructor(meaning: JobMeaning, app: unknown, stats: JobStats, viewOf: (job: JobRecord) => Job) {
    super()
    const { definition, trigger, handler } = meaning
    this.id = definition.id
    this.app = app
    this.stats = stats
    this.#definition = definition
    this.#trigger = trigger
    this.#executor = handler.executor
    this.#work = handler.work
    this.#paused = definition.pausedInitially
    this.view = viewOf(this)
  }

  get definition(): JobDefinition {
    return this.#definition
  }

  get trigger(): Trigger {
    return this.#trigger
  }

  /** What runs its handler. */
  get executor(): Executor {
    return this.#executor
  }

  /** What its executor is to run. */
  get work(): unknown {
    return this.#work
  }

  /** Whether the job was removed: nothing of it starts any more. */
  get removed(): boolean {
    return this.#removed
  }

  /** As far as this replica knows. */
  get paused(): boolean {
    return this.#paused
  }

  /** What its claims have in common. */
  get template(): ClaimTemplate {
    this.#template ??= claimTemplateOf(this.#definition, this.#trigger)
    return this.#template
  }

  /** What tells this definition from another of the same id. */
  get fingerprint(): Fingerprint {
    return this.template.fingerprint
  }

  get jitter(): number {
    return this.#definition.jitter
  }

  get isOnce(): boolean {
    return isOnce(this.#definition)
  }

  get lookBack(): number {
    if (!this.isOnce) return 0
    const { misfireGraceTime, jitter } = this.#definition
    return Math.min(MAX_LOOK_BACK, (misfireGraceTime ?? DEFAULT_GRACE) + jitter)
  }

  // For the registry alone:

  /** Gives the job another meaning. */
  redefine({ definition, trigger, handler }: JobMeaning): void {
    this.#definition = definition
    this.#trigger = trigger
    this.#executor = handler.executor
    this.#work = handler.work
    this.#template = null
  }

  /**
   * Somebody has said whether the job is paused.
   *
   * @param askedAt when that was asked for, in this process' sequence: what was asked for later is known better
   * @returns whether it is news
   */
  learnPaused(paused: boolean, askedAt: number): boolean {
    if (askedAt < this.#pauseKnownAt) return false
    this.#pauseKnownAt = askedAt
    const isNews = paused !== this.#paused
    this.#paused = paused
    return isNews
  }

  markRemoved(): void {
    this.#removed = true
    this.takeDue()
  }
}
