import type { Fingerprint } from '../../types/coordination.js'
import type { Executor } from '../../types/executor.js'
import type { Job } from '../../types/job.js'
import type { JobOverride, JobPause } from '../../types/levers.js'
import type { JobCondition } from '../../types/run.js'
import type { Trigger } from '../../types/trigger.js'
import { DAY } from '../base/duration.js'
import { inJob } from '../errors.js'
import type { Timed } from '../timetable/timetable.js'
import type { Block, BlockMember, Blocks } from './blocks.js'
import { type ClaimTemplate, claimTemplateOf } from './claim-template.js'
import { isOnce, type JobDefinition } from './definition.js'
import { DueState } from './due-state.js'
import type { ResolvedHandler } from './handler.js'
import { DEFAULT_GRACE, type ResolvedJob } from './options.js'
import type { Pauses } from './pauses.js'
import { laneOf } from './priority.js'
import type { DataSchema } from './schema.js'
import type { JobStats } from './stats.js'

/** How late a date may run at most: after longer the store may have forgotten whether it ran. */
const MAX_LOOK_BACK = 7 * DAY

/** A block of jobs, and the set of all blocks. */
export type JobBlock = Block<JobRecord>
export type JobBlocks = Blocks<JobRecord>

/** A job's definition with its trigger and handler made from it. */
export interface CompiledJob {
  readonly definition: JobDefinition
  readonly trigger: Trigger
  readonly handler: ResolvedHandler
  readonly schema: DataSchema | null
  readonly condition: JobCondition | null
  readonly heartbeat: string | null
}

/** A job inside the scheduler: its definition, and by `DueState` its ticks in this process. */
export class JobRecord extends DueState implements Timed, BlockMember<JobRecord> {
  readonly id: string
  readonly stats: JobStats
  /** The job as users see it. */
  readonly view: Job
  /** The `app` that the job's handler is called with. */
  readonly app: unknown
  /** The job's place among the jobs of its trigger; the timetable's own. */
  place = -1
  /** The block that the job belongs to; `null` when its ticks are requested on their own. */
  block: JobBlock | null = null
  /** The job's index in `block.jobs`. */
  blockIndex = -1
  /** Whether the job's trigger has no further tick, so that the job is removed some time after its last run. */
  isFinished = false
  #definition: JobDefinition
  #trigger: Trigger
  // Fields of the job itself, and not of an object of its own, as each run reads them.
  #executor: Executor
  #work: unknown
  #schema: DataSchema | null
  #condition: JobCondition | null
  #heartbeat: string | null
  #lane: number
  #template: ClaimTemplate | null = null
  #override: JobOverride | null = null
  /** What its code says, where it is overridden. */
  #code: ResolvedJob | null = null
  #definedSince = Number.NEGATIVE_INFINITY
  #removed = false
  #ended = false
  readonly #pauses: Pauses
  #paused: boolean
  /** When its pause is over by itself, by the fleet's clock. */
  #pausedUntil = Number.POSITIVE_INFINITY
  /** When this replica asked or said whether the job is paused, in this process' sequence. */
  #pauseKnownAt = 0

