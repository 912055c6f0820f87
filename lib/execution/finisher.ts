import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination, HeldLock, ReleaseAnswer } from '../../types/coordination.js'
import { SECOND } from '../duration.js'

/** How many runs end in one call. */
const BATCH = 256

/** How long to wait before a release that was not answered is tried again. */
const RETRY_DELAY = SECOND / 4

/** A run that has ended. */
export interface Finishing {
  readonly lock: HeldLock
  /** Called once, with the first answer. */
  onReleased(answer: ReleaseAnswer): void
}

/**
 * Releases the locks of runs that have ended, those of one turn of the event loop in one call.
 * What Redis does not answer for is tried again in the background until the lock has ended by itself.
 */
export class Finisher {
  readonly #coordination: Coordination
  readonly #clock: Clock
  #waiting: Finishing[] = []
  #retrying: HeldLock[] = []
  #flushing = false
  #retryTimer: TimerHandle | null = null
  #closed = false
  #idle: (() => void)[] = []

  constructor(coordination: Coordination, clock: Clock) {
    this.#coordination = coordination
    this.#clock = clock
  }

  push(finishing: Finishing): void {
    this.#waiting.push(finishing)
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.setImmediate(() => void this.#flush())
  }

  /** Releases a lock that may or may not have been taken, as its claim was never answered. */
  giveUp(lock: HeldLock): void {
    this.#retrying.push(lock)
    this.#retryLater()
  }

  /** Resolves when all that was pushed has its first answer. */
  async settled(): Promise<void> {
    if (!this.#flushing) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Tries again at once what was not answered for, as Redis answers again. */
  async retryNow(): Promise<void> {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    await this.#retry()
  }

  /** A last try; what is left ends with its TTL. */
  async close(): Promise<void> {
    this.#closed = true
    await this.retryNow()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      const answers = await this.#coordination.finish(batch.map(({ lock }) => lock))
      for (let index = 0; index < batch.length; index++) {
        const finishing = batch[index] as Finishing
        const answer = answers[index] as ReleaseAnswer
        if (answer === 'unavailable') this.giveUp(finishing.lock)
        finishing.onReleased(answer)
      }
    }
    this.#flushing = false
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }

  #retryLater(): void {
    if (this.#closed) return
    this.#retryTimer ??= this.#clock.setTimeout(() => {
      this.#retryTimer = null
      void this.#retry()
    }, RETRY_DELAY)
  }

  async #retry(): Promise<void> {
    const now = this.#clock.monotonic()
    const locks = this.#retrying.filter((lock) => lock.validUntil > now)
    this.#retrying = []
    const jobs = locks.filter(({ kind }) => kind === 'job')
    for (let start = 0; start < jobs.length; start += BATCH) {
      const batch = jobs.slice(start, start + BATCH)
      const answers = await this.#coordination.finish(batch)
      this.#retrying.push(...batch.filter((_lock, index) => answers[index] === 'unavailable'))
    }
    for (const lock of locks.filter(({ kind }) => kind === 'named')) {
      if ((await this.#coordination.release(lock)) === 'unavailable') this.#retrying.push(lock)
    }
    if (this.#retrying.length > 0) this.#retryLater()
  }
}
