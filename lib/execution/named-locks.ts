import { AsyncResource } from 'node:async_hooks'
import type { WithLockContext, WithLockResult } from '../../types/scheduler.js'
import { LockLostError, NotRunningError } from '../errors.js'
import type { Finisher } from './finisher.js'
import { LockHold, type LockTools } from './lock-hold.js'

/** Locks by name, around functions of the app's own: what `withLock` does. */
export class NamedLocks {
  readonly #tools: LockTools
  readonly #finisher: Finisher
  readonly #newToken: () => string
  readonly #aborts = new Set<(error: Error) => void>()
  readonly #idle: (() => void)[] = []
  #underWay = 0
  #closed = false

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
      if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Aborts the signals of all that is under way. */
  abortAll(error: Error): void {
    for (const abort of this.#aborts) abort(error)
  }

  /** Calls no function any more. */
  close(): void {
    this.#closed = true
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  async #with<Value>(
    name: string,
    ttl: number,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    const token = this.#newToken()
    const answer = await this.#tools.coordination.acquire(name, ttl, token)
    if (answer.status === 'unavailable') {
      // It may have been taken all the same, and only the reply be lost.
      const validUntil = this.#tools.clock.monotonic() + ttl
      this.#finisher.giveUpNamed({ name, kind: 'named', token, ttl, validUntil })
      throw answer.error
    }
    if (answer.status === 'held') return { acquired: false }
    const { lock, fencingToken } = answer
    if (this.#closed) {
      await this.#tools.coordination.release(lock)
      throw new NotRunningError(`take the lock '${name}'`, 'is closed')
    }
    const controller = new AbortController()
    // What the function and its signal call has the caller's context.
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
        value = await scope.runInAsyncScope(() => fn({ signal: controller.signal, fencingToken }))
      } finally {
        await this.#release(hold)
      }
      if (lost !== null) throw lost
      return { acquired: true, value }
    } finally {
      this.#aborts.delete(abort)
    }
  }

  async #release(hold: LockHold): Promise<void> {
    hold.end(this.#tools.clock.monotonic())
    const answer = await this.#tools.coordination.release(hold.lock)
    if (answer === 'lost') hold.foundLost()
    if (answer === 'unavailable') this.#finisher.giveUpNamed(hold.lock)
  }
}
