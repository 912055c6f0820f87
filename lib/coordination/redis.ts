import type { Cluster, Redis } from 'ioredis'
import Redlock, { ExecutionError, Lock } from 'redlock'
import type { Clock, TimerHandle } from '../../types/clock.js'
import type {
  AcquireAnswer,
  ClaimAnswer,
  ClaimRequest,
  Coordination,
  CoordinationListener,
  CoordinationState,
  HeldLock,
  ReleaseAnswer
} from '../../types/coordination.js'
import { SECOND } from '../duration.js'
import { RedisAuthError, RedisUnavailableError } from '../errors.js'
import { CLAIM_CODE, CLAIM_SCRIPT, FENCE_SCRIPT, FINISH_SCRIPT } from './claim-script.js'
import { withDeadline } from './deadline.js'
import { FleetClock } from './fleet-clock.js'
import { validUntil } from './lock-validity.js'
import type { RedisClient } from './redis-client.js'

/** How long one exchange with Redis may take: a Redis that hangs must not hang us. */
const EXCHANGE_LIMIT = 2 * SECOND

/** How old a measurement of Redis' clock may grow before it is asked for again. */
const MEASURE_EVERY = 10 * SECOND

/** How many job ids go into one command. */
const CHUNK = 1000

/** The scripts as ioredis commands: EVALSHA, and EVAL when Redis does not know the script. */
interface ScriptCommands {
  rlsClaim(keyCount: number, ...args: (string | number)[]): Promise<number[]>
  rlsFinish(keyCount: number, ...args: string[]): Promise<number[]>
  rlsFence(keyCount: number, key: string): Promise<number>
}

export interface RedisCoordinationOptions {
  readonly redis: RedisClient
  readonly prefix: string
  readonly replicaId: string
  readonly maxClockSkew: number
  readonly clock: Clock
  readonly listener: CoordinationListener
}

/** Coordination by one Redis (or Valkey), standalone, behind Sentinels, or a Cluster. */
export class RedisCoordination implements Coordination {
  readonly #options: RedisCoordinationOptions
  readonly #client: Redis | Cluster
  readonly #commands: ScriptCommands
  readonly #clock: Clock
  readonly #fleet: FleetClock
  readonly #redlock: Redlock
  readonly #base: string
  readonly #fenceKey: string
  readonly #pausedKey: string
  #up: boolean | null = null
  #closed = false
  #timer: TimerHandle | null = null

  constructor(options: RedisCoordinationOptions) {
    this.#options = options
    this.#client = options.redis.client
    this.#clock = options.clock
    this.#fleet = new FleetClock(options.clock, () => options.listener.onClockStep())
    // All keys of an app share one hash tag, so that a script finds them in one slot of a Cluster.
    this.#base = `rls:{${options.prefix}}`
    this.#fenceKey = `${this.#base}:fence`
    this.#pausedKey = `${this.#base}:paused`
    this.#client.defineCommand('rlsClaim', { lua: CLAIM_SCRIPT })
    this.#client.defineCommand('rlsFinish', { lua: FINISH_SCRIPT })
    this.#client.defineCommand('rlsFence', { lua: FENCE_SCRIPT })
    this.#commands = this.#client as unknown as ScriptCommands
    this.#redlock = new Redlock([this.#client], { retryCount: 0 })
    this.#redlock.on('error', () => {}) // Every contention is one; the outcome is read from the answers.
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#up === true, skew: this.#fleet.skew }
  }

  now(): number {
    return this.#fleet.now()
  }

