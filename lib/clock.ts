import type { Clock } from '../types/clock.js'

/** The system's clock: the one place that reads it and sets its timers. */
export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  // The global one, which fake timers replace together with the others.
  monotonic: () => performance.now(),
  setTimeout(callback: () => void, delay: number) {
    const timer = setTimeout(callback, delay)
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref(), ref: () => void timer.ref() }
  },
  setImmediate(callback: () => void) {
    setImmediate(callback)
  }
})
