import type { Clock } from '../../../types/clock.js'
import type { HeldLock } from '../../../types/coordination.js'
import { keyOf, type Member } from './member.js'
import type { Vote } from './votes.js'

/**
 * How long after a lock was granted it is set on the nodes that lack it, and how long after each refusal. A node refuses
 * most often because a replica that did not get the lock has not given its vote back yet.
 */
const DELAYS = [25, 50, 100, 200] as const

/** A lock that a majority has granted. */
interface Held {
  readonly lock: HeldLock
  /** The nodes that lack it, as far as is known. */
  readonly lacking: Set<Member>
}

/**
 * Sets locks that a majority has granted on the nodes that lack them, because the votes were split or a node has lost its
 * data. Without that, a run that two of three nodes have locked would lose its lock when one of the two forgets it.
 */
export class LockRestorer {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  /** By token and name, from when a lock is granted until it is released. */
  readonly #held = new Map<string, Held>()
  #sweepAt = 1000
  #closed = false

  constructor(members: readonly Member[], clock: Clock) {
    this.#members = members
    this.#clock = clock
  }

  /** A majority has granted a lock: the nodes that have not answered, or answered otherwise, may lack it. */
  noteGranted(lock: HeldLock, votes: readonly Vote<{ readonly status: string }>[]): void {
    if (this.#closed) return
    this.#sweep()
    const lacking = new Set(this.#members.filter((_, index) => votes[index]?.status !== 'granted'))
    const held = { lock, lacking }
    this.#held.set(keyOf(lock), held)
    if (lacking.size > 0) this.#restoreLater(held, 0)
  }

  /** A node turns out to hold a lock. */
  noteHeldBy(lock: Pick<HeldLock, 'name' | 'token'>, member: Member): void {
    this.#held.get(keyOf(lock))?.lacking.delete(member)
  }

  /** Sets a lock on nodes that have said they lack it, while a majority holds it. */
  restore(lock: HeldLock, lacking: readonly Member[]): void {
    const held = this.#held.get(keyOf(lock))
    if (held === undefined) return
    for (const member of lacking) held.lacking.add(member)
    void this.#restoreHeld(held)
  }

  /** A lock is released: it is not set on any node from here on. */
  forget(lock: HeldLock): void {
    this.#held.delete(keyOf(lock))
  }

  /** From here on no lock is set. */
  close(): void {
    this.#closed = true
    this.#held.clear()
  }

  #restoreLater(held: Held, count: number): void {
    const delay = DELAYS[count]
    if (delay === undefined) return
    this.#clock.setTimeout(async () => {
      await this.#restoreHeld(held)
      if (held.lacking.size > 0 && this.#isHeld(held)) this.#restoreLater(held, count + 1)
    }, delay)
  }

  async #restoreHeld(held: Held): Promise<void> {
    const { lock, lacking } = held
    if (!this.#isHeld(held)) return
    await Promise.all(
      Array.from(lacking, async (member) => {
        // A node that does not answer might set it at any later time.
        if (member.silent || !member.node.state.up || member.isLettingGo(lock.name, lock.token)) return
        if (await member.node.restoreLock(lock)) lacking.delete(member)
      })
    )
  }

  #isHeld({ lock }: Held): boolean {
    return this.#held.has(keyOf(lock)) && lock.validUntil > this.#clock.monotonic()
  }

  /** Forgets, now and then, locks that have ended with their TTL. */
  #sweep(): void {
    if (this.#held.size < this.#sweepAt) return
    const now = this.#clock.monotonic()
    for (const [key, { lock }] of this.#held) if (lock.validUntil <= now) this.#held.delete(key)
    this.#sweepAt = Math.max(1000, 2 * this.#held.size)
  }
}
