import { AsyncResource } from 'node:async_hooks'
import type { Clock, TimerHandle } from '../../types/clock.js'

/** The further attempts of a run; most runs need none. */
export class Retries {
  /** How often the handler was called again. */
  count = 0
  /** The wait for the next attempt. */
  #timer: TimerHandle | null = null
  /** The context in which the run was made: what an attempt has entered is not the next one's. `null` for none. */
  readonly #origin: AsyncResource | null

  constructor(origin: AsyncResource | null) {
    this.#origin = origin
  }

  /** Whether the next attempt is waited for, so that no handler runs. */
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

  /** Ends the wait. Whether there was one. */
  endWait(): boolean {
    if (this.#timer === null) return false
    this.#timer.cancel()
    this.#timer = null
    return true
  }

  /** An async context for an attempt. */
  newScope(): AsyncResource {
    const make = (): AsyncResource => new AsyncResource('JobRun')
    return this.#origin === null ? make() : this.#origin.runInAsyncScope(make)
  }
}
