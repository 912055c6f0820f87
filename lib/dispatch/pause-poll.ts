import type { Clock, TimerHandle } from '../../types/clock.js'
import { SECOND } from '../base/duration.js'
import type { JobRegistry } from '../jobs/registry.js'
import { isByHand } from '../triggers/index.js'
import type { Survey } from './survey.js'

/** How often the store is asked. */
const POLL = 10 * SECOND

/**
 * Asks the store from time to time whether jobs with `lock: false`, or without a trigger, are paused. For all other jobs a
 * replica learns that from the claims of their ticks.
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
      const unclaimed = [...this.#jobs.values()].filter(
        ({ definition, trigger }) => definition.lockTtl === null || isByHand(trigger)
      )
      if (unclaimed.length > 0) this.#survey.askAbout(unclaimed)
      this.start()
    }, POLL)
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
