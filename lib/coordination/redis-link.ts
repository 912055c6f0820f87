import { once } from 'node:events'
import type { Cluster, Redis } from 'ioredis'
import type { Clock, TimerHandle } from '../../types/clock.js'
import { SECOND } from '../duration.js'
import { RedisAuthError, RedisUnavailableError } from '../errors.js'
import { EXCHANGE_LIMIT, withDeadline } from './deadline.js'
import { FleetClock } from './fleet-clock.js'
import type { RedisClient } from './redis-client.js'

/** What a link tells its owner. */
export interface LinkListener {
  onUp(): void
  onDown(error: Error): void
  onClockStep(): void
  /** Redis refuses a command: it is there, and in trouble. */
  onRefused(message: string): void
}

/**
 * How old a measurement of Redis' clock may grow before it is asked for again. A replica that asks for nothing else hears by
 * that, within about this time, what was handed back, and notices that Redis does not answer.
 */
export const MEASURE_EVERY = SECOND

/** A command that was never sent, so that it has certainly not been executed. */
class NotConnectedError extends Error {}

/**
 * The connection to one Redis: opens and closes what is ours, bounds each exchange in time, knows whether Redis
 * answers, and keeps the fleet's clock.
 */
export class RedisLink {
  readonly clock: FleetClock
  readonly #redis: RedisClient
  readonly #askTime: () => Promise<number>
  readonly #client: Redis | Cluster
  readonly #local: Clock
  readonly #listener: LinkListener
  #up: boolean | null = null
  #closed = false
  #contacting = false
  readonly #closing = new AbortController()
  #timer: TimerHandle | null = null

  /** @param askTime asks Redis for its time in microseconds */
  constructor(redis: RedisClient, askTime: () => Promise<number>, local: Clock, listener: LinkListener) {
    this.#redis = redis
    this.#askTime = askTime
    this.#client = redis.client
    this.#local = local
    this.#listener = listener
    this.clock = new FleetClock(local, () => listener.onClockStep())
  }

  /** Whether the last exchange worked. */
  get up(): boolean {
    return this.#up === true
  }

  /**
   * Connects, where that is ours to do. Resolves once Redis answers, or is known not to for now.
   *
   * @throws RedisAuthError
   */
  async open(): Promise<void> {
    this.#client.on('ready', this.#onReady)
    this.#client.on('error', this.#onError)
    this.#client.on('close', this.#onClose)
    this.#watch()
    try {
      // A first failure is an answer, a hanging server is not: both leave the client to reconnect by itself.
      await withDeadline(this.#firstContact(), EXCHANGE_LIMIT, this.#local)
    } catch (error) {
      if (isAuthError(error)) {
        await this.close()
        throw new RedisAuthError(this.#redis.address, messageOf(error))
      }
      this.#down(error)
    }
  }

  /** Closes a client of ours, and leaves one of the app's as it was. */
  async close(): Promise<void> {
    this.#closed = true
    this.#closing.abort()
    this.#timer?.cancel()
    this.#client.off('ready', this.#onReady)
    this.#client.off('close', this.#onClose)
    if (!this.#redis.owned) {
      this.#client.off('error', this.#onError)
      return
    }
    // QUIT lets replies under way arrive; a Redis that does not answer it is cut off.
    if (this.#client.status === 'ready') {
      await withDeadline(this.#client.quit(), SECOND, this.#local).catch(() => {})
    }
    this.#client.disconnect()
  }

  readonly #onReady = (): void => {
    if (!this.#contacting) void this.#measure()
  }
  readonly #onError = (error: Error): void => this.#down(error)
  readonly #onClose = (): void => this.#down(new Error('the connection is closed'))

  /** Connects, where that is ours to do, and measures the clock. */
  async #firstContact(): Promise<void> {
    this.#contacting = true
    try {
      await this.#connect()
      for (let count = 0; count < 3; count++) await this.#time()
    } finally {
      this.#contacting = false
    }
  }

  async #connect(): Promise<void> {
    if (this.#client.status === 'wait') {
      let reason: unknown
      const remember = (error: unknown): void => {
        reason = error
      }
      // `connect` itself only says that the connection is closed: the reason is in the event.
      this.#client.once('error', remember)
      try {
        await this.#client.connect()
      } catch (error) {
        throw reason ?? error
      } finally {
        this.#client.off('error', remember)
      }
    } else if (this.#client.status !== 'ready') {
      await once(this.#client, 'ready', { signal: this.#closing.signal })
    }
  }

  /** Asks for Redis' time now and then, when nothing else has told it: for the clock, and to see whether Redis lives. */
  #watch(): void {
    this.#timer = this.#local.setTimeout(() => {
      const age = this.#local.monotonic() - this.clock.sampledAt
      if (this.#client.status === 'ready' && age >= MEASURE_EVERY) void this.#measure()
      this.#watch()
    }, MEASURE_EVERY)
  }

  async #measure(): Promise<void> {
    try {
      await this.#time()
    } catch (error) {
      this.#down(error)
    }
  }

  async #time(): Promise<void> {
    const sent = this.#local.monotonic()
    this.clock.sample(sent, (await this.exchange(this.#askTime)) / 1000)
  }

  /**
   * One exchange whose failure is an error to the caller.
   *
   * @param what what Redis is to do, for the error
   * @throws RedisUnavailableError
   */
  async command<Value>(what: string, send: () => Promise<Value>): Promise<Value> {
    try {
      return await this.exchange(send)
    } catch (error) {
      throw this.unavailable(what, error)
    }
  }

  /**
   * One exchange with Redis, refused at once while there is no connection, and bounded in time.
   */
  async exchange<Value>(send: () => Promise<Value>): Promise<Value> {
    // Also for a client of the app's, whose offline queue would execute the command when nobody wants it any more.
    if (this.#client.status !== 'ready') throw new NotConnectedError('there is no connection')
    const value = await withDeadline(send(), EXCHANGE_LIMIT, this.#local)
    this.#isUp()
    return value
  }

  /** Whether a command that failed so may have been executed. */
  mayHaveBeenExecuted(error: unknown): boolean {
    return !(error instanceof NotConnectedError)
  }

  #isUp(): void {
    if (this.#up === true || this.#closed) return
    this.#up = true
    this.#listener.onUp()
  }

  #down(reason: unknown): void {
    // Credentials refused at the start are told by `open` itself.
    if (this.#up === false || this.#closed || (this.#up === null && isAuthError(reason))) return
    this.#up = false
    this.#listener.onDown(new RedisUnavailableError(`be reached at ${this.#redis.address}`, messageOf(reason)))
  }

  /** The error for an exchange that failed; notes the outage when it is one. */
  unavailable(what: string, cause: unknown): Error {
    // An error that Redis itself answered is trouble, but not an outage.
    if (isReplyError(cause)) this.#listener.onRefused(messageOf(cause))
    else this.#down(cause)
    return new RedisUnavailableError(what, messageOf(cause))
  }
}

function isReplyError(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function isAuthError(error: unknown): boolean {
  return isReplyError(error) && /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/.test(messageOf(error))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
