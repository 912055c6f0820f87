import type { AbandonVote } from '../../../types/coordination/node.js'
import type { OpenRun } from '../../../types/coordination.js'
import { isOverdue } from '../claim-rules.js'
import { type ClaimRecord, isHeldBy, type Moment, openRunOf } from './record.js'

/** Of how many runs it is remembered that they were abandoned, should their replicas come back. */
const MAX_ABANDONED = 10_000

/** Runs that have begun and whose end nobody has recorded: each job's last one stands in its record, the others here. */
export class MemoryOpenRuns {
  /** Runs that have lost their locks, and are not their jobs' last ones any more. */
  protected readonly replaced = new Map<string, OpenRun>()
  /** Runs that were recorded as abandoned, with the call that did so. */
  protected readonly abandoned = new Map<string, string>()
  readonly #jobs: ReadonlyMap<string, ClaimRecord>

  constructor(jobs: ReadonlyMap<string, ClaimRecord>) {
    this.#jobs = jobs
  }

  /** Another run takes the place of a job's last one. */
  noteReplaced(record: ClaimRecord, jobId: string, moment: Moment): void {
    if (record.isOpen) this.replaced.set(record.runId, openRunOf(record, jobId, moment))
  }

  /**
   * The end of a run is known.
   *
   * @returns whether it was recorded as abandoned before
   */
  noteEnd(runId: string): boolean {
    if (this.replaced.size > 0) this.replaced.delete(runId)
    return this.abandoned.size > 0 && this.abandoned.has(runId)
  }

  /** Runs whose lock has ended some seconds ago. */
  findAbandoned(moment: Moment): OpenRun[] {
    const found: OpenRun[] = []
    for (const run of this.replaced.values()) if (isOverdue(run.lockedUntil, moment.now)) found.push(run)
    this.#jobs.forEach((record, jobId) => {
      if (record.isOpen && isOverdue(record.expiresAt, moment.monotonic)) found.push(openRunOf(record, jobId, moment))
    })
    return found
  }

  /** Records a run as abandoned, by a call. */
  abandon({ runId, jobId }: OpenRun, callId: string, monotonic: number): Exclude<AbandonVote, 'unavailable'> {
    const by = this.abandoned.get(runId)
    if (by !== undefined) return by === callId ? 'recorded' : 'elsewhere'
    const record = this.#jobs.get(jobId)
    const isLast = record?.runId === runId && record.isOpen
    if (isLast && isHeldBy(record, runId, monotonic)) return 'held'
    if (isLast) record.isOpen = false
    else if (!this.replaced.delete(runId)) return 'closed'
    this.abandoned.set(runId, callId)
    if (this.abandoned.size > MAX_ABANDONED) this.abandoned.delete(this.abandoned.keys().next().value as string)
    return 'recorded'
  }
}
