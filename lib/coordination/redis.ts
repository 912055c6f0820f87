import type { Cluster, Redis } from 'ioredis'
import Redlock, { ExecutionError, Lock } from 'redlock'
import type { Clock } from '../../types/clock.js'
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
import { RedisUnavailableError } from '../errors.js'
import { CLAIM_SCRIPT, FENCE_SCRIPT, FINISH_SCRIPT, TIME_SCRIPT } from './claim-script.js'
import { validUntil } from './lock-validity.js'
import type { RedisClient } from './redis-client.js'
import { RedisLink } from './redis-link.js'

/** How many job ids go into one command. */
const CHUNK = 1000

/** The scripts as ioredis commands: EVALSHA, and EVAL when Redis does not know the script. */
interface ScriptCommands {
  rlsClaim(keyCount: number, ...args: (string | number)[]): Promise<[micros: number, answers: string]>
  rlsFinish(keyCount: number, ...args: string[]): Promise<number[]>
  rlsFence(keyCount: number, key: string): Promise<number>
  rlsTime(keyCount: number, key: string): Promise<number>
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
  readonly #link: RedisLink
  readonly #redlock: Redlock
  readonly #base: string
  readonly #fenceKey: string
  readonly #pausedKey: string

  constructor(options: RedisCoordinationOptions) {
    this.#options = options
    this.#client = options.redis.client
    this.#clock = options.clock
    const time = (): Promise<number> => this.#commands.rlsTime(1, this.#fenceKey)
    this.#link = new RedisLink(options.redis, time, options.clock, options.listener)
    // All keys of an app share one hash tag, so that a script finds them in one slot of a Cluster.
    this.#base = `rls:{${options.prefix}}`
    this.#fenceKey = `${this.#base}:fence`
    this.#pausedKey = `${this.#base}:paused`
    this.#client.defineCommand('rlsClaim', { lua: CLAIM_SCRIPT })
    this.#client.defineCommand('rlsFinish', { lua: FINISH_SCRIPT })
    this.#client.defineCommand('rlsFence', { lua: FENCE_SCRIPT })
    this.#client.defineCommand('rlsTime', { lua: TIME_SCRIPT })
    this.#commands = this.#client as unknown as ScriptCommands
    this.#redlock = new Redlock([this.#client], { retryCount: 0 })
    this.#redlock.on('error', () => {}) // Every contention is one; the outcome is read from the answers.
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#link.up, skew: this.#link.clock.skew }
  }

  now(): number {
    return this.#link.clock.now()
  }

  async open(): Promise<void> {
    await this.#link.open()
  }

