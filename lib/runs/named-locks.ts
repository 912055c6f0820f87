import { AsyncResource } from 'node:async_hooks'
import type { AcquireAnswer, HeldLock, ReleaseAnswer } from '../../types/coordination.js'
import type { WithLockContext, WithLockResult } from '../../types/with-lock.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import { LockLostError, NotRunningError, RedisUnavailableError } from '../errors.js'
import type { Finisher } from './finisher.js'
import { LockHold, type LockTools } from './lock-hold.js'

/** How often a lock is asked for whose answer is read only after the lock has ended. */
const TRIES = 3

/** How many released locks are remembered: the last ones. */
const MAX_RELEASED = 10_000

type Taken = Extract<AcquireAnswer, { status: 'granted' }>

/** Locks by name, around functions of the app's own: what `withLock` does. */
export class NamedLocks {
  readonly #tools: LockTools
  readonly #finisher: Finisher
  readonly #newToken: () => string
  readonly #aborts = new Set<(error: Error) => void>()
  readonly #idle = new Idle(() => this.#underWay > 0)
  /** Locks that were released, until they would have ended: a store that comes back with data of the past may hold them. */
  readonly #released = new Set<HeldLock>()
  #underWay = 0
  #closed = false
  /** Why everything is aborted, once it is. */
  #aborted: Error | null = null

  /** @param newToken makes a token that is unique across replicas */
  constructor(tools: LockTools, finisher: Finisher, newToken: () => string) {
    this.#tools = tools
    this.#finisher = finisher
    this.#newToken = newToken
  }

  /** @throws what `fn` throws, RedisUnavailableError, LockLostError */
  async with<Value>(
    name: string,
    ttl: number,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    this.#underWay++
    try {
      return await this.#with(name, ttl, fn)
    } finally {
      this.#underWay--
      this.#idle.announce()
    }
  }

  /** Aborts the signals of all functions that go on, and of those that begin later, as soon as they have begun. */
  abortAll(error: Error): void {
    this.#aborted ??= error
    for (const abort of this.#aborts) abort(error)
  }

  /** The store may have come back with data of the past, where locks are held that were released since. */
  releaseAgain(): void {
    for (const lock of this.#released) this.#finisher.giveUpNamed(lock)
  }

  /** Calls no function any more. */
  close(): void {
    this.#closed = true
  }

  /** Resolves when no lock is asked for, held or released. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  async #with<Value>(
    name: string,
    ttl: number,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    const taken = await this.#take(name, ttl)
    if (taken === null) return { acquired: false }
    const { lock, fencingToken } = taken
    const controller = new AbortController()
    // The function, and the listeners of its signal, have the caller's context.
    const scope = new AsyncResource('NamedLock')
    const abort = (error: Error): void => scope.runInAsyncScope(() => controller.abort(error))
    let lost: Error | null = null
    const hold = new LockHold(lock, this.#tools, {
      onExtended() {},
      onLost(reason) {
        lost = new LockLostError(name, reason)
        abort(lost)
      }
    })
    this.#aborts.add(abort)
    try {
      let value: Awaited<Value>
      try {
        const returned = scope.runInAsyncScope(() => fn({ signal: controller.signal, fencingToken }))
        // By now the function has added its listeners.
        if (this.#aborted !== null) abort(this.#aborted)
        value = await returned
      } finally {
        await this.#release(hold)
      }
      if (lost !== null) throw lost
      return { acquired: true, value }
    } finally {
      this.#aborts.delete(abort)
    }
  }

  /**
   * Takes the lock, so that something may begin under it now.
   *
   * @returns `null` when it is held elsewhere
   */
  async #take(name: string, ttl: number): Promise<Taken | null> {
    const { coordination, clock } = this.#tools
    for (let count = 1; count <= TRIES; count++) {
      const token = this.#newToken()
      const answer = await coordination.acquire(name, ttl, token)
      const now = clock.monotonic()
      if (answer.status === 'unavailable') {
        // It may have been taken all the same, and only the reply be lost.
        this.#finisher.giveUpNamed(this.#remember(name, ttl, token))
        throw answer.error
      }
      if (answer.status === 'held') return null
      if (!this.#closed && !isOver(answer.lock, now)) return answer
      // The answer was read too late: the lock is not to be in the way of the next try.
      await this.#letGo(answer.lock)
      if (this.#closed) throw new NotRunningError(`take the lock '${name}'`, 'is closed')
    }
    throw new RedisUnavailableError('take a lock', `its answer came later than the lock's TTL, ${ttl} ms`)
  }

  async #release(hold: LockHold): Promise<void> {
    hold.end(this.#tools.clock.monotonic())
    if ((await this.#letGo(hold.lock)) === 'lost') hold.foundLost()
  }

  async #letGo(lock: HeldLock): Promise<ReleaseAnswer> {
    const remembered = this.#remember(lock.name, lock.ttl, lock.token)
    const answer = await this.#tools.coordination.release(lock)
    if (answer === 'unavailable') this.#finisher.giveUpNamed(remembered)
    return answer
  }

  /** @returns the lock as the store may hold it at most: for its whole TTL, from now on */
  #remember(name: string, ttl: number, token: string): HeldLock {
    const now = this.#tools.clock.monotonic()
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: now + ttl }
    for (const each of this.#released) {
      if (each.validUntil > now && this.#released.size < MAX_RELEASED) break
      this.#released.delete(each)
    }
    this.#released.add(lock)
    return lock
  }
}
