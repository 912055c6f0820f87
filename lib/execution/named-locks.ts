import type { Clock } from '../../types/clock.js'
import type { Coordination, ReleaseAnswer } from '../../types/coordination.js'
import type { WithLockContext, WithLockResult } from '../../types/scheduler.js'
import { LockLostError } from '../errors.js'
import { LockHold } from './lock-hold.js'
import type { Watch } from './watch.js'

/** Locks by name, around functions of the app's own: what `withLock` does. */
export class NamedLocks {
  readonly #coordination: Coordination
  readonly #clock: Clock
  readonly #watch: Watch
  readonly #controllers = new Set<AbortController>()
  #idle: (() => void)[] = []

  constructor(coordination: Coordination, clock: Clock, watch: Watch) {
    this.#coordination = coordination
    this.#clock = clock
    this.#watch = watch
  }

  /** @throws what `fn` throws, RedisUnavailableError, LockLostError */
  async with<Value>(
    name: string,
    ttl: number,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    const answer = await this.#coordination.acquire(name, ttl)
    if (answer.status === 'unavailable') throw answer.error
    if (answer.status === 'held') return { acquired: false }
    const { lock, fencingToken } = answer
    const controller = new AbortController()
    let lost: Error | null = null
    const hold = new LockHold(lock, ttl, this.#coordination, this.#clock, this.#watch, {
      onExtended() {},
      onLost(reason) {
        lost = new LockLostError(name, reason)
        controller.abort(lost)
      }
    })
    this.#controllers.add(controller)
    try {
      const value = await fn({ signal: controller.signal, fencingToken })
      if (!hold.valid) lost ??= new LockLostError(name, 'its validity has passed')
      const released = await this.#release(hold)
      if (released === 'lost') lost ??= new LockLostError(name, 'it was not there any more, or had another holder')
      if (lost !== null) throw lost
      return { acquired: true, value }
    } catch (error) {
      // What was released above is found to be lost here, and left alone.
      await this.#release(hold)
      throw error
    } finally {
      this.#controllers.delete(controller)
      if (this.#controllers.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Aborts the signals of all that is under way. */
  abortAll(error: Error): void {
    for (const controller of this.#controllers) controller.abort(error)
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    if (this.#controllers.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #release(hold: LockHold): Promise<ReleaseAnswer> {
    hold.end()
    return this.#coordination.release(hold.lock)
  }
}
