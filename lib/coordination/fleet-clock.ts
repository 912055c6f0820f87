import type { Clock } from '../../types/clock.js'

/** How many measurements are kept: the most exact of them is believed. */
const WINDOW = 16

/** What two measurements may differ by beyond their own inexactness before the clock is held to have stepped. */
const TOLERANCE = 5

interface Sample {
  /** The store's clock minus the monotonic one. */
  readonly offset: number
  /** Half the exchange's round trip: the true offset lies within this of the one measured. */
  readonly error: number
}

/**
 * The store's clock, as this process can know it: the local monotonic clock plus an offset measured at every exchange
 * (Cristian's algorithm: the store read its clock somewhere between the request and the reply, and the exchange with
 * the shortest round trip is the most exact). A local wall clock that is wrong or jumps has no effect on it.
 */
export class FleetClock {
  readonly #clock: Clock
  readonly #onStep: (measured?: number) => void
  #samples: Sample[] = []
  #best: Sample | null = null
  #sampledAt = Number.NEGATIVE_INFINITY

  /** @param onStep called when `now()` has moved by a step, with the step where it is the first measurement */
  constructor(clock: Clock, onStep: (measured?: number) => void) {
    this.#clock = clock
    this.#onStep = onStep
  }

  /** The store's time in milliseconds since the Unix epoch; the process' own before the first measurement. */
  now(): number {
    return this.#best === null ? this.#clock.now() : this.#clock.monotonic() + this.#best.offset
  }

  /** The process' wall clock minus the store's, in milliseconds. */
  get skew(): number {
    return this.#clock.now() - this.now()
  }

  get isMeasured(): boolean {
    return this.#best !== null
  }

  /** When the last measurement was, on the monotonic clock. */
  get sampledAt(): number {
    return this.#sampledAt
  }

  /**
   * Adds a measurement.
   *
   * @param sent when the request was sent, on the monotonic clock
   * @param storeTime what the store's clock said, in milliseconds since the Unix epoch
   */
  sample(sent: number, storeTime: number): void {
    const received = this.#clock.monotonic()
    this.#sampledAt = received
    const error = (received - sent) / 2
    const sample: Sample = { offset: storeTime - (sent + error), error }
    const best = this.#best
    if (best === null || Math.abs(sample.offset - best.offset) > sample.error + best.error + TOLERANCE) {
      // The first measurement, or one that the best cannot explain: a clock has stepped, and what was known is void.
      const before = this.now()
      this.#samples = [sample]
      this.#best = sample
      this.#onStep(best === null ? this.now() - before : undefined)
      return
    }
    this.#samples.push(sample)
    if (this.#samples.length > WINDOW) this.#samples.shift()
    this.#best = this.#samples.reduce((found, each) => (each.error <= found.error ? each : found))
  }
}
