import type { PauseScope, SkippedTick, Standing } from '../../types/coordination.js'
import type { JobChanges, JobOptions } from '../../types/job-options.js'
import type { JobPause } from '../../types/levers.js'
import type { Trigger } from '../../types/trigger.js'
import { copyKnown } from '../base/check.js'
import { PEER_JOB_NAMES } from '../base/peer-names.js'
import { groupScope, jobScope } from '../base/scopes.js'
import { nextInSequence } from '../base/sequence.js'
import { show } from '../base/show.js'
import { inJob, JobDuplicateError, JobUnknownError, OptionInvalidError } from '../errors.js'
import type { Timetable } from '../timetable/timetable.js'
import { BY_HAND, TriggerPool } from '../triggers/index.js'
import type { JobDefinition, ResolvedDefaults } from './definition.js'
import { GoneJobs } from './gone-jobs.js'
import type { HandlerResolver } from './handler.js'
import { type JobBlocks, JobRecord } from './job.js'
import { JOB_KEYS, type ResolvedJob, resolveJob } from './options.js'
import { ownAjv } from './own-ajv.js'
import { type PauseChange, Pauses } from './pauses.js'
import type { CompilerOf } from './schema.js'
import type { JobStats } from './stats.js'
import { JobView } from './view.js'

/**
 * The jobs of this process. Only the registry adds, modifies, removes, pauses and resumes them. A change is validated
 * as a whole before anything is changed.
 */
export class JobRegistry {
  readonly #jobs = new Map<string, JobRecord>()
  readonly #defaults: ResolvedDefaults
  readonly #resolveHandler: HandlerResolver
  readonly #newStats: () => JobStats
  readonly #pool: TriggerPool
  readonly #timetable: Timetable<JobRecord>
  readonly #blocks: JobBlocks
  readonly #onBareInterval: (jobId: string, interval: number) => void
  readonly #check: (definition: JobDefinition) => void
  readonly #compilerOf: CompilerOf
  readonly #gone = new GoneJobs()
  readonly #pauses: Pauses
  readonly #viewOf: (job: JobRecord) => JobView<JobRecord>

