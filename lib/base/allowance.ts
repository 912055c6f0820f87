import type { Clock } from '../../types/clock.js'

/** Admits so many at once, and then one more in each interval: what people do, and not what programs do by the thousand. */
export class Allowance {
  readonly #clock: Clock
  readonly #most: number
  readonly #interval: number
  #left: number
  #countedAt: number

  /**
   * @param most how many at once
   * @param interval in milliseconds
   */
  constructor(clock: Clock, most: number, interval: number) {
    this.#clock = clock
    this.#most = most
    this.#interval = interval
    this.#left = most
    this.#countedAt = clock.monotonic()
  }

  /** Whether there is one more. */
  take(): boolean {
    const now = this.#clock.monotonic()
    this.#left = Math.min(this.#most, this.#left + (now - this.#countedAt) / this.#interval)
    this.#countedAt = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
