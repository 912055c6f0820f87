import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Change, Coordination } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import { SECOND } from '../base/duration.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobRegistry, Redefined } from '../jobs/registry.js'
import { logSafely } from '../observability/log.js'
import type { Runner } from '../runs/runner.js'

/** How soon what is in force is read again, where the store is up and would not say. */
const RETRY_DELAY = 2 * SECOND

export interface FleetChangesOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly runner: Runner
  readonly log: Logger
  /** Called with a job for which a request waits. */
  readonly onWaiting: (jobId: string) => void
  /** Called with a job that operators have given another definition. */
  readonly onRedefined: (redefined: Redefined) => void
  /** Lets claims wait for what is being read. */
  readonly beforeClaims: (reading: Promise<void>) => void
}

/** Applies what was changed for the whole fleet to the jobs and runs of this process, whoever has changed it. */
export class FleetChanges {
  readonly #options: FleetChangesOptions
  /** Whether changes were missed, so that all that is in force is to be read. */
  #isBehind = false
  #reading: Promise<void> | null = null
  #closed = false
  #retry: TimerHandle | null = null

  constructor(options: FleetChangesOptions) {
    this.#options = options
  }

  /** See `CoordinationListener`. */
  onChanges(changes: readonly Change[], isComplete: boolean): void {
    for (const change of changes) this.apply(change)
    if (isComplete) return
    this.#isBehind = true
    this.readOn()
  }

  /** Reads what is in force, where changes were missed. */
  readOn(): void {
    if (!this.#isBehind || this.#reading !== null || this.#closed) return
    this.#reading = this.#read()
    this.#options.beforeClaims(this.#reading)
  }

  /** Resolves when what is in force has been read, or could not be; `null` while it is not being read. */
  get reading(): Promise<void> | null {
    return this.#reading
  }

  /** Applies a change that this process has made or heard of. */
  apply(change: Change): void {
    const { jobs, runner } = this.#options
    const { by } = change
    switch (change.kind) {
      case 'pause':
      case 'resume':
        jobs.notePause(change, nextInSequence())
        return
      case 'request':
        this.#options.onWaiting(change.jobId)
        return
      case 'skip':
        jobs.noteSkip(change)
        return
      case 'override':
      case 'reset': {
        const redefined = jobs.noteOverride(change, nextInSequence())
        if (redefined !== null) this.#options.onRedefined(redefined)
        return
      }
      case 'cancel':
        runner.cancel(change.runId, by)
        return
      case 'release':
        for (const { runId } of change.runs ?? []) runner.release(runId, by)
    }
  }

  /**
   * Reads what is in force now.
   *
   * @throws RedisUnavailableError
   */
  async refresh(): Promise<void> {
    const { coordination, jobs, onRedefined } = this.#options
    const askedAt = nextInSequence()
    for (const redefined of jobs.noteStanding(await coordination.standing(), askedAt)) onRedefined(redefined)
  }

  close(): void {
    this.#closed = true
    this.#retry?.cancel()
  }

  async #read(): Promise<void> {
    const { clock, coordination, log } = this.#options
    try {
      while (this.#isBehind && !this.#closed) {
        this.#isBehind = false
        await this.refresh()
      }
    } catch (err) {
      this.#isBehind = true
      logSafely(log, 'debug', { err }, 'could not read what is in force for the jobs')
      // Else it is read once the store is up again.
      if (coordination.state.up && !this.#closed) {
        this.#retry = clock.setTimeout(() => this.readOn(), RETRY_DELAY)
        this.#retry.unref?.()
      }
    } finally {
      this.#reading = null
    }
  }
}
