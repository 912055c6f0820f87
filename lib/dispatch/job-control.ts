import type { Clock } from '../../types/clock.js'
import type { Change, ChangeEffect, Coordination, PauseScope, ReleasedLock } from '../../types/coordination.js'
import type { RemovalReason } from '../../types/events.js'
import type { JobChanges, JobOptions } from '../../types/job-options.js'
import type { JobOverride, JobPause } from '../../types/levers.js'
import { SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { nameOfChange } from '../base/scopes.js'
import { show } from '../base/show.js'
import { JobChangedError, RunUnknownError, TickPassedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry, Redefined } from '../jobs/registry.js'
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

/** Who asks for a change, and what must be in force; left out, this replica, and anything. */
export interface AskedChange {
  readonly by: string | undefined
  readonly expectedVersion: string | null | undefined
}

export interface AskedPause extends AskedChange {
  readonly note: string | null
  readonly until: number | null
}

/** How long requests of a job are collected before the fleet is told of them. */
const COLLECT_REQUESTS = SECOND / 10

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

  constructor(options: JobControlOptions) {
    this.#options = options
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
  async override(
    jobId: string,
    changes: Readonly<Record<string, unknown>>,
    note: string | null,
    asked: AskedChange
  ): Promise<JobOverride> {
    const before = this.#overriding.get(jobId)
    const made = Promise.resolve(before).then(() => this.#override(jobId, changes, note, asked))
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
    note: string | null,
    { by, expectedVersion }: AskedChange
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
        const effect = { kind: 'override', jobId, changes: all, note } as const
        const { by: who, at, id: version } = await this.#change(effect, { by, expectedVersion: expected })
        journal.overridden(jobId, Object.keys(changes), who, note)
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
    const { by } = await this.#change({ kind: 'reset', jobId }, asked)
    this.#options.journal.overrideReset(jobId, by)
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
    const { by } = await this.#change({ kind: 'resume', scope }, asked)
    const resumed = jobs.within(scope)
    const all = jobs.pauseOf('all')
    const still = scope.startsWith('job:') ? (resumed[0]?.pauses ?? []) : all === null ? [] : [all]
    journal.resumed(resumed, scope, by, still)
    return still
  }

  /**
   * Tells the fleet that a request for a run by hand waits: at once, and of those of one job that follow within a while together.
   * Where that fails, replicas find them when they look for such the next time.
   */
  async tellOfRequest(jobId: string): Promise<void> {
    const isTold = this.#toldOfRequests.has(jobId)
    this.#toldOfRequests.set(jobId, isTold)
    if (isTold) return
    const onTime = (): void => {
      const isToTellAgain = this.#toldOfRequests.get(jobId)
      this.#toldOfRequests.delete(jobId)
      if (isToTellAgain) void this.tellOfRequest(jobId)
    }
    this.#options.clock.setTimeout(onTime, COLLECT_REQUESTS).unref?.()
    await this.#change({ kind: 'request', jobId }, {}).catch(() => {})
  }

  /**
   * Cancels a run, wherever it goes on.
   *
   * @throws RunUnknownError, RedisUnavailableError
   */
  async cancel(runId: string, by: string | undefined): Promise<void> {
    const { journal, replicaId, runner } = this.#options
    // One without a lock is known here alone, and one with a lock needs nobody else.
    if (!runner.cancel(runId, by ?? replicaId)) await this.#change({ kind: 'cancel', runId }, { by })
    journal.runCancelled(runId, by ?? replicaId)
  }

  /**
   * Lets a tick of a job have no run.
   *
   * @throws TickPassedError, RedisUnavailableError
   */
  async skip(jobId: string, scheduledTime: number, note: string | null, by: string | undefined): Promise<void> {
    const { journal, replicaId } = this.#options
    await this.#change({ kind: 'skip', jobId, scheduledTime, note }, { by })
    journal.skipAsked(jobId, scheduledTime, by ?? replicaId, note)
  }

  /**
   * Frees the locks of a job, or that of one slot.
   *
   * @throws RedisUnavailableError
   */
  async release(jobId: string, slot: number | null, by: string | undefined): Promise<readonly ReleasedLock[]> {
    const { journal, replicaId } = this.#options
    const change = await this.#change({ kind: 'release', jobId, slot }, { by })
    const runs = (change.kind === 'release' ? change.runs : undefined) ?? []
    if (runs.length > 0)
      journal.locksReleased(
        jobId,
        runs.map(({ runId }) => runId),
        by ?? replicaId
      )
    return runs
  }

  /** Makes a change for the fleet, and applies it here. */
  async #change(effect: ChangeEffect, { by, expectedVersion }: Partial<AskedChange>): Promise<Change> {
    const { coordination, fleetChanges, newRunId, replicaId } = this.#options
    const expected = expectedVersion === undefined ? {} : { expected: expectedVersion }
    const answer = await coordination.change({ ...effect, id: newRunId(), by: by ?? replicaId, ...expected })
    if (answer.status === 'conflict') {
      const when = answer.at === null ? 'since' : `at ${new Date(answer.at).toISOString()}`
      const why = answer.by === null ? 'no such version is in force' : `'${answer.by}' has changed it ${when}`
      throw new JobChangedError(nameOfChange(effect), show(expectedVersion), why)
    }
    if (answer.status === 'passed' && 'scheduledTime' in effect) {
      throw new TickPassedError(show(effect.jobId), new Date(effect.scheduledTime).toISOString())
    }
    if (answer.status !== 'made') throw new RunUnknownError(show('runId' in effect ? effect.runId : ''))
    fleetChanges.apply(answer.change)
    return answer.change
  }
}
