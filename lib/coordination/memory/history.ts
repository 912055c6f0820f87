import type { HistoryBounds, RunReport, TickFact } from '../../../types/coordination.js'
import type { HistoryRun, HistoryTicks } from '../../../types/history.js'
import { DAY } from '../../base/duration.js'
import { MAX_RANGES, onePerRun } from '../history-rules.js'
import { KeptRuns } from './kept-runs.js'

/** How often jobs are looked through whose history is too old. */
const SWEEP_AFTER = 1000

/** What is kept of a job. */
export interface JobHistory {
  readonly runs: KeptRuns
  /** By their first ticks. */
  readonly ticks: TickFact[]
  /** How its runs have ended: see `StoredStatus`. */
  lastSuccess: number | null
  failures: number
  longest: number
  firstEnd: number | null
  lastEnd: number
}

/** What became of ticks, in memory. */
export class MemoryHistory {
  bounds: HistoryBounds = { runs: 100, retention: 7 * DAY }
  readonly #jobs = new Map<string, JobHistory>()
  #untilSweep = SWEEP_AFTER

  /** What is kept of a job, from now on. */
  of(jobId: string, now: number): JobHistory {
    let history = this.#jobs.get(jobId)
    if (history === undefined) {
      this.#sweep(now)
      history = {
        runs: new KeptRuns(),
        ticks: [],
        lastSuccess: null,
        failures: 0,
        longest: 0,
        firstEnd: null,
        lastEnd: 0
      }
      this.#jobs.set(jobId, history)
    }
    return history
  }

  /** What is kept of a job; `undefined` for nothing. */
  find(jobId: string): JobHistory | undefined {
    return this.#jobs.get(jobId)
  }

  /** The outcome of a run is known, and counts. */
  noteEnd(history: JobHistory, { outcome, duration }: Pick<RunReport, 'outcome' | 'duration'>, now: number): void {
    history.firstEnd ??= now
    history.lastEnd = now
    if (outcome === 'success') {
      history.lastSuccess = now
      history.failures = 0
      if (duration > history.longest) history.longest = duration
    } else {
      history.failures++
    }
  }

  /** Keeps what became of a run. */
  addRun({ runs }: JobHistory, run: HistoryRun): void {
    runs.add(run, this.bounds.runs)
  }

  /** Keeps what became of a run, as it is told of at its end. */
  addReport({ runs }: JobHistory, report: RunReport): void {
    const { plainRun = null } = report
    if (plainRun !== null && runs.addPlain(plainRun, report.duration, this.bounds.runs)) return
    const { entry } = report
    if (entry !== null) runs.add(entry, this.bounds.runs)
  }

  /** Ticks that follow upon others with the same reason are one range with them; those that were told before change nothing. */
  addTicks(fact: TickFact, now: number): void {
    const { ticks } = this.of(fact.jobId, now)
    let place = ticks.length
    while (place > 0 && (ticks[place - 1] as TickFact).first > fact.first) place--
    const before = ticks[place - 1]
    if (before !== undefined && before.last >= fact.last) return
    let range = fact
    let start = place
    let end = place
    if (before !== undefined && before.next === fact.first && before.reason === fact.reason) {
      range = { ...range, first: before.first, count: before.count + range.count }
      start--
    }
    const after = ticks[place]
    if (after !== undefined && after.first === range.next && after.reason === range.reason) {
      range = { ...range, last: after.last, next: after.next, count: range.count + after.count }
      end++
    }
    ticks.splice(start, end - start, range)
    if (ticks.length > MAX_RANGES) ticks.shift()
  }

  /** What is kept of a job's runs, the last that was told first. */
  entriesOf(jobId: string, count?: number): HistoryRun[] {
    return this.#jobs.get(jobId)?.runs.read(jobId, count) ?? []
  }

  /** The runs of such entries that are not too old, the newest first. */
  runsIn(entries: readonly HistoryRun[], now: number): HistoryRun[] {
    const oldest = now - this.bounds.retention
    return onePerRun(entries).filter(({ finishedAt }) => (finishedAt ?? now) >= oldest)
  }

  /** The newest first. */
  ticksOf(jobId: string, now: number, count = MAX_RANGES): HistoryTicks[] {
    const { ticks = [] } = this.#jobs.get(jobId) ?? {}
    const oldest = now - this.bounds.retention
    const kept = ticks.slice(-count).filter(({ last }) => last >= oldest)
    return kept.reverse().map(({ next: _next, ...range }) => ({ kind: 'ticks', ...range }))
  }

  /** Forgets jobs that have come and gone. */
  #sweep(now: number): void {
    if (--this.#untilSweep > 0) return
    const oldest = now - this.bounds.retention
    for (const [jobId, { lastEnd, ticks }] of this.#jobs) {
      const last = Math.max(lastEnd, ticks.at(-1)?.at ?? 0)
      if (last >= oldest) continue
      this.#jobs.delete(jobId)
    }
    this.#untilSweep = Math.max(SWEEP_AFTER, this.#jobs.size)
  }
}
