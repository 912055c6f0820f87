import type { Clock, TimerHandle } from '../../types/clock.js'

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
  readonly #items: Watched[] = []
  #timer: TimerHandle | null = null
  #armedFor = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(item: Watched): void {
    item.watchIndex = this.#items.length
    this.#items.push(item)
    this.touch(item)
  }

  delete(item: Watched): void {
    const { watchIndex } = item
    if (watchIndex < 0) return
    item.watchIndex = -1
    const last = this.#items.pop() as Watched
    if (last === item) return
    this.#items[watchIndex] = last
    last.watchIndex = watchIndex
  }

  touch(item: Watched): void {
    if (item.checkAt < this.#armedFor) this.#arm(item.checkAt)
  }

  close(): void {
    this.#timer?.cancel()
    this.#items.length = 0
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#armedFor = at
    this.#timer = this.#clock.setTimeout(() => this.#fire(), Math.max(1, Math.ceil(at - this.#clock.monotonic())))
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    let next = Number.POSITIVE_INFINITY
    // On a copy, as a check may delete its own item and others.
    for (const item of [...this.#items]) {
      if (item.watchIndex < 0) continue
      if (item.checkAt <= now) item.check(now)
      if (item.watchIndex >= 0) next = Math.min(next, item.checkAt)
    }
    if (next < this.#armedFor) this.#arm(next)
  }
}
