import { AsyncResource } from 'node:async_hooks'
import type { Clock, TimerHandle } from '../../types/clock.js'
import type { FailedAttempt } from '../../types/history.js'

/** The further attempts of a run; most runs need none. */
export class Retries {
  /** The attempts that have failed, where the history keeps them. */
  readonly failed: FailedAttempt[] = []
  /** How often the handler was called again. */
  count = 0
  /** The wait for the next attempt. */
  #timer: TimerHandle | null = null
  /** The async context in which the run was made, as an attempt does not inherit from the one before; `null` for none. */
  readonly origin: AsyncResource | null

  constructor(origin: AsyncResource | null) {
    this.origin = origin
  }

  /** Whether no handler runs, as the next attempt is still to come. */
  get isWaiting(): boolean {
    return this.#timer !== null
  }

  /** @param begin calls the handler again */
  wait(clock: Clock, delay: number, begin: () => void): void {
    this.#timer = clock.setTimeout(() => {
      this.#timer = null
      begin()
    }, delay)
  }

  /** Ends the wait for the next attempt. @returns whether there was one */
  endWait(): boolean {
    if (this.#timer === null) return false
    this.#timer.cancel()
    this.#timer = null
    return true
  }

  /** An async context for an attempt. */
  newScope(): AsyncResource {
    const make = (): AsyncResource => new AsyncResource('JobRun')
    return this.origin === null ? make() : this.origin.runInAsyncScope(make)
  }
}
