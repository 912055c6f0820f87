import type { Clock } from '../../types/clock.js'
import type { Coordination, HeldLock } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import { isOver } from '../coordination/lock-validity.js'
import type { Deadline, Deadlines } from './deadlines.js'

const STOOD_STILL = 'its validity has passed, as the event loop or the process stood still, or Redis did not answer'

/** Who holds a lock. */
export interface LockOwner {
  onExtended(): void
  /** Called once; the owner must stop what the lock guards. */
  onLost(reason: string): void
}

/** What holding a lock needs; the same for all locks of a scheduler. */
export interface LockTools {
  readonly coordination: Coordination
  readonly clock: Clock
  readonly deadlines: Deadlines
}

/**
 * Keeps a lock while its holder works. It extends the lock at every third of its TTL, and notices at once when it is lost:
 * because an extension was refused, or because its validity has passed by the monotonic clock, as after a blocked event loop
 * or a stopped process, whose timers fire first thing afterwards.
 */
export class LockHold implements Deadline {
  readonly lock: HeldLock
  checkAt: number
  place = -1
  /** Whether the lock is known to be lost. */
  lost = false
  /** Whether it is extended no more, as its owner is to end. */
  isLeft = false
  readonly #tools: LockTools
  readonly #owner: LockOwner
  #ended = false

  constructor(lock: HeldLock, tools: LockTools, owner: LockOwner) {
    this.lock = lock
    this.#tools = tools
    this.#owner = owner
    this.checkAt = extensionOf(lock)
    tools.deadlines.add(this)
  }

  check(now: number): void {
    // A lock that is known to be lost is reported once, and not extended.
    if (this.lost) return
    if (isOver(this.lock, now)) {
      this.#lose(STOOD_STILL)
      return
    }
    if (this.isLeft) {
      this.checkAt = this.lock.validUntil
      return
    }
    // A reply may be lost: without an answer by then, the lock is extended once more.
    this.checkAt = Math.min(this.lock.validUntil, now + this.lock.ttl / 6)
    void this.#extend()
  }

  /** The owner is done, and the lock is to be released. Notices if it was not held until `now`. */
  end(now: number): void {
    if (!this.lost && isOver(this.lock, now)) this.#lose(STOOD_STILL)
    this.leave()
  }

  /** The release has found that the lock was not the owner's own any more. */
  foundLost(): void {
    if (!this.lost) this.#lose('it was not there any more, or had another holder, when it was to be released')
  }

  /** Somebody has freed the lock. */
  released(reason: string): void {
    if (!this.lost && !this.#ended) this.#lose(reason)
  }

  /** Extends the lock no more, and leaves it to its TTL. */
  leave(): void {
    this.#ended = true
    this.#tools.deadlines.delete(this)
  }

  async #extend(): Promise<void> {
    const answer = await this.#tools.coordination.extend(this.lock)
    if (this.#ended || this.lost) return
    if (answer === 'lost') {
      this.#lose('it was not there any more, or had another holder, when it was to be extended')
      return
    }
    if (answer === 'extended') {
      this.checkAt = extensionOf(this.lock)
      this.#owner.onExtended()
    } else {
      const pause = Math.min(this.lock.ttl / 20, SECOND)
      this.checkAt = Math.min(this.lock.validUntil, this.#tools.clock.monotonic() + pause)
    }
    this.#tools.deadlines.touch(this)
  }

  #lose(reason: string): void {
    this.lost = true
    this.leave()
    this.#owner.onLost(reason)
  }
}

/** When a lock that was just taken or extended is to be extended (again), on the monotonic clock: a third of its TTL later. */
export function extensionOf({ validUntil, ttl }: HeldLock): number {
  return validUntil - (2 * ttl) / 3
}
