import type { Clock, TimerHandle } from '../../types/clock.js'
import { MAX_DELAY, type VirtualClock } from './virtual-clock.js'

/** The clock of one simulated process: it can be wrong, stand still with its process, and end with it. */
export class ReplicaClock implements Clock {
  readonly #base: VirtualClock
  #skew: number
  #frozenUntil = Number.NEGATIVE_INFINITY
  #dead = false

  /** @param skew milliseconds by which the wall clock is ahead of the true time */
  constructor(base: VirtualClock, skew: number) {
    this.#base = base
    this.#skew = skew
  }

  get dead(): boolean {
    return this.#dead
  }

  now(): number {
    return this.#base.now() + this.#skew
  }

  monotonic(): number {
    return this.#base.monotonic()
  }

  setTimeout(callback: () => void, delay: number): TimerHandle {
    let timer = this.#base.setTimeout(() => {
      const left = this.#frozenUntil - this.#base.monotonic()
      if (left > 0) timer = this.setTimeout(callback, Math.min(left, MAX_DELAY))
      else if (!this.#dead) callback()
    }, delay)
    return { cancel: () => timer.cancel() }
  }

  /** Calls back at once, or when the process goes on; never when it has died. */
  whenAwake(callback: () => void): void {
    const left = this.#frozenUntil - this.#base.monotonic()
    if (left > 0) this.setTimeout(() => this.whenAwake(callback), Math.min(left, MAX_DELAY))
    else if (!this.#dead) callback()
  }

  setImmediate(callback: () => void): void {
    this.#base.setImmediate(() => {
      const left = this.#frozenUntil - this.#base.monotonic()
      if (left > 0) this.setTimeout(callback, Math.min(left, MAX_DELAY))
      else if (!this.#dead) callback()
    })
  }

  /** Moves the wall clock alone. */
  jump(ms: number): void {
    this.#skew += ms
  }

  /** Nothing of the process happens for `ms` milliseconds; what was due meanwhile happens then. */
  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#base.monotonic() + ms)
  }

  /** Nothing of the process happens any more. */
  kill(): void {
    this.#dead = true
  }
}
