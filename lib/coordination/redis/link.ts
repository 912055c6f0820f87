import { once } from 'node:events'
import type { Cluster, Redis } from 'ioredis'
import type { Clock, TimerHandle } from '../../../types/clock.js'
import { deadlineError, EXCHANGE_LIMIT, withDeadline } from '../../base/deadline.js'
import { SECOND } from '../../base/duration.js'
import { RedisAuthError, RedisDatabaseError } from '../../errors.js'
import type { FleetClock } from '../fleet-clock.js'
import { Availability, type LinkListener, NotConnectedError } from './availability.js'
import type { RedisClient } from './client.js'
import { letProcessEnd } from './idle-connection.js'
import { isCluster } from './own-connection.js'
import { isAuthError, isPassing, isReplyError, isSelectError, isUndone, messageOf } from './refusals.js'

/** How Redis is looked at. Each asks for its time in microseconds. */
export interface LinkProbes {
  readonly time: () => Promise<number>
  /** Writes as well, as a claim does. */
  readonly write: () => Promise<number>
  /** Tries all that claims need: it fails where one of them would. */
  readonly all: () => Promise<number>
}

/** Waits for the reply to what was sent, for some time. */
type Bound = <Value>(sent: Promise<Value>) => Promise<Value>

export interface RedisLinkOptions {
  readonly redis: RedisClient
  readonly client: Redis | Cluster
  readonly probes: LinkProbes
  readonly local: Clock
  readonly clock: FleetClock
  readonly listener: LinkListener
}

/**
 * How long ago Redis may have said what time it is, what was changed and what was handed back, before it is asked for that. A
 * replica that asks for nothing else hears of changes by it within a second, and notices that Redis does not answer.
 */
export const LOOK_EVERY = (19 * SECOND) / 20

/** How long ago a claim, or another write, may be before it is tried whether one can be had. */
const PROVE_EVERY = 10 * SECOND

/** How long a connection may be away, as when Redis closes one that was idle, before that is an outage. */
const LOST_GRACE = SECOND

/** For how long no exchange is answered before the connection is renewed: it may have died silently. */
const RENEW_AFTER = 3 * SECOND

/**
 * The connection to one Redis: opens and closes what is ours, bounds each exchange in time, keeps the fleet's clock, and
 * knows whether claims can be had. It is up from when one was had, or all that they need was tried, until Redis is silent
 * or refuses.
 */
export class RedisLink {
  readonly clock: FleetClock
  readonly #redis: RedisClient
  readonly #probes: LinkProbes
  readonly #client: Redis | Cluster
  readonly #local: Clock
  readonly #availability: Availability
  /** Why this connection is in database 0 instead of its own: until it is in that, nothing else is sent to it. */
  #refusedDatabase: Error | null = null
  /** What was said of the credentials before the first contact had an end. */
  #refusedCredentials: Error | null = null
  #closed = false
  #contacting = false
  #looking = false
  /** The look that is waited for, and until when, on the monotonic clock: the timer of the watch gives it up. */
  #awaitedLook: { readonly until: number; readonly giveUp: (error: Error) => void } | null = null
  /**
   * What is known of the server since the connection was made: it may be another one, or have lost its data. `refusing`: it never
   * lets all be tried, and may grant claims all the same.
   */
  #server: 'unknown' | 'known' | 'refusing' = 'unknown'
  #provenAt = Number.NEGATIVE_INFINITY
  /** When a reply last said what was changed and what was handed back, on the monotonic clock. */
  #heardAt = Number.NEGATIVE_INFINITY
  /** Since when no exchange was answered, on the monotonic clock; `null` when the last one was. */
  #silentSince: number | null = null
  /** The look at a server that is not known yet, while it is under way: one for all that wait for it. */
  #meeting: Promise<void> | null = null
  readonly #closing = new AbortController()
  #watchTimer: TimerHandle | null = null
  #renewTimer: TimerHandle | null = null
  #lostTimer: TimerHandle | null = null

  constructor({ redis, client, probes, local, clock, listener }: RedisLinkOptions) {
    this.#redis = redis
    this.#probes = probes
    this.#client = client
    this.#local = local
    this.clock = clock
    const tryAll = () => this.exchange(probes.all)
    this.#availability = new Availability(redis.address, local, listener, tryAll)
  }

