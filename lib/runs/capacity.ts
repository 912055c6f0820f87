/**
 * How many runs this process has room for (`concurrency`): it counts the runs that go on and the claims that are waiting for
 * their answer, as each of those may become a run. The dispatcher and the recovery ask only for what there is room for; a run
 * by hand starts in any case, so that `room` can be negative.
 */
export class Capacity {
  #concurrency: number
  readonly #onRoom: () => void
  /** How many runs go on. */
  #running = 0
  /** How many claims are waiting for their answer. */
  #asked = 0

  /** @param onRoom called when there is room for another run */
  constructor(concurrency: number, onRoom: () => void) {
    this.#concurrency = concurrency
    this.#onRoom = onRoom
  }

  /** How many runs there may be at once. */
  get concurrency(): number {
    return this.#concurrency
  }

  /** Makes room for more runs, which is announced, or for fewer: those that go on then end by themselves. */
  resize(concurrency: number): void {
    this.#concurrency = concurrency
    this.announceRoom()
  }

  /** For how many more runs there is room. */
  get room(): number {
    return this.#concurrency - this.#running - this.#asked
  }

  /** So many claims were asked for. */
  asked(count: number): void {
    this.#asked += count
  }

  /** So many of the claims that were asked for are answered; `announceRoom` follows where none of them may become a run. */
  answered(count: number): void {
    this.#asked -= count
  }

  runStarted(): void {
    this.#running++
  }

  /** `announceRoom` follows once the end of the run is on its way to the store. */
  runEnded(): void {
    this.#running--
  }

  /** Tells the listener if there is room. */
  announceRoom(): void {
    if (this.room > 0) this.#onRoom()
  }
}
