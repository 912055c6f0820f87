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
import { checkSize, inForce, type Overridden, type OverrideChange, Overrides } from './overrides.js'
import { ownAjv } from './own-ajv.js'
import { type PauseChange, Pauses } from './pauses.js'
import type { CompilerOf } from './schema.js'
import type { JobStats } from './stats.js'
import { JobView } from './view.js'

/** A job that an operator has given another definition. */
export interface Redefined {
  readonly job: JobRecord
  /** Whether it has another trigger. */
  readonly isRetimed: boolean
}

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
  readonly #overrides = new Overrides()
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
    const job = this.#create(resolved, app)
    this.#applyOverride(job, null)
    return job
  }

  /** @throws JobUnknownError, and the errors of the options and the trigger */
  modify(id: string, changes: JobChanges): JobRecord {
    const job = this.known(id)
    const { id: newId, paused } = copyKnown(changes, JOB_KEYS, 'the changes', PEER_JOB_NAMES)
    if (newId !== undefined) throw new OptionInvalidError('id', 'left as it is by `modify`', show(newId))
    if (paused !== undefined) throw new OptionInvalidError('paused', 'changed by `pause` and `resume`', show(paused))
    const code = resolveJob(changes, this.#defaults, this.#resolveHandler, job.code, this.#compilerOf(job.app))
    this.#check(code.definition)
    if (job.override === null) {
      this.#redefine(job, code)
    } else {
      this.#checkTrigger(code)
      this.#redefineOver(job, code, job.override, null)
    }
    return job
  }

  /** The override in force of a job, which need not be one of this process; `null` for none. */
  overrideOf(jobId: string): Overridden | null {
    return this.#overrides.of(jobId)
  }

  /**
   * Checks what an override would make of a job.
   *
   * @throws JobUnknownError, and the errors of the options and the trigger
   */
  checkOverride(jobId: string, changes: Readonly<Record<string, unknown>>): void {
    const job = this.known(jobId)
    checkSize(changes)
    this.#checkTrigger(this.#overridden(job, job.code, changes))
  }

  /**
   * Notes that a job was overridden, or reset.
   *
   * @param knownAt when this process learned of it, in its sequence
   * @returns the job, where that changes one of this process; `null` for none
   */
  noteOverride(change: OverrideChange, knownAt: number): Redefined | null {
    const job = this.#jobs.get(change.jobId)
    if (!this.#overrides.note(change, knownAt) || job === undefined) return null
    return this.#applyOverride(job, change.at)
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
   * @returns the jobs that are defined otherwise by that
   */
  noteStanding(standing: Standing, askedAt: number): Redefined[] {
    this.#pauses.noteAll(standing, askedAt)
    this.#overrides.noteAll(standing.overrides, askedAt)
    const redefined: Redefined[] = []
    for (const job of this.#jobs.values()) {
      this.#notePauses(job, askedAt)
      const each = this.#applyOverride(job, null)
      if (each !== null) redefined.push(each)
    }
    return redefined
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

  /**
   * Lets a job be as what is known of its override says.
   *
   * @param givenAt when an operator changed that, where this replica has just heard of it
   * @returns `null` where nothing changes
   */
  #applyOverride(job: JobRecord, givenAt: number | null): Redefined | null {
    const override = this.#overrides.of(job.id)
    if (override?.version === job.override?.version) return null
    const { code, trigger, hasEnded } = job
    if (override === null) {
      this.#redefine(job, code, givenAt)
      job.noteOverride(null, null)
    } else {
      this.#redefineOver(job, code, override, givenAt)
    }
    return { job, isRetimed: job.trigger !== trigger || hasEnded }
  }

  /** Gives a job what its code says, overridden. What cannot be applied here is said, and left out: the code is as good as it was. */
  #redefineOver(
    job: JobRecord,
    code: ResolvedJob,
    { changes, note, by, at, version }: Omit<Overridden, 'jobId'>,
    givenAt: number | null
  ): void {
    let error: string | null = null
    try {
      this.#redefine(job, this.#overridden(job, code, changes), givenAt)
    } catch (cause) {
      error = (cause as Error).message
      this.#redefine(job, code, givenAt)
    }
    job.noteOverride(Object.freeze({ changes, note, by, at, version, error }), code)
  }

  /** @throws the errors of the options */
  #overridden(job: JobRecord, code: ResolvedJob, changes: Readonly<Record<string, unknown>>): ResolvedJob {
    const compile = this.#compilerOf(job.app)
    const resolved = resolveJob(inForce(changes) as JobChanges, this.#defaults, this.#resolveHandler, code, compile)
    const { lockTtl } = resolved.definition
    if ((lockTtl === null) !== (code.definition.lockTtl === null)) {
      throw inJob(
        new OptionInvalidError(
          'lock',
          "a TTL at most: whether runs have a lock is left to the job's code",
          show(changes.lock)
        ),
        job.id
      )
    }
    this.#check(resolved.definition)
    return resolved
  }

  /** @throws the errors of the trigger */
  #checkTrigger(resolved: ResolvedJob): void {
    const trigger = this.#acquire(resolved)
    if (trigger !== BY_HAND) this.#pool.release(trigger)
  }

  /** @param givenAt when the whole fleet was given this definition; `null` where this replica alone has it so, or always had */
  #redefine(job: JobRecord, resolved: ResolvedJob, givenAt: number | null = null): void {
    const { group } = job.definition
    const trigger = this.#acquire(resolved)
    const isRetimed = trigger !== job.trigger || job.hasEnded
    if (isRetimed) {
      this.#timetable.remove(job)
      if (!job.hasEnded) this.#gone.leave(job, this.#timetable.now)
    }
    this.#blocks.remove(job)
    this.#pool.release(job.trigger)
    job.redefine({ ...resolved, trigger }, this.#timetable.now)
    if (job.definition.group !== group) job.notePauses(nextInSequence())
    if (isRetimed) {
      job.dropDue()
      this.#timetable.add(job)
      this.#gone.enter(job, givenAt)
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
