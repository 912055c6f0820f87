import { randomBytes } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import type Redlock from 'redlock'
import type { Clock } from '../../../types/clock.js'
import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../../types/coordination/node.js'
import type {
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Coordination,
  CoordinationListener,
  CoordinationState,
  Ending,
  Fingerprint,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  JobState,
  OpenRun,
  ReleaseAnswer,
  SurveyRequest
} from '../../../types/coordination.js'
import { DAY } from '../../base/duration.js'
import { loadRedlock } from '../../lazy.js'
import { validUntil } from '../lock-validity.js'
import { findUnsafe, runIdOf } from './checks.js'
import { CLAIM_SCRIPT } from './claim-script.js'
import type { RedisClient } from './client.js'
import { FINISH_SCRIPT, HAND_BACK_SCRIPT } from './end-scripts.js'
import { RedisLink } from './link.js'
import { ABANDON_SCRIPT, LOOK_SCRIPT, REOPEN_SCRIPT } from './open-scripts.js'
import { PROBE_SCRIPT, type ProbeReply, readProbe } from './probe-script.js'
import {
  ACQUIRE_SCRIPT,
  ADOPT_SCRIPT,
  CONFIRM_SCRIPT,
  PAUSES_SCRIPT,
  RESUME_SCRIPT,
  SINCE_SCRIPT,
  TIME_SCRIPT
} from './small-scripts.js'
import {
  isReadable,
  readAnswers,
  readDiffering,
  readOpenRuns,
  readState,
  unreadable,
  writeBlocks,
  writeConfirmed,
  writeEndings,
  writeHandedBack,
  writeOpenRun,
  writeRequests,
  writeSince
} from './wire.js'

/** How many job ids go into one command. */
const CHUNK = 1000

const RELEASE_ANSWERS: readonly ReleaseAnswer[] = ['lost', 'released', 'abandoned']

const ABANDON_ANSWERS: readonly AbandonVote[] = ['closed', 'recorded', 'elsewhere', 'held']

const HAND_BACK_ANSWERS: readonly HandBackAnswer[] = ['not_ours', 'free', 'wasted']

type HandedFields = readonly string[]

/** The scripts as ioredis commands: EVALSHA, and EVAL when Redis does not know the script. */
interface ScriptCommands {
  rlsClaim(
    keyCount: number,
    ...args: (string | number)[]
  ): Promise<[micros: number, answers: string, differing: string, handed: HandedFields, taken?: string]>
  rlsFinish(keyCount: number, ...args: string[]): Promise<string>
  rlsHandBack(keyCount: number, ...args: string[]): Promise<string>
  rlsAcquire(
    keyCount: number,
    ...args: (string | number)[]
  ): Promise<[micros: number, fencingToken: number, holder?: string]>
  rlsConfirm(keyCount: number, ...args: (string | number)[]): Promise<string>
  rlsAdopt(keyCount: number, ...args: string[]): Promise<null>
  rlsResume(keyCount: number, ...args: string[]): Promise<null>
  rlsPauses(keyCount: number, ...args: string[]): Promise<string[]>
  rlsSince(keyCount: number, ...args: string[]): Promise<string>
  rlsTime(keyCount: number, ...args: string[]): Promise<[micros: number, handed: HandedFields]>
  rlsLook(keyCount: number, key: string): Promise<[micros: number, fence: string, serverId: string, found: string[]]>
  rlsAbandon(keyCount: number, ...args: string[]): Promise<string>
  rlsReopen(keyCount: number, ...args: string[]): Promise<null>
  rlsProbe(keyCount: number, ...args: string[]): Promise<ProbeReply>
}

export interface RedisCoordinationOptions {
  readonly redis: RedisClient
  readonly prefix: string
  readonly replicaId: string
  readonly maxClockSkew: number
  readonly clock: Clock
  readonly listener: CoordinationListener
  /**
   * Whether it is one of several masters, so that the others can do without it.
   *
   * @default false
   */
  readonly isNode?: boolean
}

