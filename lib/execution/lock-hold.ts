import type { Clock } from '../../types/clock.js'
import type { Coordination, HeldLock } from '../../types/coordination.js'
import { SECOND } from '../duration.js'
import type { Watch, Watched } from './watch.js'

/** What becomes of a lock while it is held. */
export interface LockHoldEvents {
  onExtended(): void
  /** Called once; the holder must stop what the lock guards. */
  onLost(reason: string): void
}

/**
 * Keeps a lock while its holder works: extends it at every third of its TTL, and notices at once when it is lost,
 * because an extension was refused or because its validity has passed by the monotonic clock. A blocked event loop or a
 * stopped process is the second case: the check comes first thing afterwards.
 */
export class LockHold implements Watched {
  readonly lock: HeldLock
  checkAt: number
  /** Whether the lock is known to be lost. */
  lost = false
  readonly #ttl: number
  readonly #coordination: Coordination
  readonly #clock: Clock
  readonly #watch: Watch
  readonly #events: LockHoldEvents
  #ended = false

  constructor(
    lock: HeldLock,
    ttl: number,
    coordination: Coordination,
    clock: Clock,
    watch: Watch,
    events: LockHoldEvents
  ) {
    this.lock = lock
    this.#ttl = ttl
    this.#coordination = coordination
    this.#clock = clock
    this.#watch = watch
    this.#events = events
    this.checkAt = lock.validUntil - (2 * ttl) / 3
    watch.add(this)
  }

  /** Whether the lock may still be believed in. */
  get valid(): boolean {
    return !this.lost && this.#clock.monotonic() < this.lock.validUntil
  }

  check(now: number): void {
    if (now >= this.lock.validUntil) {
      this.#lose('its validity has passed, as the event loop or the process stood still, or Redis did not answer')
      return
    }
    this.checkAt = this.lock.validUntil
    void this.#extend()
  }

  /** Ends the watching; to be called when the holder is done, before the release. */
  end(): void {
    this.#ended = true
    this.#watch.delete(this)
  }

  async #extend(): Promise<void> {
    const answer = await this.#coordination.extend(this.lock, this.#ttl)
    if (this.#ended || this.lost) return
    if (answer === 'lost') {
      this.#lose('it was not there any more, or had another holder, when it was to be extended')
      return
    }
    if (answer === 'extended') {
      this.checkAt = this.lock.validUntil - (2 * this.#ttl) / 3
      this.#events.onExtended()
    } else {
      const pause = Math.min(this.#ttl / 20, SECOND)
      this.checkAt = Math.min(this.lock.validUntil, this.#clock.monotonic() + pause)
    }
    this.#watch.touch(this)
  }

  #lose(reason: string): void {
    this.lost = true
    this.end()
    this.#events.onLost(reason)
  }
}
