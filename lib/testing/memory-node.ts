import type { Clock } from '../../types/clock.js'
import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../types/coordination/node.js'
import type {
  ChangeAnswer,
  ChangeRequest,
  ClaimRequest,
  ConfirmedClaim,
  CoordinationListener,
  HeldLock,
  HistoryBounds,
  JobState,
  LostRun,
  OpenRun,
  SurveyRequest
} from '../../types/coordination.js'
import { readRunId } from '../base/run-ids.js'
import { accounted } from '../coordination/claim-rules.js'
import { MemoryCoordination } from '../coordination/memory/coordination.js'
import { isHeld, type Moment, releaseLock } from '../coordination/memory/record.js'
import { VotingClaims } from './voting-claims.js'
import type { VotingStore } from './voting-store.js'

/**
 * What a simulated Redis does for one replica, without the network: coordination in memory that can lose what it knew, and
 * can be one node of a quorum.
 */
export class MemoryNode extends MemoryCoordination implements CoordinationNode {
  readonly #clock: Clock
  readonly #store: VotingStore
  readonly #listener: CoordinationListener
  readonly #votes: VotingClaims

  constructor(
    clock: Clock,
    store: VotingStore,
    maxClockSkew: number,
    listener: CoordinationListener,
    replicaId: string = '',
    history: HistoryBounds | null = null
  ) {
    super(clock, store, maxClockSkew, listener, replicaId, history)
    this.#clock = clock
    this.#store = store
    this.#listener = listener
    this.#votes = new VotingClaims(store, maxClockSkew, listener, replicaId)
  }

  /** What the replica that asks next has heard of changes, as it says. */
  noteHeard(version: number): void {
    this.#store.heard.set(this.#listener, version)
  }

  async vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    const moment = this.#moment()
    this.#store.sweep(moment.monotonic)
    return requests.map((request) => this.#votes.vote(request, moment))
  }

  async confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[]> {
    this.#store.fence = Math.max(this.#store.fence, fencingToken)
    return claims.map(({ jobId, runId, due }) => {
      const record = this.#store.jobs.get(jobId)
      if (record?.claimedBy !== runId) return false
      this.#store.confirm(record)
      if (due !== undefined) {
        record.tick = due
        if (record.runId === runId) record.runTick = due
      }
      return true
    })
  }

  async adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    const moment = this.#moment()
    for (const claim of claims) this.#votes.adopt(claim, moment)
  }

  async changeAt(request: ChangeRequest, at: number | null): Promise<ChangeAnswer> {
    return this.#store.changes.make(request, at, Math.floor(this.#clock.now()), true, (change) => this.tell(change))
  }

  override async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const holder = this.#store.named.get(name)?.token
    const answer = await super.acquire(name, ttl, token)
    return answer.status === 'held' && holder !== undefined ? { ...answer, by: holder } : answer
  }

  async restoreLock({ name, kind, token, ttl }: HeldLock): Promise<boolean> {
    const monotonic = this.#clock.monotonic()
    const lock = { token, expiresAt: monotonic + ttl }
    const record = kind === 'job' ? this.#store.jobs.get(name) : this.#store.named.get(name)
    // The lock of a job lies in its record, which Redis can do without.
    if (record === undefined ? kind === 'job' : isHeld(record, monotonic)) return false
    if (record === undefined) this.#store.named.set(name, lock)
    else Object.assign(record, lock)
    return true
  }

  async tryToAbandon(runs: readonly LostRun[], callId: string): Promise<readonly AbandonVote[]> {
    return runs.map((run) => this.abandonRun(run, callId))
  }

  async reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    for (const run of runs) this.#store.openRuns.reopen(run, callId)
  }

  override async reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    const { now, monotonic } = this.#moment()
    const last = readRunId(until)
    for (const record of this.#store.jobs.values()) {
      const { runId } = record
      const id = readRunId(runId)
      const isOwn = last !== null && id !== null && id.base === last.base && id.order < last.order
      if (!record.isOpen || !isOwn || live.includes(runId)) continue
      record.isOpen = false
      record.endedAt = now
      record.runId = ''
      if (record.claimedBy === runId) record.claimedBy = ''
      releaseLock(record, runId, monotonic)
    }
    await this.adopt(claims)
  }

  /** Of a job whose last claim is not confirmed the tick before is the last one. */
  override async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const states = await super.survey(jobs)
    return states.map((state, index) => {
      const { jobId, fingerprint, group = '' } = jobs[index] as SurveyRequest
      const record = this.#store.jobs.get(jobId)
      if (record === undefined || !this.#store.isUnconfirmed(record)) return state
      const tick = accounted(record.previous, record.fingerprint, fingerprint) ?? Number.NEGATIVE_INFINITY
      const previous = Math.max(tick, this.#store.pauses.resumedAt(jobId, group, this.#clock.now()))
      return { ...state, previous: Number.isFinite(previous) ? previous : null }
    })
  }

  #moment(): Moment {
    return { now: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }
}
