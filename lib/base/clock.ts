import type { Clock, TimerHandle } from '../../types/clock.js'

/** A timer of the system. Its methods are the same for all, so that what is compiled to call them stays. */
class SystemTimer implements TimerHandle {
  readonly #timer: NodeJS.Timeout

  constructor(timer: NodeJS.Timeout) {
    this.#timer = timer
  }

  cancel(): void {
    clearTimeout(this.#timer)
  }

  unref(): void {
    this.#timer.unref()
  }

  ref(): void {
    this.#timer.ref()
  }
}

/** The system's clock: the one place that reads it and sets its timers. */
export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  // The global one, which fake timers replace together with the others.
  monotonic: () => performance.now(),
  setTimeout(callback: () => void, delay: number) {
    return new SystemTimer(setTimeout(callback, delay))
  },
  setImmediate(callback: () => void) {
    setImmediate(callback)
  }
})
