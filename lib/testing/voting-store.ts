import type { OpenRun } from '../../types/coordination.js'
import { MemoryOpenRuns } from '../coordination/memory/open-runs.js'
import type { ClaimRecord, Moment } from '../coordination/memory/record.js'
import { MemoryStore } from '../coordination/memory/store.js'

/** A claim that no majority is known to have granted. */
interface UnconfirmedClaim {
  readonly runId: string
  /** The attempt that its run has once it is confirmed: until then nobody is to take it over. */
  attempt: number
}

/** What replicas share of a simulated Redis, whose claims may be votes: these are unconfirmed until they are confirmed. */
export class VotingStore extends MemoryStore {
  override readonly openRuns = new VotingOpenRuns(this)
  readonly #unconfirmed = new WeakMap<ClaimRecord, UnconfirmedClaim>()

  /** Whether a job's last claim is not confirmed. */
  isUnconfirmed(record: ClaimRecord): boolean {
    return record.claimedBy !== '' && this.#unconfirmed.get(record)?.runId === record.claimedBy
  }

  /** A job's last claim is a vote. */
  noteVote(record: ClaimRecord): void {
    this.#unconfirmed.set(record, { runId: record.claimedBy, attempt: 0 })
  }

  /** The run of an unconfirmed claim was granted: nobody takes it over, as it has not begun. */
  withholdAttempt(record: ClaimRecord): void {
    const claim = this.#unconfirmed.get(record)
    if (claim === undefined) return
    claim.attempt = record.attempt
    record.attempt = 0
  }

  /** A job's last claim is confirmed. */
  confirm(record: ClaimRecord): void {
    if (!this.isUnconfirmed(record)) return
    if (record.runId === record.claimedBy) record.attempt = this.#unconfirmed.get(record)?.attempt ?? 0
    this.#unconfirmed.delete(record)
  }
}

class VotingOpenRuns extends MemoryOpenRuns {
  readonly #store: VotingStore

  constructor(store: VotingStore) {
    super(store.jobs, store.queues)
    this.#store = store
  }

  override findAbandoned(moment: Moment): OpenRun[] {
    return super.findAbandoned(moment).filter(({ runId, jobId }) => {
      const record = this.#store.jobs.get(jobId)
      // The run of a claim that is not confirmed has not begun.
      return record === undefined || record.claimedBy !== runId || !this.#store.isUnconfirmed(record)
    })
  }

  /** Takes back what a call has recorded. */
  reopen(run: OpenRun, callId: string): void {
    if (this.abandoned.get(run.runId) !== callId) return
    this.abandoned.delete(run.runId)
    const record = this.#store.jobs.get(run.jobId)
    if (record?.runId === run.runId) record.isOpen = true
    else this.replaced.set(run.runId, run)
  }
}
