import type { Clock } from '../../types/clock.js'
import type { HeldLock } from '../../types/coordination.js'
import type { Member } from './member.js'

/** How long after a lock was given it is looked who lacks it: replicas that did not get it have given their votes back by then. */
const MEND_DELAY = 25

/**
 * Puts the locks that a majority has given on the nodes that lack them, as the votes were split or a node has lost its
 * data: else a run that two of three nodes have locked loses its lock when one of the two forgets it.
 */
export class LockMender {
  readonly #clock: Clock
  /** The locks that are held, each with the nodes that may lack it. */
  readonly #held = new Map<string, Set<Member>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A lock was given, and by these nodes it was not, as far as is known. */
  given(lock: HeldLock, lacking: readonly Member[]): void {
    const key = keyOf(lock)
    this.#held.set(key, new Set(lacking))
    if (lacking.length > 0) this.#clock.setTimeout(() => this.#mend(lock), MEND_DELAY)
  }

  /** A node turns out to have a lock. */
  found(lock: Pick<HeldLock, 'name' | 'token'>, member: Member): void {
    this.#held.get(keyOf(lock))?.delete(member)
  }

  /** Nodes have said that they lack a lock which a majority has. */
  missed(lock: HeldLock, lacking: readonly Member[]): void {
    const known = this.#held.get(keyOf(lock))
    if (known === undefined) return
    for (const member of lacking) known.add(member)
    this.#mend(lock)
  }

  /** A lock is let go of: no node is to get it any more. */
  forget(lock: HeldLock): void {
    this.#held.delete(keyOf(lock))
  }

  #mend(lock: HeldLock): void {
    const lacking = this.#held.get(keyOf(lock))
    if (lacking === undefined || lock.validUntil <= this.#clock.monotonic()) return
    for (const member of lacking) {
      // Of one that does not answer nobody knows when it would take it.
      if (member.silent || !member.node.state.up || member.isLettingGo(lock.name, lock.token)) continue
      void member.node.mend(lock)
    }
    lacking.clear()
  }
}

function keyOf({ name, token }: Pick<HeldLock, 'name' | 'token'>): string {
  return `${token} ${name}`
}