  async claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimAnswer[]> {
    const { maxClockSkew, replicaId } = this.#options
    const keys = [this.#fenceKey, this.#pausedKey]
    const args: (string | number)[] = [maxClockSkew, replicaId]
    for (const request of requests) {
      keys.push(this.#claimKey(request.jobId), this.#jobLockKey(request.jobId))
      args.push(describe(request))
    }
    const sent = this.#clock.monotonic()
    let reply: [micros: number, answers: string]
    try {
      // An answer that comes too late is dropped: the same run ids are asked for again, or given up and released.
      reply = await this.#link.exchange(() => this.#commands.rlsClaim(keys.length, ...keys, ...args))
    } catch (cause) {
      const error = this.#link.unavailable('claim ticks', cause)
      return requests.map(() => ({ status: 'unavailable', error }))
    }
    const [micros, answers] = reply
    this.#link.clock.sample(sent, micros / 1000)
    return readAnswers(requests, answers, sent)
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#clock.monotonic()
    // redlock refuses to extend what it believes to be over, by the wall clock. Whether it is over is decided here, by
    // the monotonic one.
    const handle = new Lock(this.#redlock, [this.#lockKey(lock)], lock.token, [], Number.POSITIVE_INFINITY)
    try {
      await this.#link.exchange(() => this.#redlock.extend(handle, lock.ttl))
    } catch (error) {
      if (await isRefusal(error)) return 'lost'
      this.#link.unavailable('extend a lock', await reasonOf(error))
      return 'unavailable'
    }
    lock.validUntil = validUntil(sent, lock.ttl)
    return 'extended'
  }

  async finish(locks: readonly HeldLock[]): Promise<readonly ReleaseAnswer[]> {
    const keys = locks.flatMap((lock) => [this.#jobLockKey(lock.name), this.#claimKey(lock.name)])
    const runIds = locks.map((lock) => lock.token)
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsFinish(keys.length, ...keys, ...runIds))
      return reply.map((released) => (released === 1 ? 'released' : 'lost'))
    } catch (error) {
      this.#link.unavailable('release locks', error)
      return locks.map(() => 'unavailable')
    }
  }

  async acquire(name: string, ttl: number): Promise<AcquireAnswer> {
    const sent = this.#clock.monotonic()
    let handle: Lock
    try {
      handle = await this.#link.exchange(
        () => this.#redlock.acquire([this.#namedLockKey(name)], ttl),
        (late) => void this.#redlock.release(late).catch(() => {})
      )
    } catch (error) {
      if (await isRefusal(error)) return { status: 'held' }
      return { status: 'unavailable', error: this.#link.unavailable('take a lock', await reasonOf(error)) }
    }
    const lock: HeldLock = { name, kind: 'named', token: handle.value, ttl, validUntil: validUntil(sent, ttl) }
    try {
      const fencingToken = await this.#link.exchange(() => this.#commands.rlsFence(1, this.#fenceKey))
      return { status: 'granted', lock, fencingToken }
    } catch (error) {
      await this.release(lock)
      return { status: 'unavailable', error: this.#link.unavailable('take a lock', error) }
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const handle = new Lock(this.#redlock, [this.#lockKey(lock)], lock.token, [], 0)
    try {
      await this.#link.exchange(() => this.#redlock.release(handle))
      return 'released'
    } catch (error) {
      if (await isRefusal(error)) return 'lost'
      this.#link.unavailable('release a lock', await reasonOf(error))
      return 'unavailable'
    }
  }

  async pause(jobId: string, note: string | undefined): Promise<void> {
    const { replicaId } = this.#options
    const value = JSON.stringify({ note, replicaId, at: Math.round(this.now()) })
    await this.#link.command('pause a job', () => this.#client.hset(this.#pausedKey, jobId, value))
  }

  async resume(jobId: string): Promise<void> {
    // Remembered, so that a definition with `paused: true` does not pause the job again at the next deploy.
    await this.#link.command('resume a job', () => this.#client.hset(this.#pausedKey, jobId, '-'))
  }

  async paused(jobIds: readonly string[], initially: readonly string[]): Promise<ReadonlySet<string>> {
    for (const jobId of initially) {
      await this.#link.command('pause a job', () => this.#client.hsetnx(this.#pausedKey, jobId, '{}'))
    }
    const paused = new Set<string>()
    for (let start = 0; start < jobIds.length; start += CHUNK) {
      const chunk = jobIds.slice(start, start + CHUNK)
      const values = await this.#link.command('read paused jobs', () => this.#client.hmget(this.#pausedKey, ...chunk))
      for (const [index, value] of values.entries()) {
        if (value !== null && value !== '-') paused.add(chunk[index] as string)
      }
    }
    return paused
  }

  async close(): Promise<void> {
    await this.#link.close()
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

/** Whether redlock failed because the lock is somebody else's, and not because Redis is in trouble. */
async function isRefusal(error: unknown): Promise<boolean> {
  const votes = await votesAgainst(error)
  return votes.length > 0 && votes.every((vote) => vote.name === 'ResourceLockedError')
}

/** What Redis said, where redlock only says that there was no quorum. */
async function reasonOf(error: unknown): Promise<unknown> {
  return (await votesAgainst(error))[0] ?? error
}

async function votesAgainst(error: unknown): Promise<Error[]> {
  const attempt = error instanceof ExecutionError ? await error.attempts[0] : undefined
  return attempt === undefined ? [] : [...attempt.votesAgainst.values()]
}

const CLAIMED_ELSEWHERE: ClaimAnswer = Object.freeze({ status: 'claimed_elsewhere' })

const KIND_LETTER = { tick: 't', miss: 'm', manual: 'h' } as const

function describe(request: ClaimRequest): string {
  const { kind, scheduledTime, runId, ttl, keep, afterCompletion, pausedInitially } = request
  return `${KIND_LETTER[kind]} ${scheduledTime} ${runId} ${ttl} ${keep} ${afterCompletion} ${pausedInitially ? 1 : 0}`
}

/** Reads the claim script's string of answers. */
function readAnswers(requests: readonly ClaimRequest[], answers: string, sent: number): ClaimAnswer[] {
  const words = answers.split(' ')
  let at = 0
  const next = (): number => Number(words[at++])
  const nextTick = (): number | null => {
    const tick = next()
    return tick < 0 ? null : tick
  }
  return requests.map((request): ClaimAnswer => {
    switch (words[at++]) {
      case '0': {
        const { jobId, kind, runId, ttl } = request
        const lock: HeldLock = { name: jobId, kind: 'job', token: runId, ttl, validUntil: validUntil(sent, ttl) }
        const granted = { status: 'granted', lock: kind === 'miss' ? null : lock } as const
        return { ...granted, fencingToken: next(), previous: nextTick(), scheduledTime: next() }
      }
      case '2':
        return { status: 'overlap', previous: nextTick() }
      case '3':
        return { status: 'paused', first: next() === 1, previous: nextTick() }
      case '4':
        return { status: 'early', due: next() }
      case '1':
        return CLAIMED_ELSEWHERE
      default:
        return {
          status: 'unavailable',
          error: new RedisUnavailableError('claim ticks', `unreadable answer ${answers}`)
        }
    }
  })
}
