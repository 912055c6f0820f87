import type { Clock, TimerHandle } from '../../types/clock.js'
import { Bag, type Placed } from '../base/bag.js'

/** Something that is to be checked at a certain time. */
export interface Deadline extends Placed {
  /** When, on the monotonic clock; `Infinity` for never. Where it becomes earlier, `Deadlines.touch` follows. */
  readonly checkAt: number
  /** Called once that time has come; it sets `checkAt` anew or is deleted. */
  check(now: number): void
}

/**
 * One timer for all deadlines: locks to extend, timeouts. A run that ends before its first check sets no timer and clears
 * none: a timer that nobody needs any more is left to fire.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #items = new Bag<Deadline>()
  /** Its own items, and those of `watchAlso`. */
  readonly #lists: Bag<Deadline>[] = [this.#items]
  #timer: TimerHandle | null = null
  #armedFor = Number.POSITIVE_INFINITY
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Checks also the items of another bag, so that a run need not stand in two. Its owner calls `touch` for each item that it
   * adds, and `keepAlive` when it has added the first or deleted the last.
   */
  watchAlso(items: Bag<Deadline>): void {
    this.#lists.push(items)
  }

  add(item: Deadline): void {
    this.#items.add(item)
    if (this.#items.size === 1) this.keepAlive()
    this.touch(item)
  }

  delete(item: Deadline): void {
    this.#items.delete(item)
    if (this.#items.size === 0) this.keepAlive()
  }

  /** The timer keeps the process alive while there is an item, and not when it is only left to fire. */
  keepAlive(): void {
    if (this.#lists.every(({ size }) => size === 0)) this.#timer?.unref?.()
    else this.#timer?.ref?.()
  }

  touch(item: Deadline): void {
    if (!this.#closed && item.checkAt < this.#armedFor) this.#arm(item.checkAt)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#items.clear()
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#armedFor = at
    this.#timer = this.#clock.setTimeout(() => this.#fire(), Math.max(1, Math.ceil(at - this.#clock.monotonic())))
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    for (const items of this.#lists) {
      // A check may delete its own item, and others, and add new ones.
      for (const item of items) if (items.has(item) && item.checkAt <= now) item.check(now)
    }
    let next = Number.POSITIVE_INFINITY
    for (const items of this.#lists) for (const { checkAt } of items) next = Math.min(next, checkAt)
    if (!this.#closed && next < Number.POSITIVE_INFINITY) this.#arm(next)
  }
}
