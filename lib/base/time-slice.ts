import type { Clock } from '../../types/clock.js'

/** How long the scheduler works at a stretch, in milliseconds: the service's requests wait for it meanwhile. */
const LONGEST = 0.1

/** How many pieces of work are done between two looks at the clock. */
const PIECES = 8

/** Work of many small pieces that lets the event loop have a turn in between, so that requests do not wait for all of it. */
export class TimeSlice {
  readonly #clock: Clock
  #begunAt: number
  #left = PIECES

  constructor(clock: Clock) {
    this.#clock = clock
    this.#begunAt = clock.monotonic()
  }

  /** Called before each piece. Whether the event loop is to have a turn first, by `pass`. */
  get isOver(): boolean {
    this.#left--
    if (this.#left > 0) return false
    this.#left = PIECES
    return this.#clock.monotonic() - this.#begunAt > LONGEST
  }

  /** Resolves after a turn of the event loop. */
  async pass(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.setImmediate(resolve))
    this.#begunAt = this.#clock.monotonic()
  }
}
