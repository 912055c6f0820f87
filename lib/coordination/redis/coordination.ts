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
import { RedisClaims } from './claims.js'
import type { RedisClient } from './client.js'
import { defineScripts } from './commands.js'
import { RedisJobs } from './jobs.js'
import { Keys } from './keys.js'
import { RedisLink } from './link.js'
import { RedisLocks } from './locks.js'
import { RedisOpenRuns } from './open-runs.js'
import { RedisServer } from './server.js'

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
  readonly #isNode: boolean
  readonly #link: RedisLink
  readonly #server: RedisServer
  readonly #claims: RedisClaims
  readonly #locks: RedisLocks
  readonly #openRuns: RedisOpenRuns
  readonly #jobs: RedisJobs

  constructor({ redis, prefix, replicaId, maxClockSkew, clock, listener, isNode = false }: RedisCoordinationOptions) {
    const { client } = redis
    const keys = new Keys(prefix, replicaId)
    const commands = defineScripts(client)
    const server = new RedisServer(redis.address, keys, commands, listener)
    const link = new RedisLink(redis, server.probes, clock, {
      onUp: () => listener.onUp(),
      onDown: (error, refuses) => listener.onDown(error, refuses),
      onClockStep: (measured) => listener.onClockStep(measured),
      onRefused: (message) => listener.onUnsafe(`Redis refuses what it is asked: ${message}`)
    })
    this.#isNode = isNode
    this.#link = link
    this.#server = server
    this.#claims = new RedisClaims({ link, server, commands, keys, clock, replicaId, maxClockSkew, listener })
    this.#locks = new RedisLocks({ client, link, commands, keys, clock })
    this.#openRuns = new RedisOpenRuns({ link, server, commands, keys, clock })
    const onUnreadable = (jobId: string): void => this.#claims.tellUnreadable(jobId)
    this.#jobs = new RedisJobs({ client, link, commands, keys, replicaId, onUnreadable })
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#link.up, skew: this.#link.clock.skew, runId: this.#server.id }
  }

  now(): number {
    return this.#link.clock.now()
  }

  async open(): Promise<void> {
    try {
      await this.#link.open()
    } catch (error) {
      // One of several masters may be done without: what comes of it is for the others to say.
      if (!this.#isNode) await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#link.close()
  }

  claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]> {
    return this.#claims.claim(requests, false, callId, blocks)
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    return this.#claims.claim(requests, true)
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    return this.#claims.finish(endings)
  }

  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    return this.#claims.handBack(claims, callId)
  }

  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    return this.#claims.confirm(claims, fencingToken)
  }

  adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#claims.adopt(claims)
  }

  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#claims.reconcile(until, live, claims)
  }

  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    return this.#locks.extend(lock)
  }

  acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    return this.#locks.acquire(name, ttl, token)
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#locks.release(lock)
  }

  restoreLock(lock: HeldLock): Promise<boolean> {
    return this.#locks.restore(lock)
  }

  findAbandoned(): Promise<readonly OpenRun[]> {
    return this.#openRuns.findAbandoned()
  }

  async abandon(runs: readonly OpenRun[], callId: string): Promise<readonly boolean[] | null> {
    const votes = await this.tryToAbandon(runs, callId)
    return votes.includes('unavailable') ? null : votes.map((vote) => vote === 'recorded')
  }

  tryToAbandon(runs: readonly OpenRun[], callId: string): Promise<readonly AbandonVote[]> {
    return this.#openRuns.abandon(runs, callId)
  }

  reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    return this.#openRuns.reopen(runs, callId)
  }

  pause(jobId: string, note: string | undefined): Promise<void> {
    return this.#jobs.pause(jobId, note)
  }

  resume(jobId: string): Promise<void> {
    return this.#jobs.resume(jobId)
  }

  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return this.#jobs.survey(jobs)
  }

  shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    return this.#jobs.shareDefinition(jobId, own, text, other)
  }
}