  async open(): Promise<void> {
    this.#client.on('ready', this.#onReady)
    this.#client.on('error', this.#onError)
    this.#client.on('close', this.#onClose)
    this.#watch()
    try {
      // A first failure is an answer, a hanging server is not: both leave the client to reconnect by itself.
      await withDeadline(this.#firstContact(), EXCHANGE_LIMIT, this.#clock)
    } catch (error) {
      if (isAuthError(error)) {
        await this.close()
        throw new RedisAuthError(this.#options.redis.address, messageOf(error))
      }
      this.#down(error)
    }
  }

  async claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimAnswer[]> {
    const { maxClockSkew, replicaId } = this.#options
    const keys = [this.#fenceKey, this.#pausedKey]
    const args: (string | number)[] = [maxClockSkew, replicaId]
    for (const request of requests) {
      keys.push(this.#claimKey(request.jobId), this.#jobLockKey(request.jobId))
      args.push(request.jobId, request.scheduledTime, request.runId, describe(request))
    }
    const sent = this.#clock.monotonic()
    let reply: number[]
    try {
      // An answer that comes too late is dropped: the same run ids are asked for again, or given up and released.
      reply = await this.#exchange(() => this.#commands.rlsClaim(keys.length, ...keys, ...args))
    } catch (cause) {
      const error = this.#unavailable('claim ticks', cause)
      return requests.map(() => ({ status: 'unavailable', error }))
    }
    this.#fleet.sample(sent, (reply[0] as number) / 1000)
    return requests.map((request, index) => readAnswer(request, reply, 1 + 4 * index, sent))
  }

  async extend(lock: HeldLock, ttl: number): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#clock.monotonic()
    // redlock refuses to extend what it believes to be over, by the wall clock. Whether it is over is decided here, by
    // the monotonic one.
    const handle = new Lock(this.#redlock, [this.#lockKey(lock)], lock.token, [], Number.POSITIVE_INFINITY)
    try {
      await this.#exchange(() => this.#redlock.extend(handle, ttl))
    } catch (error) {
      if (await this.#isRefusal(error)) return 'lost'
      this.#unavailable('extend a lock', error)
      return 'unavailable'
    }
    lock.validUntil = validUntil(sent, ttl)
    return 'extended'
  }

  async finish(locks: readonly HeldLock[]): Promise<readonly ReleaseAnswer[]> {
    const keys = locks.flatMap((lock) => [this.#jobLockKey(lock.name), this.#claimKey(lock.name)])
    const runIds = locks.map((lock) => lock.token)
    try {
      const reply = await this.#exchange(() => this.#commands.rlsFinish(keys.length, ...keys, ...runIds))
      return reply.map((released) => (released === 1 ? 'released' : 'lost'))
    } catch (error) {
      this.#unavailable('release locks', error)
      return locks.map(() => 'unavailable')
    }
  }

  async acquire(name: string, ttl: number): Promise<AcquireAnswer> {
    const sent = this.#clock.monotonic()
    let handle: Lock
    try {
      handle = await this.#exchange(
        () => this.#redlock.acquire([this.#namedLockKey(name)], ttl),
        (late) => void this.#redlock.release(late).catch(() => {})
      )
    } catch (error) {
      if (await this.#isRefusal(error)) return { status: 'held' }
      return { status: 'unavailable', error: this.#unavailable('take a lock', error) }
    }
    const lock: HeldLock = { name, kind: 'named', token: handle.value, validUntil: validUntil(sent, ttl) }
    try {
      const fencingToken = await this.#exchange(() => this.#commands.rlsFence(1, this.#fenceKey))
      return { status: 'granted', lock, fencingToken }
    } catch (error) {
      await this.release(lock)
      return { status: 'unavailable', error: this.#unavailable('take a lock', error) }
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const handle = new Lock(this.#redlock, [this.#lockKey(lock)], lock.token, [], 0)
    try {
      await this.#exchange(() => this.#redlock.release(handle))
      return 'released'
    } catch (error) {
      if (await this.#isRefusal(error)) return 'lost'
      this.#unavailable('release a lock', error)
      return 'unavailable'
    }
  }

  async pause(jobId: string, note: string | undefined): Promise<void> {
    const { replicaId } = this.#options
    const value = JSON.stringify({ note, replicaId, at: Math.round(this.now()) })
    await this.#command('pause a job', () => this.#client.hset(this.#pausedKey, jobId, value))
  }

  async resume(jobId: string): Promise<void> {
    // Remembered, so that a definition with `paused: true` does not pause the job again at the next deploy.
    await this.#command('resume a job', () => this.#client.hset(this.#pausedKey, jobId, '-'))
  }

  async paused(jobIds: readonly string[], initially: readonly string[]): Promise<ReadonlySet<string>> {
    for (const jobId of initially) {
      await this.#command('pause a job', () => this.#client.hsetnx(this.#pausedKey, jobId, '{}'))
    }
    const paused = new Set<string>()
    for (let start = 0; start < jobIds.length; start += CHUNK) {
      const chunk = jobIds.slice(start, start + CHUNK)
      const values = await this.#command('read paused jobs', () => this.#client.hmget(this.#pausedKey, ...chunk))
      for (const [index, value] of values.entries()) {
        if (value !== null && value !== '-') paused.add(chunk[index] as string)
      }
    }
    return paused
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#client.off('ready', this.#onReady)
    this.#client.off('close', this.#onClose)
    if (!this.#options.redis.owned) {
      this.#client.off('error', this.#onError)
      return
    }
    // QUIT lets replies under way arrive; a Redis that does not answer it is cut off.
    if (this.#client.status === 'ready') {
      await withDeadline(this.#client.quit(), SECOND, this.#clock).catch(() => {})
    }
    this.#client.disconnect()
  }

  readonly #onReady = (): void => void this.#measure()
  readonly #onError = (error: Error): void => this.#down(error)
  readonly #onClose = (): void => this.#down(new Error('the connection is closed'))

  /** Connects, where that is ours to do, and measures the clock. */
  async #firstContact(): Promise<void> {
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
      await new Promise<void>((resolve, reject) => {
        this.#client.once('ready', resolve)
        this.#client.once('error', reject)
      })
    }
    for (let count = 0; count < 3; count++) await this.#time()
  }

  /** Asks for Redis' time now and then, when nothing else has told it: for the clock, and to see whether Redis lives. */
  #watch(): void {
    this.#timer = this.#clock.setTimeout(() => {
      const age = this.#clock.monotonic() - this.#fleet.sampledAt
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
    const sent = this.#clock.monotonic()
    const [seconds, micros] = await this.#exchange(() => this.#client.time())
    this.#fleet.sample(sent, Number(seconds) * 1000 + Number(micros) / 1000)
  }

  async #command<Value>(what: string, send: () => Promise<Value>): Promise<Value> {
    try {
      return await this.#exchange(send)
    } catch (error) {
      throw this.#unavailable(what, error)
    }
  }

  /** One exchange with Redis, refused at once while there is no connection, and bounded in time. */
  async #exchange<Value>(send: () => Promise<Value>, late?: (value: Value) => void): Promise<Value> {
    // Also for a client of the app's, whose offline queue would execute the command when nobody wants it any more.
    if (this.#client.status !== 'ready') throw new Error('there is no connection')
    const value = await withDeadline(send(), EXCHANGE_LIMIT, this.#clock, late)
    this.#isUp()
    return value
  }

  #isUp(): void {
    if (this.#up === true || this.#closed) return
    this.#up = true
    this.#options.listener.onUp()
  }

  #down(reason: unknown): void {
    if (this.#up === false || this.#closed) return
    this.#up = false
    this.#options.listener.onDown(new RedisUnavailableError('be reached', messageOf(reason)))
  }

  #unavailable(what: string, cause: unknown): Error {
    // An error that Redis itself answered is trouble, but not an outage.
    if (!isReplyError(cause)) this.#down(cause)
    return new RedisUnavailableError(what, messageOf(cause))
  }

  /** Whether redlock failed because the lock is somebody else's, and not because Redis is in trouble. */
  async #isRefusal(error: unknown): Promise<boolean> {
    if (!(error instanceof ExecutionError)) return false
    const [attempt] = error.attempts
    if (attempt === undefined) return false
    const stats = await attempt
    const refusals = [...stats.votesAgainst.values()].filter((vote) => vote.name === 'ResourceLockedError')
    return refusals.length === stats.votesAgainst.size
  }

  #claimKey(jobId: string): string {
    return `${this.#base}:claim:${jobId}`
  }

  #jobLockKey(jobId: string): string {
    return `${this.#base}:lock:${jobId}`
  }

  #namedLockKey(name: string): string {
    return `${this.#base}:named:${name}`
  }

  #lockKey(lock: HeldLock): string {
    return lock.kind === 'job' ? this.#jobLockKey(lock.name) : this.#namedLockKey(lock.name)
  }
}

const KIND_LETTER = { tick: 't', miss: 'm', manual: 'h' } as const

function describe(request: ClaimRequest): string {
  const { kind, ttl, keep, afterCompletion, pausedInitially } = request
  return `${KIND_LETTER[kind]} ${ttl} ${keep} ${afterCompletion} ${pausedInitially ? 1 : 0}`
}

function readAnswer(request: ClaimRequest, reply: readonly number[], at: number, sent: number): ClaimAnswer {
  const first = reply[at + 1] as number
  switch (reply[at]) {
    case CLAIM_CODE.granted: {
      const previous = reply[at + 2] as number
      return {
        status: 'granted',
        lock:
          request.kind === 'miss'
            ? null
            : { name: request.jobId, kind: 'job', token: request.runId, validUntil: validUntil(sent, request.ttl) },
        fencingToken: first,
        previous: previous < 0 ? null : previous,
        scheduledTime: reply[at + 3] as number
      }
    }
    case CLAIM_CODE.overlap:
      return { status: 'overlap' }
    case CLAIM_CODE.paused:
      return { status: 'paused', first: first === 1 }
    case CLAIM_CODE.early:
      return { status: 'early', due: first }
    default:
      return { status: 'claimed_elsewhere' }
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
