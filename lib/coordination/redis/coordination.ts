import type { Cluster, Redis } from 'ioredis'
import type { Clock } from '../../../types/clock.js'
import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../../types/coordination/node.js'
import type {
  Change,
  ChangeAnswer,
  ChangeRequest,
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
  HistoryBounds,
  HistoryFact,
  JobState,
  LostRun,
  OpenRun,
  ReleaseAnswer,
  ReplicaReport,
  SeenReplica,
  Standing,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail,
  SurveyRequest,
  Waiting
} from '../../../types/coordination.js'
import type { RunProgress } from '../../../types/history.js'
import { FleetClock } from '../fleet-clock.js'
import { RedisChanges } from './changes.js'
import { RedisClaims } from './claims.js'
import type { RedisClient } from './client.js'
import { defineScripts } from './commands.js'
import { RedisJobs } from './jobs.js'
import { Keys } from './keys.js'
import { RedisLink } from './link.js'
import { RedisLocks } from './locks.js'
import { RedisOpenRuns } from './open-runs.js'
import { RedisRecords } from './records.js'
import { RedisServer } from './server.js'
import { RedisWaiting } from './waiting.js'

export interface RedisCoordinationOptions {
  readonly redis: RedisClient
  readonly prefix: string
  readonly replicaId: string
  readonly maxClockSkew: number
  readonly clock: Clock
  /**
   * How much of the history is kept; `null` for none.
   *
   * @default null
   */
  readonly history?: HistoryBounds | null
  readonly listener: CoordinationListener
  /**
   * Whether it is one of several masters, so that the others can do without it.
   *
   * @default false
   */
  readonly isNode?: boolean
}

/** What there is once the client is made. */
interface Opened {
  readonly link: RedisLink
  readonly server: RedisServer
  readonly changes: RedisChanges
  readonly claims: RedisClaims
  readonly locks: RedisLocks
  readonly openRuns: RedisOpenRuns
  readonly jobs: RedisJobs
  readonly waiting: RedisWaiting
  readonly records: RedisRecords
}

/** Coordination by one Redis (or Valkey), standalone, behind Sentinels, or a Cluster. */
export class RedisCoordination implements Coordination, CoordinationNode {
  readonly #options: RedisCoordinationOptions
  readonly #clock: FleetClock
  #parts: Opened | null = null
  #closed = false

  constructor(options: RedisCoordinationOptions) {
    this.#options = options
    this.#clock = new FleetClock(options.clock, (measured) => options.listener.onClockStep(measured))
  }

  get state(): CoordinationState {
    const { skew } = this.#clock
    const { link, server } = this.#parts ?? {}
    return {
      kind: 'redis',
      up: link?.up === true,
      skew,
      runId: server?.id ?? null,
      server: server?.description ?? null
    }
  }

  get waiting(): Waiting {
    return this.#opened.waiting
  }

  now(): number {
    return this.#clock.now()
  }

  async open(): Promise<void> {
    const { redis, isNode = false } = this.#options
    // Here, as they are all that a service without Redis would load in vain.
    const [client, redlock] = await Promise.all([redis.make(), import(/* webpackMode: "eager" */ 'redlock')])
    if (this.#closed) return
    this.#parts = this.#make(client, redlock)
    try {
      await this.#parts.link.open()
    } catch (error) {
      // One of several masters may be done without: what comes of it is for the others to say.
      if (!isNode) await this.close()
      throw error
    }
  }

  #make(client: Redis | Cluster, redlock: typeof import('redlock')): Opened {
    const { redis, prefix, replicaId, maxClockSkew, clock: local, history = null, listener } = this.#options
    const keys = new Keys(prefix, replicaId)
    const commands = defineScripts(client)
    const onPast = (isAll?: boolean): void => {
      records.forget()
      listener.onPast(isAll)
    }
    const server = new RedisServer(
      redis.address,
      keys,
      commands,
      { ...listener, onPast },
      {
        known: () => changes.known,
        note: (version) => changes.note(version),
        forget: () => changes.forget()
      }
    )
    const link = new RedisLink({
      redis,
      client,
      probes: server.probes,
      local,
      clock: this.#clock,
      listener: {
        onUp: () => listener.onUp(),
        onDown: (error, refuses) => listener.onDown(error, refuses),
        onRefused: (message) => listener.onUnsafe(`Redis refuses what it is asked: ${message}`)
      }
    })
    const changes: RedisChanges = new RedisChanges({ client, link, commands, keys, listener })
    const common = { client, link, server, changes, commands, keys, clock: local, replicaId }
    const records: RedisRecords = new RedisRecords({ ...common, bounds: history, listener })
    const claims = new RedisClaims({ ...common, maxClockSkew, listener, records })
    const onUnreadable = (jobId: string): void => claims.tellUnreadable(jobId)
    return {
      link,
      server,
      changes,
      claims,
      locks: new RedisLocks({ ...common, module: redlock }),
      openRuns: new RedisOpenRuns({ ...common, listener, records }),
      jobs: new RedisJobs({ ...common, onUnreadable, onWaiting: (jobId) => listener.onWaiting(jobId) }),
      waiting: new RedisWaiting(common),
      records
    }
  }

