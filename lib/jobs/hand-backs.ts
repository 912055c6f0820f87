/** What this process has heard of claims of one job that were handed back. */
export class HandBacks {
  #tick = Number.NEGATIVE_INFINITY
  #by: string[] = []
  #heard = 0

  /**
   * Notes that a tick is free again. Whether that is news: each hand-back is told more than once, also by a store that
   * has missed what came after it. Another of the same tick, by whoever took it in between, is news.
   *
   * @param by the request whose claim it was
   * @param heard when it was heard of, in this process' sequence
   */
  note(tick: number, by: string, heard: number): boolean {
    if (tick < this.#tick || (tick === this.#tick && this.#by.includes(by))) return false
    if (tick > this.#tick) this.#by = []
    this.#tick = tick
    this.#by.push(by)
    this.#heard = heard
    return true
  }

  /** Whether a tick was heard to be free later than a request for it was made, whose answer may be of before. */
  isNewsSince(tick: number, asked: number): boolean {
    return tick === this.#tick && this.#heard > asked
  }
}
