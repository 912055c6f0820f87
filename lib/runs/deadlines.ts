import type { Clock, TimerHandle } from '../../types/clock.js'
import { Bag, type Placed } from '../base/bag.js'

/** Something that wants to be looked at by a certain time. */
export interface Deadline extends Placed {
  /** When, on the monotonic clock; `Infinity` for never. To be followed by `Deadlines.touch` when it becomes earlier. */
  readonly checkAt: number
  /** Called once that time has come; it sets `checkAt` anew or is deleted. */
  check(now: number): void
}

/**
 * One timer for all that goes on: locks to extend, timeouts. A run that ends before its first check costs no timer, as
 * the timer is left to lapse.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #items = new Bag<Deadline>()
  /** Its own items, and those that somebody else keeps. */
  readonly #lists: Bag<Deadline>[] = [this.#items]
  #timer: TimerHandle | null = null
  #armedFor = Number.POSITIVE_INFINITY
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Looks also at what somebody else keeps, who calls `touch` for what is new there, and `keepAlive` when the first is there or the
   * last has gone: a run need not be in two lists.
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

  /** The timer keeps the process alive while something goes on; left to lapse, it does not. */
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
