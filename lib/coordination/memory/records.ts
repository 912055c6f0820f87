import type {
  HistoryFact,
  OngoingRun,
  Records,
  ReplicaReport,
  RunReport,
  SeenReplica,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail
} from '../../../types/coordination.js'
import type { HistoryRun, RunProgress } from '../../../types/history.js'
import { forgottenUntil } from '../history-rules.js'
import { isHeldBy, type Moment, type SlotRecord } from './record.js'
import type { MemoryStore } from './store.js'

/** What became of ticks, and how jobs and replicas stand, in memory. */
export class MemoryRecords implements Records {
  readonly #store: MemoryStore
  /** As it has said. */
  #replicaId: string | null = null
  readonly #moment: () => Moment
  /** The facts of the last call, should it be repeated as its reply was lost. */
  #lastFacts: readonly HistoryFact[] | null = null

  constructor(store: MemoryStore, moment: () => Moment) {
    this.#store = store
    this.#moment = moment
  }

  async note(facts: readonly HistoryFact[]): Promise<boolean> {
    if (facts === this.#lastFacts) return true
    this.#lastFacts = facts
    const { history } = this.#store
    const { now } = this.#moment()
    for (const fact of facts) {
      if (fact.kind === 'ticks') history.addTicks(fact.ticks, now)
      else this.#noteRun(fact.jobId, fact.report, now)
    }
    return true
  }

  async readHistory(jobId: string): Promise<StoredHistory> {
    const { history, jobs, since, queues } = this.#store
    const moment = this.#moment()
    const tick = jobs.get(jobId)?.tick ?? -1
    const entries = history.entriesOf(jobId)
    const ticks = history.ticksOf(jobId, moment.now)
    return {
      runs: history.runsIn(entries, moment.now),
      ticks,
      forgottenUntil: forgottenUntil(entries, ticks, history.bounds, moment.now),
      ongoing: this.#ongoing(jobId, moment),
      claimedUntil: tick < 0 ? null : tick,
      since: since.timeOf(jobId),
      waiting: queues.tickOf(jobId)?.scheduledTime ?? null,
      unreadable: 0
    }
  }

  async readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    const { history } = this.#store
    const { now } = this.#moment()
    return jobIds.map((jobId) => ({
      runs: history.runsIn(history.entriesOf(jobId, count), now).map(shortRun),
      ticks: history.ticksOf(jobId, now, count)
    }))
  }

  async readStatus(jobs: readonly StatusRequest[]): Promise<readonly StoredStatus[]> {
    const moment = this.#moment()
    return jobs.map((job) => this.#statusOf(job, moment))
  }

  async writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    for (const [runId, each] of progress) {
      if (each === null) this.#store.progress.delete(runId)
      else this.#store.progress.set(runId, each)
    }
    return true
  }

  async beat(report: ReplicaReport | null): Promise<void> {
    const { replicas } = this.#store
    if (this.#replicaId !== null) replicas.delete(this.#replicaId)
    this.#replicaId = report?.replicaId ?? null
    if (report !== null) replicas.set(report.replicaId, { ...report, seenAt: this.#moment().now })
  }

  async readReplicas(): Promise<readonly SeenReplica[]> {
    return [...this.#store.replicas.values()]
  }

  #noteRun(jobId: string, report: RunReport, now: number): void {
    const { history } = this.#store
    const kept = history.of(jobId, now)
    history.noteEnd(kept, report, now)
    history.addReport(kept, report)
  }

  #statusOf({ jobId, group }: StatusRequest, moment: Moment): StoredStatus {
    const { history, jobs, pauses, since } = this.#store
    const resumedAt = pauses.resumedAt(jobId, group, moment.now)
    const record = jobs.get(jobId)
    const ended = history.find(jobId)
    const hasRun = record !== undefined && record.startedAt > 0
    return {
      last: hasRun ? { ...runOf(record), runId: record.lastRunId } : null,
      lastEnd: hasRun && record.endedAt > 0 ? record.endedAt : null,
      lastSuccess: ended?.lastSuccess ?? null,
      failures: ended?.failures ?? 0,
      firstEnd: ended?.firstEnd ?? null,
      longest: ended?.longest ?? 0,
      ongoing: this.#ongoing(jobId, moment),
      since: since.timeOf(jobId),
      resumedAt: Number.isFinite(resumedAt) ? resumedAt : null
    }
  }

  #ongoing(jobId: string, { monotonic }: Moment): OngoingRun[] {
    const { jobs, openRuns, progress } = this.#store
    const record = jobs.get(jobId)
    const slots = record === undefined ? [] : [record, ...(record.slots?.values() ?? [])]
    const runs: OngoingRun[] = slots
      // One whose outcome was told while its handler goes on has its lock.
      .filter((slot) => slot.isOpen || (slot.runId !== '' && isHeldBy(slot, slot.runId, monotonic)))
      .map((slot) => {
        const lockTtl = isHeldBy(slot, slot.runId, monotonic) ? slot.expiresAt - monotonic : null
        return { ...runOf(slot), lockTtl, progress: progress.get(slot.runId) ?? null }
      })
    for (const run of openRuns.replacedOf(jobId)) {
      const { jobId: _, lockedUntil: __, ...lost } = run
      const { runId } = run
      runs.push({ ...lost, attempt: Math.max(1, run.attempt), lockTtl: null, progress: progress.get(runId) ?? null })
    }
    return runs
  }
}

/** A run without what is long. */
function shortRun(run: HistoryRun): HistoryRun {
  const { error } = run
  const short = { ...run, attempts: [], progress: null, result: null, log: [] }
  return {
    ...short,
    error: error === null ? null : { name: error.name, message: error.message.slice(0, 300), stack: null }
  }
}

function runOf(slot: SlotRecord): Omit<OngoingRun, 'lockTtl' | 'progress'> {
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, slot: number, by } = slot
  const run = { runId, replicaId, fencingToken, scheduledTime, startedAt, attempt: Math.max(1, attempt), slot: number }
  return by === '' ? run : { ...run, by }
}