  /** Whether claims can be had, as far as is known. */
  get up(): boolean {
    return this.#availability.isUp === true
  }

  /**
   * Connects, where that is ours to do. Resolves once claims can be had, or are known not to for now. What it throws it has
   * told to nobody else; until it is closed it goes on connecting all the same.
   *
   * @throws RedisAuthError, RedisDatabaseError
   */
  async open(): Promise<void> {
    this.#client.on('ready', this.#onReady)
    this.#client.on('error', this.#onError)
    this.#client.on('close', this.#onClose)
    if (this.#redis.owned) for (const event of ['connect', 'reconnecting']) this.#client.on(event, this.#onChange)
    this.#watch()
    try {
      // A first failure is an answer, a hanging server is not: both leave the client to reconnect by itself.
      await withDeadline(this.#firstContact(), EXCHANGE_LIMIT, this.#local)
    } catch (error) {
      // ioredis 5 may say of its connection that it is ready, or away, before it has said why.
      const refused = isAuthError(error) ? error : this.up ? null : this.#refusedCredentials
      if (refused !== null) throw new RedisAuthError(this.#redis.address, messageOf(refused))
      if (this.#refusedDatabase instanceof RedisDatabaseError) throw this.#refusedDatabase
      this.#availability.unproven('be reached', error)
    }
  }

  /** Closes a client of ours, and leaves one of the app's as it was. */
  async close(): Promise<void> {
    this.#closed = true
    this.#availability.close()
    this.#closing.abort()
    this.#watchTimer?.cancel()
    this.#endSilence()
    this.#lostTimer?.cancel()
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
    this.#lostTimer?.cancel()
    this.#lostTimer = null
    this.#endSilence()
    this.#server = 'unknown'
    if (!this.#contacting) void this.#look()
  }

  readonly #onError = (error: Error): void => {
    const { lastNodeError } = error as { lastNodeError?: unknown }
    const reason = lastNodeError instanceof Error ? lastNodeError : error
    if (this.#availability.isUp === null && isAuthError(reason)) this.#refusedCredentials = reason
    if (isSelectError(reason)) {
      this.#noteDatabase(reason)
      return
    }
    // One that is ready closes after it, and may be there again at once.
    if (isReplyError(reason) || this.#client.status !== 'ready') this.unavailable('be reached', reason)
  }

  /** The database was refused: as everything is for a while, or it in particular. */
  #noteDatabase(reason: Error): void {
    this.#refusedDatabase = isPassing(reason) ? reason : new RedisDatabaseError(this.#redis.address, messageOf(reason))
    this.#availability.down(this.#refusedDatabase, true)
  }

  readonly #onChange = (): void => letProcessEnd(this.#client)

  readonly #onClose = (): void => {
    this.#refusedDatabase = null
    this.#server = 'unknown'
    if (!this.up) return
    this.#lostTimer ??= this.#local.setTimeout(() => {
      this.#lostTimer = null
      if (this.#client.status !== 'ready') this.unavailable('be reached', new Error('the connection is closed'))
    }, LOST_GRACE)
  }

  /** Connects, where that is ours to do, looks whether claims can be had, and measures the clock. */
  async #firstContact(): Promise<void> {
    this.#contacting = true
    try {
      await this.#connect()
      await this.#meet()
      for (let count = 0; count < 2; count++) await this.#measure(this.#probes.time)
    } finally {
      this.#contacting = false
    }
  }

  async #connect(): Promise<void> {
    if (this.#client.status === 'wait') {
      let reason: unknown
      const remember = (error: Error & { lastNodeError?: unknown }): void => {
        reason = error.lastNodeError ?? error
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

  /** Looks now and then, when nothing else has told it, whether claims can be had, what time it is, and what is new. */
  #watch(delay = LOOK_EVERY): void {
    this.#watchTimer = this.#local.setTimeout(() => {
      const { status } = this.#client
      const now = this.#local.monotonic()
      const age = now - this.#heardAt
      const look = this.#awaitedLook
      // After a turn of the event loop: if the loop was blocked, the answer may have come and not been read yet.
      if (look !== null && now >= look.until) this.#local.setImmediate(() => look.giveUp(deadlineError(EXCHANGE_LIMIT)))
      // A server that has taken a connection and does not answer what it begins with.
      if (status === 'connect') this.#noteSilence(0)
      else if (status === 'ready' && (!this.up || this.#server !== 'known' || age >= LOOK_EVERY)) void this.#look()
      // Once it is ready, a single connection stays as it was left.
      if (this.#redis.owned && (status !== 'ready' || isCluster(this.#client))) letProcessEnd(this.#client)
      // Just when what was heard last will be so old, if nothing else is heard; or when a look has taken too long.
      const next = this.up && age < LOOK_EVERY ? LOOK_EVERY - age : LOOK_EVERY
      const { until = now } = this.#awaitedLook ?? {}
      this.#watch(until > now ? Math.min(next, until - now) : next)
    }, delay)
    // What keeps the process alive are ticks, runs, and exchanges under way; not that there is a connection.
    this.#watchTimer.unref?.()
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#closed) return
    this.#looking = true
    const { time, write } = this.#probes
    const isProven = this.#local.monotonic() - this.#provenAt < PROVE_EVERY
    try {
      if (!this.up || this.#server !== 'known') await this.#meet()
      else if (isProven) await this.#measure(time, this.#untilGivenUp)
      else await this.#prove(write)
    } catch (error) {
      this.#availability.unproven('be reached', error)
    } finally {
      this.#looking = false
    }
  }

  async #measure(ask: () => Promise<number>, bound?: Bound): Promise<void> {
    const sent = this.#local.monotonic()
    this.heard(sent, await this.exchange(ask, EXCHANGE_LIMIT, bound))
  }

  /**
   * A reply has said what time it is, and as well what was changed and what was handed back.
   *
   * @param sent when the request was sent, on the monotonic clock
   * @param micros Redis' time
   */
  heard(sent: number, micros: number): void {
    this.clock.sample(sent, micros / 1000)
    this.#heardAt = this.clock.sampledAt
  }

  /** As `heard`, of a reply that also an idle replica gets now and then: the next look is as long after it as after another look. */
  heardAsLook(sent: number, micros: number): void {
    this.heard(sent, micros)
    if (!this.up || this.#closed) return
    this.#watchTimer?.cancel()
    this.#watch()
  }

  /**
   * As `withDeadline`, of one look after the other, by the timer that is armed anyway: an idle replica does hardly anything else,
   * and a timer of its own for each look was a twentieth of what it costs.
   */
  readonly #untilGivenUp: Bound = (sent) =>
    new Promise((resolve, reject) => {
      const look = { until: this.#local.monotonic() + EXCHANGE_LIMIT, giveUp: reject }
      this.#awaitedLook = look
      const end = (): void => {
        if (this.#awaitedLook === look) this.#awaitedLook = null
      }
      sent.finally(end).then(resolve, reject)
    })

  /** Finds out which server it is, and whether claims can be had of it. */
  #meet(): Promise<void> {
    this.#meeting ??= this.#meetNow().finally(() => {
      this.#meeting = null
    })
    return this.#meeting
  }

  async #meetNow(): Promise<void> {
    if (this.#refusedDatabase !== null) await this.#select()
    try {
      await this.#prove(this.#probes.all)
      this.#server = 'known'
    } catch (error) {
      // One that refuses for a while, as it loads its data or is no master yet, is looked at again.
      if (isReplyError(error) && !isPassing(error)) this.#server = 'refusing'
      throw error
    }
  }

  /** Asks for the database once more, which ioredis itself does only on a new connection. */
  async #select(): Promise<void> {
    const { db = 0 } = this.#client.options as { db?: number }
    try {
      await this.#answerTo(() => this.#client.select(db))
      this.#refusedDatabase = null
    } catch (error) {
      if (isReplyError(error)) this.#noteDatabase(error)
      throw new NotConnectedError(messageOf(error))
    }
  }

  async #prove(ask: () => Promise<number>): Promise<void> {
    await this.#measure(ask)
    if (!this.#availability.isClaimDoubted) this.proven()
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
   *
   * @param limit in milliseconds
   * @param bound what bounds it
   */
  exchange<Value>(send: () => Promise<Value>, limit = EXCHANGE_LIMIT, bound = this.#within(limit)): Promise<Value> {
    // Also for a client of the app's, whose offline queue would execute the command when nobody wants it any more.
    if (this.#client.status !== 'ready') return Promise.reject(new NotConnectedError('there is no connection'))
    if (this.#refusedDatabase !== null) return Promise.reject(new NotConnectedError(this.#refusedDatabase.message))
    return this.#answerTo(send, limit, bound)
  }

  /**
   * As `exchange`, for claims. They are refused until Redis' time is known; on a new connection they wait until its server
   * is known as well: one that came back with older data must first be told which ticks are claimed.
   */
  exchangeDue<Value>(send: () => Promise<Value>): Promise<Value> {
    if (this.#client.status !== 'ready' || this.#refusedDatabase !== null) return this.exchange(send)
    if (!this.clock.isMeasured) return Promise.reject(new NotConnectedError('it has not said yet what time it is'))
    return this.#server === 'unknown' ? this.#exchangeOnceMet(send) : this.exchange(send)
  }

  /** Takes no longer than an exchange may, the wait included. */
  async #exchangeOnceMet<Value>(send: () => Promise<Value>): Promise<Value> {
    const end = this.#local.monotonic() + EXCHANGE_LIMIT
    try {
      await this.#meet()
    } catch (error) {
      // A server that is silent is not waited for twice.
      if (!isReplyError(error)) throw new NotConnectedError(messageOf(error))
      if (isPassing(error)) throw error
    }
    return this.exchange(send, Math.max(0, Math.round(end - this.#local.monotonic())))
  }

  #within(limit: number): Bound {
    return (sent) => withDeadline(sent, limit, this.#local)
  }

  async #answerTo<Value>(
    send: () => Promise<Value>,
    limit = EXCHANGE_LIMIT,
    bound = this.#within(limit)
  ): Promise<Value> {
    const sent = send()
    try {
      const value = await bound(sent)
      if (this.#silentSince !== null) this.#endSilence()
      return value
    } catch (error) {
      if (error instanceof Error && error.name === 'DeadlineError') {
        this.#noteSilence(limit)
        // It is slow, and not silent.
        const onLate = (): void => this.#endSilence()
        sent.then(onLate, (late: unknown) => isReplyError(late) && onLate())
      }
      throw error
    }
  }

  /** Whether a command that failed so may have been executed. */
  mayHaveBeenExecuted(error: unknown): boolean {
    return !(error instanceof NotConnectedError || isUndone(error))
  }

  /** Claims can be had: Redis has written one. */
  proven(): void {
    this.#provenAt = this.clock.sampledAt
    this.#availability.proven()
  }

  /** The error for a claim that failed. */
  claimUnavailable(what: string, cause: unknown): Error {
    return this.#availability.claimFailed(what, cause)
  }

  /** The error for an exchange that failed; notes the outage when it is one. */
  unavailable(what: string, cause: unknown): Error {
    return this.#availability.failed(what, cause)
  }

  /** An exchange was not answered. Once that has lasted, only a new connection may help. */
  #noteSilence(waited: number): void {
    if (this.#closed) return
    const now = this.#local.monotonic()
    this.#silentSince ??= now - waited
    if (this.#renewTimer !== null) return
    this.#renewTimer = this.#local.setTimeout(
      () => {
        this.#endSilence()
        if (this.#isRenewable()) this.#client.disconnect(true)
      },
      Math.max(0, this.#silentSince + RENEW_AFTER - now)
    )
    this.#renewTimer.unref?.()
  }

  #endSilence(): void {
    this.#silentSince = null
    this.#renewTimer?.cancel()
    this.#renewTimer = null
  }

  /** Whether the client connects again by itself, and would not be waited for in vain. */
  #isRenewable(): boolean {
    const client = this.#client
    if (client.status !== 'ready' && client.status !== 'connect') return false
    return (
      typeof (isCluster(client) ? client.options.clusterRetryStrategy : client.options.retryStrategy) === 'function'
    )
  }
}
