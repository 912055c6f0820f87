import type { Clock } from '../../../types/clock.js'
import type { HeldLock } from '../../../types/coordination.js'
import { keyOf, type Member } from './member.js'
import type { Vote } from './votes.js'

/**
 * How long after a lock was given it is set where it is missing, and how long after each time that this was refused: most
 * often as a replica that did not get the lock has not given its vote back yet.
 */
const DELAYS = [25, 50, 100, 200] as const

/** A lock that a majority has given. */
interface Held {
  readonly lock: HeldLock
  /** The nodes that do not have it, as far as is known. */
  readonly lacking: Set<Member>
}

/**
 * Sets the locks that a majority has given on the nodes that lack them, as the votes were split or a node has lost its
 * data: else a run that two of three nodes have locked loses its lock when one of the two forgets it.
 */
export class LockMender {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  /** By token and name; from when a lock is given until it is let go of. */
  readonly #held = new Map<string, Held>()
  #sweepAt = 1000
  #closed = false

  constructor(members: readonly Member[], clock: Clock) {
    this.#members = members
    this.#clock = clock
  }

  /** A majority has given a lock. Those whose votes are not there, or are others, may lack it. */
  given(lock: HeldLock, votes: readonly Vote<{ readonly status: string }>[]): void {
    if (this.#closed) return
    this.#sweep()
    const lacking = new Set(this.#members.filter((_, index) => votes[index]?.status !== 'granted'))
    const held = { lock, lacking }
    this.#held.set(keyOf(lock), held)
    if (lacking.size > 0) this.#mendLater(held, 0)
  }

  /** A node turns out to have a lock. */
  found(lock: Pick<HeldLock, 'name' | 'token'>, member: Member): void {
    this.#held.get(keyOf(lock))?.lacking.delete(member)
  }

  /** Nodes have said that they lack a lock which a majority has. */
  missed(lock: HeldLock, lacking: readonly Member[]): void {
    const held = this.#held.get(keyOf(lock))
    if (held === undefined) return
    for (const member of lacking) held.lacking.add(member)
    void this.#mend(held)
  }

  /** A lock is let go of: no node is to get it any more. */
  forget(lock: HeldLock): void {
    this.#held.delete(keyOf(lock))
  }

  /** Sets no lock any more. */
  close(): void {
    this.#closed = true
    this.#held.clear()
  }

  #mendLater(held: Held, count: number): void {
    const delay = DELAYS[count]
    if (delay === undefined) return
    this.#clock.setTimeout(async () => {
      await this.#mend(held)
      if (held.lacking.size > 0 && this.#isHeld(held)) this.#mendLater(held, count + 1)
    }, delay)
  }

  async #mend(held: Held): Promise<void> {
    const { lock, lacking } = held
    if (!this.#isHeld(held)) return
    await Promise.all(
      Array.from(lacking, async (member) => {
        // Of one that does not answer nobody knows when it would set it.
        if (member.silent || !member.node.state.up || member.isLettingGo(lock.name, lock.token)) return
        if (await member.node.restoreLock(lock)) lacking.delete(member)
      })
    )
  }

  #isHeld({ lock }: Held): boolean {
    return this.#held.has(keyOf(lock)) && lock.validUntil > this.#clock.monotonic()
  }

  /** Forgets, now and then, what has ended by itself. */
  #sweep(): void {
    if (this.#held.size < this.#sweepAt) return
    const now = this.#clock.monotonic()
    for (const [key, { lock }] of this.#held) if (lock.validUntil <= now) this.#held.delete(key)
    this.#sweepAt = Math.max(1000, 2 * this.#held.size)
  }
}
