import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination, JobState, SurveyRequest } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import { SECOND } from '../base/duration.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import { logSafely } from '../observability/log.js'
import { isFromCompletion } from '../triggers/index.js'
import { retentionOf } from './claim-request.js'
import type { LateTicks } from './late-ticks.js'
import type { Recovery } from './recovery.js'

/** How long after it could not be read what Redis remembers is asked for again, where Redis answers. */
const RETRY_DELAY = 2 * SECOND

export interface SurveyOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly recovery: Recovery
  readonly lateTicks: LateTicks
  readonly log: Logger
  /** The jobs of this process. */
  readonly jobs: JobRegistry
  /** The next tick of a job. */
  readonly nextOf: (job: JobRecord) => number | null
  /** Whether ticks are taken now. */
  readonly isRunning: () => boolean
  /** Called with the last tick that is taken, where that is one of the future. */
  readonly onFuture: (until: number) => void
  /** Called when all is brought that a survey has found. */
  readonly onSurveyed: () => void
}

/**
 * Learns what the store remembers of jobs, and tells it since when they are there: pauses, ticks that nobody was there for,
 * runs that nobody holds.
 */
export class Survey {
  readonly #options: SurveyOptions
  #added: JobRecord[] = []
  #pending: Promise<void> | null = null
  #retry: TimerHandle | null = null

  constructor(options: SurveyOptions) {
    this.#options = options
  }

  /** Resolves when what was asked about is known, or known not to be had; `null` when nothing was. */
  get pending(): Promise<void> | null {
    return this.#pending
  }

  /** Asks about a job that is new, or has a new trigger: those of one turn of the event loop in one call. */
  add(job: JobRecord): void {
    this.#added.push(job)
    if (this.#added.length > 1) return
    const turn = new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    void this.#await(turn.then(() => this.#ask(this.#added.splice(0))))
  }

  /** Asks about jobs; about all of them unless it is said about which. */
  take(jobs: readonly JobRecord[] = [...this.#options.jobs.values()]): void {
    void this.#await(this.#ask(jobs))
  }

  start(): void {
    this.take()
  }

  stop(): void {
    this.#retry?.cancel()
    this.#retry = null
  }

  /** What is asked for of a job comes after what is known of it. */
  async #await(survey: Promise<void>): Promise<void> {
    const before = this.#pending
    const pending = before === null ? survey : Promise.all([before, survey]).then(() => {})
    this.#pending = pending
    await pending
    if (this.#pending === pending) this.#pending = null
  }

  async #ask(jobs: readonly JobRecord[]): Promise<void> {
    const { coordination, isRunning, log } = this.#options
    const triggers = jobs.map(({ trigger }) => trigger)
    const askedAt = nextInSequence()
    try {
      const states = await coordination.survey(jobs.map((job) => this.#requestOf(job)))
      let last = Number.NEGATIVE_INFINITY
      for (const [index, job] of jobs.entries()) {
        const state = states[index] as JobState
        last = Math.max(last, state.previous ?? last)
        this.#options.jobs.learnPaused(job, state.paused, askedAt)
        if (job.trigger === triggers[index]) this.#answered(job, state)
      }
      // In memory it is told as it happens.
      if (coordination.state.kind !== 'memory' && last > coordination.now()) this.#options.onFuture(last)
      this.#options.onSurveyed()
    } catch (err) {
      // Asked again when the store answers, or in a while when it does but refuses; until then this replica learns of each
      // job with its claims.
      if (coordination.state.up && isRunning()) this.#retryLater()
      logSafely(log, 'debug', { err }, 'could not read what Redis remembers of the jobs')
    }
  }

  #requestOf(job: JobRecord): SurveyRequest {
    const { id, definition, template, trigger, presentSince } = job
    const isClaimed = definition.lockTtl !== null
    const isAccounted = isClaimed && !isFromCompletion(trigger) && Number.isFinite(presentSince)
    // Where nothing is on record, that is since this replica has had it, also before it was removed and added again.
    const known = Math.max(job.firstPresentSince ?? presentSince, job.takenUntil, job.accountedUntil)
    const now = this.#options.coordination.now()
    const period = trigger.afterCompletion ?? Math.max(0, (this.#options.nextOf(job) ?? now) - now)
    return {
      jobId: id,
      fingerprint: template.fingerprint,
      pausedInitially: definition.pausedInitially,
      since: isAccounted ? Math.floor(presentSince) : null,
      isOnce: template.isOnce,
      accounted: isAccounted ? Math.floor(known) : 0,
      retention: isClaimed ? Math.ceil(retentionOf(template, period)) : 0
    }
  }

  #answered(job: JobRecord, state: JobState): void {
    if (job.removed || job.definition.lockTtl === null || !this.#options.isRunning()) return
    job.noteFleetSince(state.since)
    this.#options.lateTicks.catchUp(job, state)
    if (state.unfinished) this.#options.recovery.lookNow(job)
  }

  #retryLater(): void {
    this.#retry ??= this.#options.clock.setTimeout(() => {
      this.#retry = null
      if (this.#options.isRunning()) this.take()
    }, RETRY_DELAY)
  }
}
