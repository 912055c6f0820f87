import type { Clock } from '../../types/clock.js'
import type {
  Change,
  ChangeEffect,
  ChangeRequest,
  Coordination,
  PauseScope,
  ReleasedLock
} from '../../types/coordination.js'
import type { RemovalReason } from '../../types/events.js'
import type { JobChanges, JobOptions } from '../../types/job-options.js'
import type { JobOverride, JobPause } from '../../types/levers.js'
import { Allowance } from '../base/allowance.js'
import { SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { nameOfChange } from '../base/scopes.js'
import { show } from '../base/show.js'
import { JobChangedError, RunUnknownError, TickPassedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry, Redefined } from '../jobs/registry.js'
import { isAction } from '../observability/fleet-change.js'
import type { Journal } from '../observability/journal.js'
import type { Runner } from '../runs/runner.js'
import type { FleetChanges } from './fleet-changes.js'
import type { Survey } from './survey.js'

export interface JobControlOptions {
  readonly clock: Clock
  readonly replicaId: string
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly survey: Survey
  readonly fleetChanges: FleetChanges
  readonly runner: Runner
  readonly journal: Journal
  readonly newRunId: () => string
  /** Whether this replica takes ticks at present. */
  readonly isRunning: () => boolean
}

/** Who asks for something, left out for this replica, and why. */
export interface AskedAction {
  readonly by: string | undefined
  readonly note: string | null
}

/** Also what must be in force; left out, anything. */
export interface AskedChange extends AskedAction {
  readonly expectedVersion: string | null | undefined
}

export interface AskedPause extends AskedChange {
  readonly until: number | null
}

/** A run by hand that somebody has asked for. */
export interface AskedByHand {
  readonly jobId: string
  /** The run, where it has begun; else `null`. */
  readonly runId: string | null
  /** The request, where it waits; else `null`. */
  readonly requestId: string | null
  /** The nominal time it was asked for with; `null` for none. */
  readonly scheduledTime: number | null
}

/** How long requests of a job are collected before the fleet is told of them. */
const COLLECT_REQUESTS = SECOND / 10

/** Of how many runs by hand that somebody asks for the fleet is told at once, and how often of one more. */
const TOLD_AT_ONCE = 60
const TELL_ONE_MORE = SECOND

/** How often an override is tried while other replicas override the same job, and how long it waits in between, at most. */
const OVERRIDE_TRIES = 50
const OVERRIDE_WAIT = SECOND / 20

/** Changes jobs: in this process, in the store, and for the journal. */
export class JobControl {
  readonly #options: JobControlOptions
  /** The last override of each job that this process asks for: they follow each other. */
  readonly #overriding = new Map<string, Promise<unknown>>()
  /** Jobs of whose requests the fleet was just told, and whether there have been more since. */
  readonly #toldOfRequests = new Map<string, boolean>()
  readonly #allowance: Allowance

  constructor(options: JobControlOptions) {
    this.#options = options
    this.#allowance = new Allowance(options.clock, TOLD_AT_ONCE, TELL_ONE_MORE)
  }

  /** Adds a job, see `JobRegistry.add`. */
  add(options: JobOptions, app: unknown): JobRecord {
    const { jobs, survey, journal, isRunning } = this.#options
    const job = jobs.add(options, app)
    if (isRunning()) survey.add(job)
    journal.jobAdded(job)
    journal.overrideNoted(job)
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
    journal.overrideNoted(job)
    return job
  }

  /** A job of this process has another definition, as operators have changed something. */
  noteRedefined({ job, isRetimed }: Redefined): void {
    const { survey, journal, isRunning } = this.#options
    if (isRetimed && isRunning()) survey.add(job)
    journal.jobModified(job)
    journal.overrideNoted(job)
  }

  /**
   * Changes options of a job for the fleet, in addition to those that were overridden before.
   *
   * @throws JobUnknownError, the errors of the options, JobChangedError, RedisUnavailableError
   */
  async override(jobId: string, changes: Readonly<Record<string, unknown>>, asked: AskedChange): Promise<JobOverride> {
    const before = this.#overriding.get(jobId)
    const made = Promise.resolve(before).then(() => this.#override(jobId, changes, asked))
    const settled = made.catch(() => {})
    this.#overriding.set(jobId, settled)
    try {
      return await made
    } finally {
      if (this.#overriding.get(jobId) === settled) this.#overriding.delete(jobId)
    }
  }

  async #override(
    jobId: string,
    changes: Readonly<Record<string, unknown>>,
    { by, note, expectedVersion }: AskedChange
  ): Promise<JobOverride> {
    const { fleetChanges, jobs, journal } = this.#options
    // Of a replica that has just begun: what it is added to.
    await fleetChanges.reading
    const isGiven = expectedVersion !== undefined
    if (isGiven && (jobs.overrideOf(jobId)?.version ?? null) !== expectedVersion) await fleetChanges.refresh()
    for (let left = isGiven ? 0 : OVERRIDE_TRIES; ; left--) {
      const known = jobs.overrideOf(jobId)
      const all = { ...known?.changes, ...changes }
      jobs.checkOverride(jobId, all)
      const expected = isGiven ? expectedVersion : (known?.version ?? null)
      try {
        const options = Object.keys(changes)
        const effect = { kind: 'override', jobId, changes: all, options, note } as const
        const { by: who, at, id: version } = await this.#change(effect, { by, expectedVersion: expected })
        journal.overridden(jobId, options, { by: who, note })
        return { changes: all, note, by: who, at, version, error: null }
      } catch (error) {
        // Somebody else was faster: what they have changed stays.
        if (!(error instanceof JobChangedError) || left === 0) throw error
        // Each replica waits otherwise, and each time.
        const wait = hash32(`${this.#options.replicaId} ${left}`) % OVERRIDE_WAIT
        await new Promise<void>((resolve) => this.#options.clock.setTimeout(resolve, wait))
        await fleetChanges.refresh()
      }
    }
  }

  /**
   * Lets a job be as its code says again, for the fleet.
   *
   * @throws JobChangedError, RedisUnavailableError
   */
  async reset(jobId: string, asked: AskedChange): Promise<void> {
    const { note } = asked
    const { by } = await this.#change({ kind: 'reset', jobId, note }, asked)
    this.#options.journal.overrideReset(jobId, { by, note })
  }

  /** Removes a job; returns whether there was one with that id. */
  remove(id: string, reason: RemovalReason): boolean {
    const job = this.#options.jobs.remove(id)
    if (job !== null) this.#options.journal.jobRemoved(job, reason)
    return job !== null
  }

  /**
   * Pauses a job, a group or all jobs for the fleet.
   *
   * @throws RedisUnavailableError, JobChangedError
   */
  async pause(scope: PauseScope, { note, until, ...asked }: AskedPause): Promise<JobPause> {
    const { journal, jobs } = this.#options
    const change = await this.#change({ kind: 'pause', scope, note, until }, asked)
    const { id: version, by, at } = change
    journal.paused(jobs.within(scope), scope, { by, note, until })
    const of = scope === 'all' ? 'all' : scope.startsWith('job:') ? 'job' : 'group'
    return { of, note, by, at, until, version }
  }

  /**
   * Resumes what was paused by `pause` with the same scope.
   *
   * @returns what pauses it all the same
   * @throws RedisUnavailableError, JobChangedError
   */
  async resume(scope: PauseScope, asked: AskedChange): Promise<readonly JobPause[]> {
    const { journal, jobs } = this.#options
    const { note } = asked
    const { by } = await this.#change({ kind: 'resume', scope, note }, asked)
    const resumed = jobs.within(scope)
    const all = jobs.pauseOf('all')
    const still = scope.startsWith('job:') ? (resumed[0]?.pauses ?? []) : all === null ? [] : [all]
    journal.resumed(resumed, scope, { by, note }, still)
    return still
  }

  /**
   * Tells the fleet that a request for a run by hand waits: at once, and of those of one job that follow within a while together.
   * Where that fails, replicas find them when they look for such the next time.
   *
   * @param request `null` where nobody in particular asks for it: those that somebody asks for are told each
   */
  async tellOfRequest(jobId: string, request: (AskedByHand & AskedAction) | null = null): Promise<void> {
    const told = request === null ? null : this.#noteAskedFor(request)
    if (request !== null && told !== null) {
      const { requestId, scheduledTime, note } = request
      await this.#tell({ ...told, kind: 'request', jobId, requestId, scheduledTime, note })
      return
    }
    const isTold = this.#toldOfRequests.has(jobId)
    this.#toldOfRequests.set(jobId, isTold)
    if (isTold) return
    const onTime = (): void => {
      const isToTellAgain = this.#toldOfRequests.get(jobId)
      this.#toldOfRequests.delete(jobId)
      if (isToTellAgain) void this.tellOfRequest(jobId)
    }
    this.#options.clock.setTimeout(onTime, COLLECT_REQUESTS).unref?.()
    const effect = { kind: 'request', jobId, requestId: null, scheduledTime: null, note: null } as const
    await this.#change(effect, {}).catch(() => {})
  }

  /** Somebody has asked for a run by hand: the fleet keeps that with all else that people do. Nothing waits for it. */
  noteTrigger(asked: AskedByHand & AskedAction): void {
    const told = this.#noteAskedFor(asked)
    if (told !== null) void this.#tell(told)
  }

  /**
   * Cancels a run, wherever it goes on.
   *
   * @throws RunUnknownError, RedisUnavailableError
   */
  async cancel(runId: string, asked: AskedAction): Promise<void> {
    const { journal, replicaId, runner } = this.#options
    const { note, by = replicaId } = asked
    // One without a lock is known here alone, and one with a lock needs nobody else.
    let jobId = runner.cancel(runId, by)
    if (jobId !== null) {
      void this.#tell(this.#note({ kind: 'cancel', runId, jobId, isDone: true, note }, by))
    } else {
      const change = await this.#change({ kind: 'cancel', runId, jobId, note }, asked)
      if (change.kind === 'cancel') jobId = change.jobId
    }
    journal.runCancelled(runId, jobId, { by, note })
  }

  /**
   * Lets a tick of a job have no run.
   *
   * @throws TickPassedError, RedisUnavailableError
   */
  async skip(jobId: string, scheduledTime: number, asked: AskedAction): Promise<void> {
    const { note } = asked
    const { by } = await this.#change({ kind: 'skip', jobId, scheduledTime, note }, asked)
    this.#options.journal.skipAsked(jobId, scheduledTime, { by, note })
  }

  /**
   * Frees the locks of a job, or that of one slot.
   *
   * @throws RedisUnavailableError
   */
  async release(jobId: string, slot: number | null, asked: AskedAction): Promise<readonly ReleasedLock[]> {
    const { note } = asked
    const change = await this.#change({ kind: 'release', jobId, slot, note }, asked)
    const runs = (change.kind === 'release' ? change.runs : undefined) ?? []
    const runIds = runs.map(({ runId }) => runId)
    if (runs.length > 0) this.#options.journal.locksReleased(jobId, runIds, { by: change.by, note })
    return runs
  }

  /** Somebody has asked for a run by hand. @returns what the fleet is to be told of that; `null` for nothing, as it is one of many */
  #noteAskedFor({ by = this.#options.replicaId, note, ...asked }: AskedByHand & AskedAction): ChangeRequest | null {
    const isOneOfMany = !this.#allowance.take()
    this.#options.journal.runAskedFor({ ...asked, by, note }, isOneOfMany)
    const request = this.#note({ kind: 'trigger', ...asked, note }, by)
    return isOneOfMany ? null : request
  }

  /** Something is done already. @returns what the fleet is to be told of it */
  #note(effect: ChangeEffect, by: string): ChangeRequest {
    const { coordination, journal, newRunId } = this.#options
    const request = { ...effect, id: newRunId(), by }
    journal.changed({ ...request, at: Math.floor(coordination.now()), version: 0 })
    return request
  }

  /** Tells the fleet of what is done already: that may fail. */
  async #tell(request: ChangeRequest): Promise<void> {
    const { coordination, fleetChanges } = this.#options
    const answer = await coordination.change(request).catch(() => null)
    if (answer?.status === 'made') fleetChanges.apply(answer.change)
  }

  /** Makes a change for the fleet, and applies it here. */
  async #change(effect: ChangeEffect, { by, expectedVersion }: Partial<AskedChange>): Promise<Change> {
    const { coordination, fleetChanges, journal, newRunId, replicaId } = this.#options
    const expected = expectedVersion === undefined ? {} : { expected: expectedVersion }
    const answer = await coordination.change({ ...effect, id: newRunId(), by: by ?? replicaId, ...expected })
    if (answer.status === 'conflict') {
      const when = answer.at === null ? 'since' : `at ${new Date(answer.at).toISOString()}`
      const why = answer.by === null ? 'no such version is in force' : `'${answer.by}' has changed it ${when}`
      throw new JobChangedError(nameOfChange(effect), show(expectedVersion), why)
    }
    if (answer.status === 'passed' && effect.kind === 'skip') {
      throw new TickPassedError(show(effect.jobId), new Date(effect.scheduledTime).toISOString())
    }
    if (answer.status !== 'made') throw new RunUnknownError(show('runId' in effect ? effect.runId : ''))
    fleetChanges.apply(answer.change)
    if (isAction(answer.change)) journal.changed(answer.change)
    return answer.change
  }
}
