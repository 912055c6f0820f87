import type { Cluster, Redis } from 'ioredis'
import type Redlock from 'redlock'
import type { Clock } from '../../../types/clock.js'
import type { AcquireVote } from '../../../types/coordination/node.js'
import type { HeldLock, ReleaseAnswer } from '../../../types/coordination.js'
import { validUntil } from '../lock-validity.js'
import type { ScriptCommands } from './commands.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'

/** The package, loaded by who opens a connection: nobody else needs it. */
type RedlockModule = typeof import('redlock')

export interface RedisLocksOptions {
  readonly module: RedlockModule
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly commands: ScriptCommands
  readonly keys: Keys
  readonly clock: Clock
}

/** Locks in one Redis: redlock extends and releases them. */
export class RedisLocks {
  readonly #module: RedlockModule
  readonly #client: Redis | Cluster
  readonly #link: RedisLink
  readonly #commands: ScriptCommands
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #redlock: Redlock

  constructor({ module, client, link, commands, keys, clock }: RedisLocksOptions) {
    this.#module = module
    this.#client = client
    this.#link = link
    this.#commands = commands
    this.#keys = keys
    this.#clock = clock
    this.#redlock = new module.default([client], { retryCount: 0 })
    this.#redlock.on('error', () => {}) // Every contention is one; the outcome is read from the answers.
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#clock.monotonic()
    const { Lock } = this.#module
    // redlock refuses to extend what it believes to be over, by the wall clock. Whether it is over is decided here, by
    // the monotonic one.
    const handle = new Lock(this.#redlock, [this.#keys.lock(lock)], lock.token, [], Number.POSITIVE_INFINITY)
    try {
      await this.#link.exchange(() => this.#redlock.extend(handle, lock.ttl))
    } catch (error) {
      if (await this.#isRefusal(error)) return 'lost'
      this.#link.unavailable('extend a lock', await this.#reasonOf(error))
      return 'unavailable'
    }
    lock.validUntil = Math.max(lock.validUntil, validUntil(sent, lock.ttl))
    return 'extended'
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const sent = this.#clock.monotonic()
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(sent, ttl) }
    try {
      const keys = [this.#keys.fence, this.#keys.lock(lock)]
      const reply = await this.#link.exchange(() => this.#commands.rlsAcquire(keys.length, ...keys, token, ttl))
      const [micros, fencingToken, by = ''] = reply
      this.#link.clock.sample(sent, micros / 1000)
      return fencingToken > 0 ? { status: 'granted', lock, fencingToken } : { status: 'held', by }
    } catch (error) {
      return { status: 'unavailable', error: this.#link.unavailable('take a lock', error) }
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const { Lock } = this.#module
    const handle = new Lock(this.#redlock, [this.#keys.lock(lock)], lock.token, [], 0)
    try {
      await this.#link.exchange(() => this.#redlock.release(handle))
      return 'released'
    } catch (error) {
      if (await this.#isRefusal(error)) return 'lost'
      this.#link.unavailable('release a lock', await this.#reasonOf(error))
      return 'unavailable'
    }
  }

  async restore(lock: HeldLock): Promise<boolean> {
    const key = this.#keys.lock(lock)
    try {
      return (await this.#link.exchange(() => this.#client.set(key, lock.token, 'PX', lock.ttl, 'NX'))) === 'OK'
    } catch (error) {
      this.#link.unavailable('take a lock', error)
      return false
    }
  }

  /** Whether redlock failed because the lock is somebody else's, and not because Redis is in trouble. */
  async #isRefusal(error: unknown): Promise<boolean> {
    const votes = await this.#votesAgainst(error)
    return votes.length > 0 && votes.every((vote) => vote.name === 'ResourceLockedError')
  }

  /** What Redis said, where redlock only says that there was no quorum. */
  async #reasonOf(error: unknown): Promise<unknown> {
    return (await this.#votesAgainst(error))[0] ?? error
  }

  async #votesAgainst(error: unknown): Promise<Error[]> {
    const { ExecutionError } = this.#module
    const attempt = error instanceof ExecutionError ? await error.attempts[0] : undefined
    return attempt === undefined ? [] : [...attempt.votesAgainst.values()]
  }
}