  /**
   * @param pauses what is known of pauses
   * @param viewOf makes the job that users see
   */
  constructor(meaning: CompiledJob, app: unknown, stats: JobStats, pauses: Pauses, viewOf: (job: JobRecord) => Job) {
    super()
    const { definition, trigger, handler, schema, condition, heartbeat } = meaning
    this.id = definition.id
    this.app = app
    this.stats = stats
    this.#definition = definition
    this.#trigger = trigger
    this.#executor = handler.executor
    this.#work = handler.work
    this.#schema = schema
    this.#condition = condition
    this.#heartbeat = heartbeat
    this.#lane = laneOf(definition.priority)
    this.#pauses = pauses
    this.#paused = false
    this.notePauses(0)
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

  /** Its `when`; `null` for none. */
  get condition(): JobCondition | null {
    return this.#condition
  }

  /** The URL that its runs ping, which is secret; `null` for none. */
  get heartbeat(): string | null {
    return this.#heartbeat
  }

  /** What its data has to be; `null` for anything. */
  get schema(): DataSchema | null {
    return this.#schema
  }

  /** In which order its ticks are requested: 0 for those of the highest priority. */
  get lane(): number {
    return this.#lane
  }

  /** Whether the job was removed, so that no run of it starts any more. */
  get removed(): boolean {
    return this.#removed
  }

  /** Whether the job has had all of its runs, so that no tick of it is due any more. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Whether this replica knows the job to be paused. */
  get paused(): boolean {
    if (!this.#paused) return false
    return this.#pausedUntil === Number.POSITIVE_INFINITY || this.#pauses.now < this.#pausedUntil
  }

  /** The pauses in force that this replica knows of. */
  get pauses(): readonly JobPause[] {
    return this.paused ? this.#pauses.of(this) : []
  }

  /** What operators have changed of its code; `null` for nothing. */
  get override(): JobOverride | null {
    return this.#override
  }

  /** When it was last changed, on the fleet's clock: earlier ticks were claimed by what it was before. */
  get definedSince(): number {
    return this.#definedSince
  }

  /** What its code says. */
  get code(): ResolvedJob {
    if (this.#code !== null) return this.#code
    const handler = { executor: this.#executor, work: this.#work }
    return {
      definition: this.#definition,
      handler,
      schema: this.#schema,
      condition: this.#condition,
      heartbeat: this.#heartbeat
    }
  }

  /** Whether this replica knows that an operator has said that a tick has no run. */
  isSkipped(scheduledTime: number): boolean {
    return this.#pauses.isSkipped(this.id, scheduledTime)
  }

  /** As of `Pauses`. */
  skippedBetween(after: number, before: number): number[] {
    return this.#pauses.skippedBetween(this.id, after, before)
  }

  /** As of `Pauses`. */
  skippedBy(scheduledTime: number): string | null {
    return this.#pauses.skippedBy(this.id, scheduledTime)
  }

  /** What the requests for all of the job's ticks have in common. */
  get template(): ClaimTemplate {
    this.#template ??= claimTemplateOf(this.#definition, this.#trigger)
    return this.#template
  }

  /** Hashes that differ between two definitions of the same id. */
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

  /**
   * Makes what its handler gets of data that was given, by its schema.
   *
   * @throws the errors of `DataSchema.parse`, which name the job
   */
  parse(data: unknown): unknown {
    if (this.#schema === null) return data
    try {
      return this.#schema.parse(data)
    } catch (error) {
      throw inJob(error, this.id)
    }
  }

  // Only the registry calls these:

  /** Gives the job another definition. @param now the fleet's time */
  redefine({ definition, trigger, handler, schema, condition, heartbeat }: CompiledJob, now: number): void {
    this.#definedSince = now
    this.#definition = definition
    this.#trigger = trigger
    this.#executor = handler.executor
    this.#work = handler.work
    this.#schema = schema
    this.#condition = condition
    this.#heartbeat = heartbeat
    this.#lane = laneOf(definition.priority)
    this.#template = null
    this.#ended = false
  }

  /**
   * Notes what operators have changed of its code.
   *
   * @param code what that says; `null` where it is not changed
   */
  noteOverride(override: JobOverride | null, code: ResolvedJob | null): void {
    this.#override = override
    this.#code = code
  }

  /**
   * Notes whether the store has answered as if the job were paused.
   *
   * @param askedAt when it was asked, in this process' sequence; older news than the latest is ignored
   * @returns whether that is news
   */
  learnPaused(paused: boolean, askedAt: number): boolean {
    if (askedAt < this.#pauseKnownAt) return false
    this.#pauseKnownAt = askedAt
    if (paused === this.#paused) return false
    this.#paused = paused
    this.#pausedUntil = Number.POSITIVE_INFINITY
    if (!paused) this.#pauses.forget(this.id)
    return true
  }

  /**
   * Notes what is known of pauses by now.
   *
   * @param knownAt when that was asked for or said, in this process' sequence; older news than the latest is ignored
   */
  notePauses(knownAt: number): void {
    if (knownAt < this.#pauseKnownAt) return
    this.#pauseKnownAt = knownAt
    const pauses = this.#pauses.of(this)
    this.#paused = pauses.length > 0
    this.#pausedUntil = pauses.reduce((until, pause) => Math.max(until, pause.until ?? Number.POSITIVE_INFINITY), 0)
  }

  markEnded(): void {
    this.#ended = true
    this.takeDue()
  }

  markRemoved(): void {
    this.#removed = true
    this.takeDue()
  }
}
