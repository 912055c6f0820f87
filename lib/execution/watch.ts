import type { Clock, TimerHandle } from '../../types/clock.js'
import { Bag } from '../bag.js'

/** Something that wants to be looked at by a certain time. */
export interface Watched {
  /** When, on the monotonic clock; `Infinity` for never. To be followed by `Watch.touch` when it becomes earlier. */
  readonly checkAt: number
  /** The item's place among the watched, -1 outside of them; the watch's own. */
  watchIndex: number
  /** Called once that time has come; it sets `checkAt` anew or is deleted. */
  check(now: number): void
}

/**
 * One timer for all that goes on: locks to extend, timeouts. A run that ends before its first check costs no timer, as
 * the timer is left to lapse.
 */
export class Watch {
  readonly #clock: Clock
  readonly #items = new Bag<Watched>(
    (item) => item.watchIndex,
    (item, place) => {
      item.watchIndex = place
    }
  )
  #timer: TimerHandle | null = null
  #armedFor = Number.POSITIVE_INFINITY
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(item: Watched): void {
    if (this.#items.size === 0) this.#timer?.ref?.()
    this.#items.add(item)
    this.touch(item)
  }

  delete(item: Watched): void {
    this.#items.delete(item)
    // Left to lapse, it keeps no process alive.
    if (this.#items.size === 0) this.#timer?.unref?.()
  }

  touch(item: Watched): void {
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
    // A check may delete its own item, and others, and add new ones.
    for (const item of this.#items) if (this.#items.has(item) && item.checkAt <= now) item.check(now)
    let next = Number.POSITIVE_INFINITY
    for (const { checkAt } of this.#items) next = Math.min(next, checkAt)
    if (!this.#closed && next < Number.POSITIVE_INFINITY) this.#arm(next)
  }
}
