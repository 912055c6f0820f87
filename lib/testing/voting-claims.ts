import type { ClaimVote } from '../../types/coordination/node.js'
import type { ClaimAnswer, ClaimRequest, ConfirmedClaim, CoordinationListener } from '../../types/coordination.js'
import { accounted } from '../coordination/claim-rules.js'
import { MemoryClaims } from '../coordination/memory/claims.js'
import type { ClaimRecord, Moment } from '../coordination/memory/record.js'
import { hasSameTrigger } from '../jobs/fingerprint.js'
import type { VotingStore } from './voting-store.js'

/**
 * Claims that are votes among those of other stores: each stays unconfirmed until it is confirmed, and is passed over by
 * the next one, as if it had not been made.
 */
export class VotingClaims extends MemoryClaims {
  readonly #store: VotingStore

  constructor(store: VotingStore, maxClockSkew: number, listener: CoordinationListener, replicaId: string) {
    super(store, maxClockSkew, listener, replicaId)
    this.#store = store
  }

  vote(request: ClaimRequest, moment: Moment): ClaimVote {
    const answer = this.answer(request, moment)
    const record = this.#store.jobs.get(request.jobId)
    const { runId } = request
    const isRun = answer.status === 'granted' && record?.runId === runId && record.claimedBy === runId
    if (isRun && this.#store.isUnconfirmed(record)) this.#store.withholdAttempt(record)
    return voteOf(request, answer, record)
  }

  /** Takes over a claim that a majority of stores has confirmed. */
  adopt(claim: ConfirmedClaim, moment: Moment): void {
    const { jobId, runId, tick, run, retention, fingerprint } = claim
    const { now, monotonic } = moment
    const record = this.#store.jobOf(jobId, moment) ?? this.addRecord(claim, moment)
    const isUnconfirmed = this.#store.isUnconfirmed(record)
    if (record.tick > tick || (record.tick === tick && !isUnconfirmed)) return
    if (isUnconfirmed) endUnbegun(record, now)
    else record.previous = record.tick
    const isFirst = record.tick < 0 || !hasSameTrigger(record.fingerprint, fingerprint)
    if (isFirst) this.#store.since.noteClaimed(jobId, fingerprint, retention, monotonic)
    this.#store.confirm(record)
    record.tick = tick
    record.claimedBy = runId
    record.fingerprint = fingerprint
    record.retainedUntil = monotonic + retention
    if (run === null) return
    this.#store.openRuns.noteReplaced(record, jobId, moment)
    record.runTick = run.scheduledTime
    record.attempt = run.attempt
    this.begin(record, runId, run.fencingToken, now)
  }

  protected override isBeside(record: ClaimRecord, request: ClaimRequest): boolean {
    return !this.#isPassed(record, request) && super.isBeside(record, request)
  }

  protected override tickBefore(record: ClaimRecord, isRepeated: boolean): number {
    return isRepeated || this.#store.isUnconfirmed(record) ? record.previous : record.tick
  }

  protected override take(
    request: ClaimRequest,
    record: ClaimRecord,
    before: number,
    coversUntil: number,
    isBeside: boolean,
    moment: Moment
  ): void {
    const isRepeated = record.claimedBy === request.runId
    if (this.#isPassed(record, request)) endUnbegun(record, moment.now)
    super.take(request, record, before, coversUntil, isBeside, moment)
    if (!isRepeated) this.#store.noteVote(record)
  }

  /** Whether the last claim is an unconfirmed one of another request. */
  #isPassed(record: ClaimRecord, { runId }: ClaimRequest): boolean {
    return record.claimedBy !== runId && this.#store.isUnconfirmed(record)
  }
}

/** The run of a claim that was never confirmed has not begun. */
function endUnbegun(record: ClaimRecord, now: number): void {
  if (record.runId !== record.claimedBy) return
  record.runId = ''
  record.isOpen = false
  record.endedAt = record.tick >= 0 ? record.tick : now
}

/** An answer, with what only other stores' answers are to be compared by. */
function voteOf({ kind, fingerprint }: ClaimRequest, answer: ClaimAnswer, record: ClaimRecord | undefined): ClaimVote {
  switch (answer.status) {
    case 'overlap':
      return { ...answer, by: answer.isLeft ? '' : (record?.token ?? '') }
    case 'claimed_elsewhere':
      return { ...answer, ...claimantOf(kind === 'recover' ? undefined : record, fingerprint) }
    case 'paused':
      return answer.first ? answer : { ...answer, ...claimantOf(kind === 'recover' ? undefined : record, fingerprint) }
    default:
      // A request that is to be confirmed does not wait.
      return answer as Exclude<typeof answer, { status: 'queued' | 'dropped' | 'ended' }>
  }
}

function claimantOf(
  record: ClaimRecord | undefined,
  fingerprint: ClaimRequest['fingerprint']
): { readonly by: string; readonly previous: number | null } {
  if (record === undefined) return { by: '', previous: null }
  return { by: record.claimedBy, previous: accounted(record.previous, record.fingerprint, fingerprint) }
}
