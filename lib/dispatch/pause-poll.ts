import type { Clock, TimerHandle } from '../../types/clock.js'
import { SECOND } from '../base/duration.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Survey } from './survey.js'

/** How often the store is asked. */
const POLL = 10 * SECOND

/**
 * Asks the store from time to time whether jobs with `lock: false` are paused. For all other jobs a replica learns that
 * from their claims.
 */
export class PausePoll {
  readonly #clock: Clock
  readonly #jobs: JobRegistry
  readonly #survey: Survey
  #timer: TimerHandle | null = null

  constructor(clock: Clock, jobs: JobRegistry, survey: Survey) {
    this.#clock = clock
    this.#jobs = jobs
    this.#survey = survey
  }

  start(): void {
    this.#timer = this.#clock.setTimeout(() => {
      const unlocked = [...this.#jobs.values()].filter((job) => job.definition.lockTtl === null)
      if (unlocked.length > 0) this.#survey.askAbout(unlocked)
      this.start()
    }, POLL)
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
