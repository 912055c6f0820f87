/** The hand-backs of one job's claims that this process knows of. */
export class HandBacks {
  #tick = Number.NEGATIVE_INFINITY
  #by: string[] = []
  #heardAt = 0

  /**
   * Notes that a tick is free again. Every hand-back is announced more than once, even by a store that has missed later
   * claims. A second hand-back of the same tick, by a replica that claimed it in between, is news.
   *
   * @param by the id of the request whose claim was handed back
   * @param heardAt when this process learned of it, in its sequence
   * @returns whether that is news
   */
  note(tick: number, by: string, heardAt: number): boolean {
    if (tick < this.#tick || (tick === this.#tick && this.#by.includes(by))) return false
    if (tick > this.#tick) this.#by = []
    this.#tick = tick
    this.#by.push(by)
    this.#heardAt = heardAt
    return true
  }

  /**
   * Whether this process learned that the tick is free only after `askedAt`, so that an answer to that call may be
   * outdated.
   */
  isFreeSince(tick: number, askedAt: number): boolean {
    return tick === this.#tick && this.#heardAt > askedAt
  }
}
