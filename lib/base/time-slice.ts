import type { Clock } from '../../types/clock.js'

/** How long the scheduler works at a stretch, in milliseconds, while the service's requests wait. */
const MAX_LENGTH = 0.1

/** How many pieces of work are done between two looks at the clock. */
const PIECES = 8

/** Divides work of many small pieces, so that the event loop has a turn in between and requests do not wait for all of it. */
export class TimeSlice {
  readonly #clock: Clock
  /** On the monotonic clock. */
  #startedAt: number
  #left = PIECES

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedAt = clock.monotonic()
  }

  /** Whether the event loop is to have a turn before the next piece, by `pass`. To be read once before each piece. */
  get isOver(): boolean {
    this.#left--
    if (this.#left > 0) return false
    this.#left = PIECES
    return this.#clock.monotonic() - this.#startedAt > MAX_LENGTH
  }

  /** Resolves after a turn of the event loop. */
  async pass(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.setImmediate(resolve))
    this.#startedAt = this.#clock.monotonic()
  }
}
