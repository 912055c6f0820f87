import type { AbandonVote } from '../../../types/coordination/node.js'
import type { OpenRun } from '../../../types/coordination.js'
import { isOverdue, MAX_ATTEMPTS } from '../claim-rules.js'
import { entryOf, type Queues, type WaitingEntry } from './queues.js'
import { type ClaimRecord, isHeldBy, type Moment, openRunOf, type SlotRecord } from './record.js'
import { endSlot } from './slots.js'

/** Of how many runs it is remembered that they were abandoned, should their replicas come back. */
const MAX_ABANDONED = 10_000

/** Runs that have begun and whose end nobody has recorded: the last one of each slot stands in it, the others here. */
export class MemoryOpenRuns {
  /** Runs that have lost their locks, and are not the last ones of their slots any more. */
  protected readonly replaced = new Map<string, OpenRun>()
  /** Runs that were recorded as abandoned, with the call that did so. */
  protected readonly abandoned = new Map<string, string>()
  readonly #jobs: ReadonlyMap<string, ClaimRecord>
  readonly #queues: Queues
  /** What replaced runs were for that nobody has taken over. */
  readonly #replacedEntries = new Map<string, WaitingEntry>()

  constructor(jobs: ReadonlyMap<string, ClaimRecord>, queues: Queues) {
    this.#jobs = jobs
    this.#queues = queues
  }

  /** Another run takes the place of a slot's last one. @param isTakenOver whether it is for the same request */
  noteReplaced(run: SlotRecord, jobId: string, moment: Moment, isTakenOver = false): void {
    if (!run.isOpen) return
    this.replaced.set(run.runId, openRunOf(run, jobId, moment))
    if (!isTakenOver) this.#replacedEntries.set(run.runId, entryOf(run))
  }

  /** What a replaced run was for, which has not begun; `null` where that is over, taken over, or recorded as abandoned. */
  takeReplaced(runId: string): WaitingEntry | null {
    const entry = this.#replacedEntries.get(runId)
    if (entry === undefined) return null
    this.#replacedEntries.delete(runId)
    this.replaced.delete(runId)
    return entry
  }

  /** Whether a run stands open whose slot has another one by now. */
  isReplaced(runId: string): boolean {
    return this.replaced.has(runId)
  }

  /** The runs of a job that stand open whose slots have others by now. */
  replacedOf(jobId: string): OpenRun[] {
    return this.replaced.size === 0 ? [] : [...this.replaced.values()].filter((run) => run.jobId === jobId)
  }

  /**
   * The end of a run is known.
   *
   * @returns whether it was recorded as abandoned before
   */
  noteEnd(runId: string): boolean {
    if (this.replaced.size > 0 && this.replaced.delete(runId)) this.#forgetReplaced(runId)
    return this.abandoned.size > 0 && this.abandoned.has(runId)
  }

  /** Runs whose lock has ended some seconds ago. */
  findAbandoned(moment: Moment): OpenRun[] {
    const found: OpenRun[] = []
    for (const run of this.replaced.values()) if (isOverdue(run.lockedUntil, moment.now)) found.push(run)
    const note = (run: SlotRecord, jobId: string): void => {
      if (run.isOpen && isOverdue(run.expiresAt, moment.monotonic)) found.push(openRunOf(run, jobId, moment))
    }
    this.#jobs.forEach((record, jobId) => {
      note(record, jobId)
      if (record.slots !== null) for (const slot of record.slots.values()) note(slot, jobId)
    })
    return found
  }

  /** Whether a run was recorded as abandoned. */
  isAbandoned(runId: string): boolean {
    return this.abandoned.size > 0 && this.abandoned.has(runId)
  }

  /** Records a run as abandoned, by a call. */
  abandon({ runId, jobId, slot }: OpenRun, callId: string, monotonic: number): Exclude<AbandonVote, 'unavailable'> {
    const by = this.abandoned.get(runId)
    if (by !== undefined) return by === callId ? 'recorded' : 'elsewhere'
    const record = this.#jobs.get(jobId)
    const run = slot === 1 ? record : record?.slots?.get(slot)
    const isLast = run?.runId === runId && run.isOpen
    if (isLast && isHeldBy(run, runId, monotonic)) return 'held'
    if (isLast) {
      run.isOpen = false
      // Nobody will end it, or take it over.
      if (run.attempt === 0 || run.attempt >= MAX_ATTEMPTS) this.#queues.forgetRequest(run.requestId)
    } else if (!this.replaced.delete(runId)) {
      return 'closed'
    } else {
      this.#forgetReplaced(runId)
    }
    if (isLast && slot > 1 && run.attempt === 0 && record !== undefined) endSlot(record, run)
    this.abandoned.set(runId, callId)
    if (this.abandoned.size > MAX_ABANDONED) this.abandoned.delete(this.abandoned.keys().next().value as string)
    return 'recorded'
  }

  #forgetReplaced(runId: string): void {
    const entry = this.#replacedEntries.get(runId)
    if (entry?.kind === 'request') this.#queues.forgetRequest(entry.id)
    this.#replacedEntries.delete(runId)
  }
}