  get #opened(): Opened {
    if (this.#parts === null) throw new Error('the coordination is not open')
    return this.#parts
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#parts?.link.close()
  }

  claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]> {
    return this.#opened.claims.claim(requests, false, callId, blocks)
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    // Nothing waits for what several masters decide on.
    return this.#opened.claims.claim(requests, true) as Promise<readonly ClaimVote[]>
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    return this.#opened.claims.finish(endings)
  }

  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    return this.#opened.claims.handBack(claims, callId)
  }

  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    return this.#opened.claims.confirm(claims, fencingToken)
  }

  adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#opened.claims.adopt(claims)
  }

  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#opened.claims.reconcile(until, live, claims)
  }

  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    return this.#opened.locks.extend(lock)
  }

  acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    return this.#opened.locks.acquire(name, ttl, token)
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#opened.locks.release(lock)
  }

  restoreLock(lock: HeldLock): Promise<boolean> {
    return this.#opened.locks.restore(lock)
  }

  findAbandoned(): Promise<readonly OpenRun[]> {
    return this.#opened.openRuns.findAbandoned()
  }

  async abandon(runs: readonly LostRun[], callId: string): Promise<readonly boolean[] | null> {
    const votes = await this.tryToAbandon(runs, callId)
    return votes.includes('unavailable') ? null : votes.map((vote) => vote === 'recorded')
  }

  tryToAbandon(runs: readonly LostRun[], callId: string): Promise<readonly AbandonVote[]> {
    return this.#opened.openRuns.abandon(runs, callId)
  }

  reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    return this.#opened.openRuns.reopen(runs, callId)
  }

  async change(request: ChangeRequest): Promise<ChangeAnswer> {
    return await this.#opened.changes.change(request, '')
  }

  async changeAt(request: ChangeRequest, at: number | null): Promise<ChangeAnswer> {
    return await this.#opened.changes.change(request, at)
  }

  async standing(): Promise<Standing> {
    return await this.#opened.changes.standing()
  }

  async readChanges(limit: number): Promise<readonly Change[]> {
    return await this.#opened.changes.last(limit)
  }

  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return this.#opened.jobs.survey(jobs)
  }

  note(facts: readonly HistoryFact[]): Promise<boolean> {
    return this.#opened.records.note(facts)
  }

  readHistory(jobId: string): Promise<StoredHistory> {
    return this.#opened.records.readHistory(jobId)
  }

  readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    return this.#opened.records.readTails(jobIds, count)
  }

  readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    return this.#opened.records.readStatus(jobs, withLocks)
  }

  writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    return this.#opened.records.writeProgress(progress)
  }

  beat(report: ReplicaReport | null): Promise<void> {
    return this.#opened.records.beat(report)
  }

  readReplicas(): Promise<readonly SeenReplica[]> {
    return this.#opened.records.readReplicas()
  }

  shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    return this.#opened.jobs.shareDefinition(jobId, own, text, other)
  }
}