/** Coordination by one Redis (or Valkey), standalone, behind Sentinels, or a Cluster. */
export class RedisCoordination implements Coordination, CoordinationNode {
  readonly #options: RedisCoordinationOptions
  readonly #client: Redis | Cluster
  readonly #commands: ScriptCommands
  readonly #clock: Clock
  readonly #link: RedisLink
  readonly #redlock: Redlock
  readonly #base: string
  readonly #fenceKey: string
  readonly #pausedKey: string
  readonly #handedKey: string
  readonly #replyKey: string
  readonly #probeKey: string
  /** What is known of the server: its `run_id`, `''` where it may not be asked, and the last fencing token it has given. */
  #server = { id: '', fence: 0 }
  /** The last answers to claims that began with a later one. */
  #lastGrant = ''

  /** `maybe`: whether it may have been executed when it was made before. */
  #lastCall = { id: '-', sent: 0, maybe: false }

  constructor(options: RedisCoordinationOptions) {
    this.#options = options
    this.#client = options.redis.client
    this.#clock = options.clock
    // All keys of an app share one hash tag, so that a script finds them in one slot of a Cluster.
    this.#base = `rls:{${options.prefix}}`
    this.#fenceKey = `${this.#base}:fence`
    this.#pausedKey = `${this.#base}:paused`
    this.#handedKey = `${this.#base}:handed`
    // Of this process alone: two may have been given one id.
    this.#replyKey = `${this.#base}:reply:${options.replicaId}:${randomBytes(6).toString('hex')}`
    this.#probeKey = `${this.#base}:probe`
    const probes = {
      time: () => this.#askTime(),
      write: () => this.#askTime(this.#probeKey),
      all: () => this.#askAll()
    }
    this.#link = new RedisLink(options.redis, probes, options.clock, {
      onUp: () => options.listener.onUp(),
      onDown: (error, refuses) => options.listener.onDown(error, refuses),
      onClockStep: (measured) => options.listener.onClockStep(measured),
      onRefused: (message) => options.listener.onUnsafe(`Redis refuses what it is asked: ${message}`)
    })
    this.#client.defineCommand('rlsClaim', { lua: CLAIM_SCRIPT })
    this.#client.defineCommand('rlsFinish', { lua: FINISH_SCRIPT })
    this.#client.defineCommand('rlsHandBack', { lua: HAND_BACK_SCRIPT })
    this.#client.defineCommand('rlsAcquire', { lua: ACQUIRE_SCRIPT })
    this.#client.defineCommand('rlsConfirm', { lua: CONFIRM_SCRIPT })
    this.#client.defineCommand('rlsAdopt', { lua: ADOPT_SCRIPT })
    this.#client.defineCommand('rlsResume', { lua: RESUME_SCRIPT })
    this.#client.defineCommand('rlsPauses', { lua: PAUSES_SCRIPT })
    this.#client.defineCommand('rlsSince', { lua: SINCE_SCRIPT })
    this.#client.defineCommand('rlsTime', { lua: TIME_SCRIPT })
    this.#client.defineCommand('rlsLook', { lua: LOOK_SCRIPT })
    this.#client.defineCommand('rlsAbandon', { lua: ABANDON_SCRIPT })
    this.#client.defineCommand('rlsReopen', { lua: REOPEN_SCRIPT })
    this.#client.defineCommand('rlsProbe', { lua: PROBE_SCRIPT })
    this.#commands = this.#client as unknown as ScriptCommands
    const { default: Redlock } = loadRedlock()
    this.#redlock = new Redlock([this.#client], { retryCount: 0 })
    this.#redlock.on('error', () => {}) // Every contention is one; the outcome is read from the answers.
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#link.up, skew: this.#link.clock.skew, runId: this.#server.id || null }
  }

  now(): number {
    return this.#link.clock.now()
  }

  async open(): Promise<void> {
    try {
      await this.#link.open()
    } catch (error) {
      // One of several masters may be done without: what comes of it is for the others to say.
      if (!this.#options.isNode) await this.close()
      throw error
    }
  }

  claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]> {
    return this.#claim(requests, false, callId, blocks)
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    return this.#claim(requests, true)
  }

  async #claim(
    requests: readonly ClaimRequest[],
    isVote: boolean,
    callId = '-',
    blocks?: ClaimBlocks
  ): Promise<readonly ClaimVote[]> {
    const { maxClockSkew, replicaId, listener } = this.#options
    const keys = [this.#fenceKey, this.#pausedKey, this.#handedKey, this.#replyKey]
    if (blocks !== undefined) keys.push(`${this.#base}:taken:${blocks.scheduledTime}`)
    const written = writeRequests(requests, isVote)
    const words = blocks === undefined ? '' : writeBlocks(blocks)
    const args = [maxClockSkew, replicaId, callId, written.terms, written.requests, words]
    const sent = this.#clock.monotonic()
    // A lock is believed in from when it was first asked for.
    const call = callId !== '-' && callId === this.#lastCall.id ? this.#lastCall : { id: callId, sent, maybe: false }
    if (callId !== '-') this.#lastCall = call
    try {
      // An answer that comes too late is dropped: the call is repeated, or what it may have claimed is taken back.
      const reply = await this.#link.exchangeDue(() => this.#commands.rlsClaim(keys.length, ...keys, ...args))
      const [micros, answers, differing, handed, taken] = reply
      this.#link.clock.sample(sent, micros / 1000)
      const isGranted = answers.startsWith('0 ')
      if (isGranted) this.#lastGrant = answers
      // What is not granted to a call without an id has written nothing; a reply that is told again neither.
      if (taken !== undefined && (isGranted || callId !== '-')) this.#link.proven()
      const read = readAnswers(requests, answers, call.sent)
      if (differing !== '') {
        for (const { index, tick, other } of readDiffering(differing)) {
          listener.onDefinitionDiffers((requests[index] as ClaimRequest).jobId, tick, other)
        }
      }
      if (answers.includes('u')) {
        for (const [index, answer] of read.entries()) {
          if (answer.status === 'unavailable' && answer.unreadable) {
            this.#tellUnreadable((requests[index] as ClaimRequest).jobId)
          }
        }
      }
      this.#tellHanded(handed)
      for (let at = taken?.indexOf('1') ?? -1; at >= 0; at = taken?.indexOf('1', at + 1) ?? -1) {
        blocks?.onTaken(blocks.waiting[at] as string)
      }
      return read
    } catch (cause) {
      const error = this.#link.claimUnavailable('claim ticks', cause)
      call.maybe ||= this.#link.mayHaveBeenExecuted(cause)
      return requests.map(() => ({ status: 'unavailable', error, maybe: call.maybe }))
    }
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#clock.monotonic()
    const { Lock } = loadRedlock()
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
    lock.validUntil = Math.max(lock.validUntil, validUntil(sent, lock.ttl))
    return 'extended'
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const written = writeEndings(endings)
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsFinish(1, this.#fenceKey, written))
      return endings.map((_ending, index) => RELEASE_ANSWERS[Number(reply[index])] ?? 'unavailable')
    } catch (error) {
      this.#link.unavailable('release locks', error)
      return endings.map(() => 'unavailable')
    }
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const keys = [this.#handedKey, `${this.#replyKey}:handed`]
    for (const { lock } of claims) keys.push(this.#jobLockKey(lock.name), this.#claimKey(lock.name))
    const args = claims.map(writeHandedBack)
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsHandBack(keys.length, ...keys, callId, ...args))
      return claims.map((_claim, index) => HAND_BACK_ANSWERS[Number(reply[index])] ?? 'unavailable')
    } catch (error) {
      this.#link.unavailable('take claims back', error)
      return claims.map(() => 'unavailable')
    }
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const sent = this.#clock.monotonic()
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: validUntil(sent, ttl) }
    try {
      const keys = [this.#fenceKey, this.#namedLockKey(name)]
      const reply = await this.#link.exchange(() => this.#commands.rlsAcquire(keys.length, ...keys, token, ttl))
      const [micros, fencingToken, by = ''] = reply
      this.#link.clock.sample(sent, micros / 1000)
      return fencingToken > 0 ? { status: 'granted', lock, fencingToken } : { status: 'held', by }
    } catch (error) {
      return { status: 'unavailable', error: this.#link.unavailable('take a lock', error) }
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    const { Lock } = loadRedlock()
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

  async confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    const keys = [this.#fenceKey, ...claims.map(({ jobId }) => this.#claimKey(jobId))]
    const args = [fencingToken, ...claims.map(({ runId, due }) => `${runId} ${due ?? '-'}`)]
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsConfirm(keys.length, ...keys, ...args))
      return claims.map((_claim, index) => reply[index] === '1')
    } catch (error) {
      this.#link.unavailable('confirm claims', error)
      return null
    }
  }

  async adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    const written = writeConfirmed(claims)
    try {
      await this.#link.exchange(() => this.#commands.rlsAdopt(1, this.#fenceKey, this.#options.replicaId, written))
    } catch (error) {
      this.#link.unavailable('settle claims', error)
    }
  }

  async findAbandoned(): Promise<readonly OpenRun[]> {
    const sent = this.#clock.monotonic()
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsLook(1, this.#fenceKey))
      const [micros, fence, serverId, found] = reply
      this.#link.clock.sample(sent, micros / 1000)
      this.#noteServer(serverId, Number(fence))
      return readOpenRuns(found)
    } catch (error) {
      this.#link.unavailable('look for runs', error)
      return []
    }
  }

  async abandon(runs: readonly OpenRun[], callId: string): Promise<readonly boolean[] | null> {
    const answers = await this.tryToAbandon(runs, callId)
    return answers.includes('unavailable') ? null : answers.map((answer) => answer === 'recorded')
  }

  async tryToAbandon(runs: readonly OpenRun[], callId: string): Promise<readonly AbandonVote[]> {
    const args = runs.map(writeOpenRun)
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsAbandon(1, this.#fenceKey, callId, ...args))
      return runs.map((_run, index) => ABANDON_ANSWERS[Number(reply[index])] ?? 'unavailable')
    } catch (error) {
      this.#link.unavailable('record abandoned runs', error)
      return runs.map(() => 'unavailable')
    }
  }

  async reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    const args = runs.map(writeOpenRun)
    try {
      await this.#link.exchange(() => this.#commands.rlsReopen(1, this.#fenceKey, callId, ...args))
    } catch (error) {
      this.#link.unavailable('record abandoned runs', error)
    }
  }

  async reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    const ids = live.join(' ')
    const ended = this.#link.exchange(() => this.#commands.rlsFinish(1, this.#fenceKey, '', until, ids))
    const told: Promise<unknown>[] = [ended.catch((error: unknown) => this.#link.unavailable('release locks', error))]
    for (let start = 0; start < claims.length; start += CHUNK) told.push(this.adopt(claims.slice(start, start + CHUNK)))
    await Promise.all(told)
  }

  async restoreLock(lock: HeldLock): Promise<boolean> {
    const key = this.#lockKey(lock)
    try {
      return (await this.#link.exchange(() => this.#client.set(key, lock.token, 'PX', lock.ttl, 'NX'))) === 'OK'
    } catch (error) {
      this.#link.unavailable('take a lock', error)
      return false
    }
  }

  async pause(jobId: string, note: string | undefined): Promise<void> {
    const { replicaId } = this.#options
    const value = JSON.stringify({ note, replicaId, at: Math.round(this.now()) })
    await this.#link.command('pause a job', () => this.#client.hset(this.#pausedKey, jobId, value))
  }

  async resume(jobId: string): Promise<void> {
    // Remembered, so that a definition with `paused: true` does not pause the job again at the next deploy, and that
    // nothing is caught up on for the time it was paused.
    await this.#link.command('resume a job', () => this.#commands.rlsResume(1, this.#pausedKey, jobId))
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const states: JobState[] = []
    for (let start = 0; start < jobs.length; start += CHUNK) {
      const chunk = jobs.slice(start, start + CHUNK)
      const ids = chunk.map(({ jobId }) => jobId)
      const written = writeSince(chunk)
      const byCode = chunk.map(({ jobId, pausedInitially }) => `${pausedInitially ? 1 : 0} ${jobId}\n`).join('')
      const [pauses, records, noted] = await this.#link.command('read jobs', () =>
        Promise.all([
          this.#commands.rlsPauses(1, this.#pausedKey, byCode),
          this.#client.mget(ids.map((jobId) => this.#claimKey(jobId))),
          this.#commands.rlsSince(1, this.#fenceKey, written)
        ])
      )
      const times = noted.split(' ')
      for (const [index, job] of chunk.entries()) {
        if (!isReadable(records[index])) this.#tellUnreadable(job.jobId)
        states.push(
          readState(job, records[index], pauses[index] || null, job.since === null ? null : Number(times[index]))
        )
      }
    }
    return states
  }

  async shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    const keyOf = ({ trigger, options }: Fingerprint): string =>
      `${this.#base}:definition:${trigger}.${options}:${jobId}`
    try {
      await this.#link.exchange(() => this.#client.set(keyOf(own), text, 'PX', DAY))
      return await this.#link.exchange(() => this.#client.get(keyOf(other)))
    } catch (error) {
      this.#link.unavailable('compare definitions', error)
      return null
    }
  }

  async close(): Promise<void> {
    await this.#link.close()
  }

  #tellUnreadable(jobId: string): void {
    const key = this.#claimKey(jobId)
    this.#options.listener.onUnsafe(
      `Redis refuses the ticks of a job: ${unreadable(jobId)}; delete ${key} to let it run again`
    )
  }

  async #askTime(...written: string[]): Promise<number> {
    const keys = [this.#fenceKey, this.#handedKey, ...written]
    const [micros, handed] = await this.#commands.rlsTime(keys.length, ...keys)
    this.#tellHanded(handed)
    return micros
  }

  /** Tries all that claims need, and looks whom they are asked of. */
  async #askAll(): Promise<number> {
    const own = ['', ':hash', ':set', ':sorted'].map((end) => this.#probeKey + end)
    const keys = [this.#fenceKey, this.#handedKey, this.#pausedKey, `${this.#base}:open`, ...own]
    const probed = readProbe(await this.#commands.rlsProbe(keys.length, ...keys))
    for (const reason of findUnsafe(probed.info)) this.#options.listener.onUnsafe(reason)
    // What was handed back is not taken, and not to be told to be.
    this.#tellHanded(probed.handed)
    this.#noteServer(runIdOf(probed.info) ?? '', probed.fence)
    return probed.micros
  }

  /** Notices a server that has taken another's place, or knows less than it did. */
  #noteServer(serverId: string, fence: number): void {
    const { listener, redis } = this.#options
    const isOther = serverId !== '' && this.#server.id !== '' && serverId !== this.#server.id
    const known = Math.max(this.#server.fence, Number(this.#lastGrant.split(' ', 2)[1] ?? 0))
    const isPast = fence < known
    this.#server = { id: serverId, fence }
    this.#lastGrant = ''
    if (isPast) {
      const lost = fence === 0 ? 'has lost its data' : 'has data from the past'
      listener.onNotice('warn', `Redis at ${redis.address} ${lost}: claims, locks and pauses since are unknown to it`)
    }
    if (isOther || isPast) listener.onPast(true)
  }

  #tellHanded(fields: HandedFields): void {
    for (let index = 0; index < fields.length; index += 2) {
      const [tick, by] = (fields[index + 1] as string).split(' ')
      this.#options.listener.onHandedBack(fields[index] as string, Number(tick), by as string)
    }
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
  const { ExecutionError } = loadRedlock()
  const attempt = error instanceof ExecutionError ? await error.attempts[0] : undefined
  return attempt === undefined ? [] : [...attempt.votesAgainst.values()]
}
