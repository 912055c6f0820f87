import type { HistoryRun } from '../../../types/history.js'
import { MINUTE } from '../../base/duration.js'

/** How long a run has gone on before it is asked what is usual: most runs never do, so that the history is seldom read. */
const LONG = MINUTE

/** How many jobs' histories are read for one scrape at most: the turn of others comes with the next. */
const MOST_READ = 20

/** The run of a job that has gone on for longest. */
export interface OldestRun {
  readonly jobId: string
  readonly id: string
  /** In milliseconds since the Unix epoch. */
  readonly startedAt: number
}

/** How long the runs of those jobs usually take of which one has gone on for long: what the history says. */
export class UsualDurations {
  readonly #read: (jobId: string) => Promise<readonly HistoryRun[]>
  /** Of each of these jobs, with the run that has gone on for long when it was read. */
  #known: ReadonlyMap<string, { readonly runId: string; readonly p95: number }> = new Map()

  /** @param read the runs of a job that the history has */
  constructor(read: (jobId: string) => Promise<readonly HistoryRun[]>) {
    this.#read = read
  }

  /** Reads what is not known of these jobs, once for each run, and forgets the others. @param now as `startedAt` */
  async refresh(oldest: readonly OldestRun[], now: number): Promise<void> {
    const long = oldest.filter(({ startedAt }) => now - startedAt >= LONG)
    const known = new Map(
      long.flatMap(({ jobId, id }) => {
        const before = this.#known.get(jobId)
        return before?.runId === id ? [[jobId, before]] : []
      })
    )
    const unknown = long.filter(({ jobId }) => !known.has(jobId)).sort((a, b) => a.startedAt - b.startedAt)
    await Promise.all(
      unknown.slice(0, MOST_READ).map(async ({ jobId, id }) => {
        try {
          known.set(jobId, { runId: id, p95: p95Of(await this.#read(jobId)) })
        } catch {
          // It is read again at the next scrape.
        }
      })
    )
    this.#known = known
  }

  /** The 95th percentile of the durations of a job's successful runs, in milliseconds; 0 while it is not known. */
  of(jobId: string): number {
    return this.#known.get(jobId)?.p95 ?? 0
  }
}

/** The shortest duration that 95 in 100 successful runs did not exceed; 0 without any. */
function p95Of(runs: readonly HistoryRun[]): number {
  const durations = runs.flatMap(({ outcome, duration }) => (outcome === 'success' ? [duration ?? 0] : []))
  durations.sort((a, b) => a - b)
  return durations[Math.ceil(durations.length * 0.95) - 1] ?? 0
}