  /**
   * @param newStats makes the statistics of a new job
   * @param onBareInterval called for an interval given as a number so small that seconds may be meant
   * @param check throws a coded error where the store cannot do what a definition says
   * @param compilerOf finds what compiles the JSON Schemas of an app's jobs
   */
  constructor(
    defaults: ResolvedDefaults,
    resolveHandler: HandlerResolver,
    timezone: string,
    newStats: () => JobStats,
    timetable: Timetable<JobRecord>,
    blocks: JobBlocks,
    onBareInterval: (jobId: string, interval: number) => void,
    check: (definition: JobDefinition) => void = () => {},
    compilerOf: CompilerOf = () => ownAjv
  ) {
    this.#compilerOf = compilerOf
    this.#blocks = blocks
    this.#onBareInterval = onBareInterval
    this.#check = check
    this.#defaults = defaults
    this.#resolveHandler = resolveHandler
    this.#newStats = newStats
    this.#pool = new TriggerPool({ timezone })
    this.#timetable = timetable
    this.#pauses = new Pauses(() => timetable.now)
    this.#viewOf = (job) => new JobView(job, timetable)
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
   * Adds a job from code.
   *
   * @param app the `app` that the job's handler is called with
   * @throws JobDuplicateError, and the errors of the options and the trigger
   */
  add(options: JobOptions, app?: unknown): JobRecord {
    const resolved = resolveJob(options, this.#defaults, this.#resolveHandler, undefined, this.#compilerOf(app))
    const { definition } = resolved
    if (this.#jobs.has(definition.id)) throw new JobDuplicateError(show(definition.id))
    this.#check(definition)
    return this.#create(resolved, app)
  }

  /** @throws JobUnknownError, and the errors of the options and the trigger */
  modify(id: string, changes: JobChanges): JobRecord {
    const job = this.known(id)
    const { id: newId, paused } = copyKnown(changes, JOB_KEYS, 'the changes', PEER_JOB_NAMES)
    if (newId !== undefined) throw new OptionInvalidError('id', 'left as it is by `modify`', show(newId))
    if (paused !== undefined) throw new OptionInvalidError('paused', 'changed by `pause` and `resume`', show(paused))
    const { definition, executor, work, schema, condition } = job
    const base = { definition, handler: { executor, work }, schema, condition }
    const compile = this.#compilerOf(job.app)
    const resolved = resolveJob(changes, this.#defaults, this.#resolveHandler, base, compile)
    this.#check(resolved.definition)
    this.#redefine(job, resolved)
    return job
  }

  /** Removes and returns a job; `null` when there is none with that id. */
  remove(id: string): JobRecord | null {
    const job = this.#jobs.get(id)
    if (job === undefined) return null
    this.#jobs.delete(id)
    this.#timetable.remove(job)
    this.#pool.release(job.trigger)
    this.#blocks.remove(job)
    if (!job.hasEnded) this.#gone.leave(job, this.#timetable.now)
    job.markRemoved()
    return job
  }

  /**
   * Notes whether a job is paused.
   *
   * @param askedAt when that was asked or said, in this process' sequence: an answer older than a `pause()` does not
   *   undo it
   */
  learnPaused(job: JobRecord, paused: boolean, askedAt: number): void {
    if (job.learnPaused(paused, askedAt) && !job.removed && !job.hasEnded) this.#blocks.update(job)
  }

  /**
   * Notes that jobs were paused or resumed.
   *
   * @param knownAt when this process learned of it, in its sequence
   * @returns the jobs that it is about
   */
  notePause(change: PauseChange, knownAt: number): JobRecord[] {
    const scope = this.#pauses.note(change, knownAt)
    if (scope === null) return []
    const jobs = this.within(scope)
    for (const job of jobs) this.#notePauses(job, knownAt)
    return jobs
  }

  /**
   * Notes all that is in force.
   *
   * @param askedAt when that was asked for, in this process' sequence
   */
  noteStanding(standing: Standing, askedAt: number): void {
    this.#pauses.noteAll(standing, askedAt)
    for (const job of this.#jobs.values()) this.#notePauses(job, askedAt)
  }

  /** Notes that a tick of a job has no run. */
  noteSkip(tick: SkippedTick): void {
    this.#pauses.noteSkip(tick)
  }

  /** The jobs that a pause is about. */
  within(scope: PauseScope): JobRecord[] {
    return [...this.#jobs.values()].filter(({ id, definition: { group } }) => {
      return scope === 'all' || scope === jobScope(id) || (group !== null && scope === groupScope(group))
    })
  }

  /** The pause in force of a group or of all jobs. */
  pauseOf(scope: PauseScope): JobPause | null {
    return this.#pauses.ofScope(scope)
  }

  #notePauses(job: JobRecord, knownAt: number): void {
    const { paused } = job
    job.notePauses(knownAt)
    if (job.paused !== paused && !job.removed && !job.hasEnded) this.#blocks.update(job)
  }

  /** Ends a job that has had all of its runs, like one whose trigger has ended. */
  end(job: JobRecord): void {
    if (job.hasEnded || job.removed) return
    this.#blocks.remove(job)
    job.markEnded()
    this.#timetable.finish(job)
    this.#gone.leave(job, this.#timetable.now)
  }

  /** Corrects the times of all jobs, see `DueState.moveTimes`. */
  moveTimes(step: number, now: number): void {
    for (const job of this.#jobs.values()) job.moveTimes(step, now)
    this.#gone.clear()
  }

  /** Makes a job from a definition, whatever its source. */
  #create(resolved: ResolvedJob, app: unknown): JobRecord {
    const trigger = this.#acquire(resolved)
    const job = new JobRecord({ ...resolved, trigger }, app, this.#newStats(), this.#pauses, this.#viewOf)
    this.#jobs.set(job.id, job)
    this.#timetable.add(job)
    this.#blocks.add(job)
    this.#gone.enter(job)
    return job
  }

  #redefine(job: JobRecord, resolved: ResolvedJob): void {
    const { group } = job.definition
    const trigger = this.#acquire(resolved)
    const isRetimed = trigger !== job.trigger || job.hasEnded
    if (isRetimed) {
      this.#timetable.remove(job)
      if (!job.hasEnded) this.#gone.leave(job, this.#timetable.now)
    }
    this.#blocks.remove(job)
    this.#pool.release(job.trigger)
    job.redefine({ ...resolved, trigger })
    if (job.definition.group !== group) job.notePauses(nextInSequence())
    if (isRetimed) {
      job.dropDue()
      this.#timetable.add(job)
      this.#gone.enter(job)
    }
    this.#blocks.add(job)
  }

  #acquire({ definition: { id, trigger } }: ResolvedJob): Trigger {
    if (trigger === null) return BY_HAND
    try {
      return this.#pool.acquire(trigger, (interval) => this.#onBareInterval(id, interval))
    } catch (error) {
      throw inJob(error, id)
    }
  }
}
