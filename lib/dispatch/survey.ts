import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination, JobState, SurveyRequest } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import { SECOND } from '../base/duration.js'
import { nextInSequence } from '../base/sequence.js'
import { hasEnded } from '../coordination/claim-rules.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import { logSafely } from '../observability/log.js'
import { isFromCompletion } from '../triggers/index.js'
import { retentionOf } from './claim-request.js'
import type { EndedJobs } from './ended-jobs.js'
import type { LateTicks } from './late-ticks.js'
import type { Recovery } from './recovery.js'
import type { StartRuns } from './start-runs.js'

/** How soon a survey that failed although Redis is up is repeated. */
const RETRY_DELAY = 2 * SECOND

export interface SurveyOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly recovery: Recovery
  readonly lateTicks: LateTicks
  readonly startRuns: StartRuns
  readonly endedJobs: EndedJobs
  readonly log: Logger
  /** The jobs of this process. */
  readonly jobs: JobRegistry
  /** The next tick of a job. */
  readonly nextOf: (job: JobRecord) => number | null
  /** What is being read of how operators have changed the jobs; `null` for nothing. */
  readonly overrides: () => Promise<void> | null
  /** Whether this replica takes ticks at present. */
  readonly isRunning: () => boolean
  /** Called with the latest claimed tick if it lies in the future. */
  readonly onFuture: (until: number) => void
  /** Called when the ticks that a survey has found are passed on. */
  readonly onSurveyed: () => void
}

/**
 * Reads what the store remembers of jobs: their pauses, ticks that no replica has claimed, runs without a holder. By
 * the same call the store learns since when this replica has each job.
 */
export class Survey {
  readonly #options: SurveyOptions
  #added: JobRecord[] = []
  #pending: Promise<void> | null = null
  #retry: TimerHandle | null = null

  constructor(options: SurveyOptions) {
    this.#options = options
  }

  /** Resolves when the surveys under way have succeeded or failed; `null` when none is under way. */
  get pending(): Promise<void> | null {
    return this.#pending
  }

  /** Asks about a job that is new or has a new trigger; all such jobs of one turn of the event loop share a call. */
  add(job: JobRecord): void {
    this.#added.push(job)
    if (this.#added.length > 1) return
    const turn = new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    void this.#track(turn.then(() => this.#ask(this.#added.splice(0))))
  }

  /** Asks about jobs; about all of this process by default. */
  askAbout(jobs: readonly JobRecord[] = [...this.#options.jobs.values()]): void {
    void this.#track(this.#ask(jobs))
  }

  /** Lets claims wait for something else as they do for a survey. */
  alsoWaitFor(promise: Promise<void>): void {
    void this.#track(promise)
  }

  start(): void {
    this.askAbout()
  }

  stop(): void {
    this.#retry?.cancel()
    this.#retry = null
  }

  /** Adds a survey to those that claims wait for. */
  async #track(survey: Promise<void>): Promise<void> {
    const before = this.#pending
    const pending = before === null ? survey : Promise.all([before, survey]).then(() => {})
    this.#pending = pending
    await pending
    if (this.#pending === pending) this.#pending = null
  }

  async #ask(jobs: readonly JobRecord[]): Promise<void> {
    const { coordination, isRunning, log, overrides } = this.#options
    // Else the store would note of a job that is overridden since when it has the trigger of its code.
    const reading = overrides()
    if (reading !== null) await reading
    const triggers = jobs.map(({ trigger }) => trigger)
    const askedAt = nextInSequence()
    try {
      const states = await coordination.survey(jobs.map((job) => this.#requestOf(job)))
      let last = Number.NEGATIVE_INFINITY
      for (const [index, job] of jobs.entries()) {
        const state = states[index] as JobState
        last = Math.max(last, state.previous ?? last)
        this.#options.jobs.learnPaused(job, state.paused, askedAt)
        if (job.trigger === triggers[index]) this.#apply(job, state)
      }
      // With the memory store, a clock that was set back is reported when it happens.
      if (coordination.state.kind !== 'memory' && last > coordination.now()) this.#options.onFuture(last)
      this.#options.onSurveyed()
    } catch (err) {
      // The survey is repeated when the store is up again, or after a while if it is up but refuses. Until then this
      // replica learns about each job from its claims.
      if (coordination.state.up && isRunning()) this.#retryLater()
      // Jobs with `lock: false` do not wait for it.
      for (const job of jobs) if (job.definition.lockTtl === null) this.#options.startRuns.note(job)
      logSafely(log, 'debug', { err }, 'could not read what Redis remembers of the jobs')
    }
  }

  #requestOf(job: JobRecord): SurveyRequest {
    const { id, definition, template, trigger, knownSince } = job
    const isClaimed = definition.lockTtl !== null
    const isAccounted = isClaimed && !isFromCompletion(trigger) && Number.isFinite(knownSince)
    // If the store has nothing on record, the job counts from when this replica first had it, even if it was removed
    // since.
    const known = Math.max(job.firstPresentSince ?? knownSince, job.takenUntil, job.accountedUntil)
    const now = this.#options.coordination.now()
    const period = trigger.afterCompletion ?? Math.max(0, (this.#options.nextOf(job) ?? now) - now)
    return {
      jobId: id,
      fingerprint: template.fingerprint,
      pausedInitially: definition.pausedInitially,
      group: template.group,
      since: isAccounted ? Math.floor(knownSince) : null,
      isOnce: template.isOnce,
      accounted: isAccounted ? Math.floor(known) : 0,
      retention: isClaimed ? Math.ceil(retentionOf(template, period)) : 0
    }
  }

  #apply(job: JobRecord, state: JobState): void {
    const { endedJobs, isRunning, lateTicks, recovery, startRuns } = this.#options
    if (job.removed || !isRunning()) return
    if (job.definition.lockTtl !== null) {
      if (hasEnded(job.definition, state.runs)) endedJobs.note(job)
      job.noteFleetSince(state.since)
      lateTicks.catchUp(job, state)
      if (state.unfinished) recovery.lookNow(job)
    }
    startRuns.note(job)
  }

  #retryLater(): void {
    this.#retry ??= this.#options.clock.setTimeout(() => {
      this.#retry = null
      if (this.#options.isRunning()) this.askAbout()
    }, RETRY_DELAY)
  }
}
