import type { Clock } from '../../../types/clock.js'
import type { HistoryRun } from '../../../types/history.js'
import type { JobStatus } from '../../../types/status.js'
import { systemClock } from '../../base/clock.js'
import { isSettledBy } from '../../base/deadline.js'
import { SECOND } from '../../base/duration.js'
import type { JobRecord } from '../../jobs/job.js'
import type { JobRegistry } from '../../jobs/registry.js'
import { type OldestRun, UsualDurations } from './usual-durations.js'

/** How old what is known of the fleet may be at a scrape. */
const MAX_AGE = 5 * SECOND

/** How long a scrape waits for the store at most: then it shows what was known before. */
const READ_LIMIT = SECOND

/** What the metrics show of jobs in the whole fleet. Times are in milliseconds since the Unix epoch, `null` for none. */
export interface FleetJob {
  readonly expectedSuccess: number | null
  readonly lastSuccess: number | null
  readonly failures: number
  readonly oldestStart: number | null
  /** How long 95 in 100 of its successful runs take at most, in milliseconds; 0 while no run has gone on for a minute. */
  readonly usualDuration: number
}

/** Of a job of which nothing is known. */
export const NOTHING: FleetJob = Object.freeze({
  expectedSuccess: null,
  lastSuccess: null,
  failures: 0,
  oldestStart: null,
  usualDuration: 0
})

export interface FleetNumbersOptions {
  readonly clock: Clock
  readonly jobs: JobRegistry
  /** The fleet's time. */
  readonly now: () => number
  readonly read: (jobs: readonly JobRecord[]) => Promise<readonly JobStatus[]>
  /** The runs of a job that the history has. */
  readonly readRuns: (jobId: string) => Promise<readonly HistoryRun[]>
}

/** How jobs stand in the whole fleet, as the store had it at the last scrape, or some seconds before. */
export class FleetNumbers {
  readonly #options: FleetNumbersOptions
  readonly #usual: UsualDurations
  #known: ReadonlyMap<string, FleetJob> = new Map()
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | null = null

  constructor(options: FleetNumbersOptions) {
    this.#options = options
    this.#usual = new UsualDurations(options.readRuns)
  }

  /** Resolves when what is known is new enough, or the store has been waited for in vain. */
  async refresh(): Promise<void> {
    const { clock } = this.#options
    if (clock.monotonic() - this.#readAt < MAX_AGE) return
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    // By the process' own time: a scrape ends whatever clock the scheduler has.
    await isSettledBy(this.#reading, systemClock.monotonic() + READ_LIMIT, systemClock)
  }

  of({ id, stats }: JobRecord): FleetJob {
    const known = this.#known.get(id)
    // This process may have heard of a later one.
    const own = stats.lastSuccess || null
    if (known === undefined) return { ...NOTHING, lastSuccess: own }
    return own !== null && own > (known.lastSuccess ?? 0) ? { ...known, lastSuccess: own } : known
  }

  async #read(): Promise<void> {
    const { clock, jobs, now, read } = this.#options
    try {
      const states = await read([...jobs.values()])
      const oldest = states.map((status) => oldestOf(status))
      await this.#usual.refresh(
        oldest.filter((run) => run !== null),
        now()
      )
      this.#known = new Map(
        states.map((status, index) => [status.id, toNumbers(status, oldest[index] ?? null, this.#usual.of(status.id))])
      )
      this.#readAt = clock.monotonic()
    } catch {
      // What was known before is shown on: that the store does not answer, another metric shows.
    }
  }
}

function oldestOf({ id: jobId, running }: JobStatus): OldestRun | null {
  let oldest: OldestRun | null = null
  for (const { id, startedAt } of running) {
    if (oldest === null || startedAt < oldest.startedAt) oldest = { jobId, id, startedAt }
  }
  return oldest
}

function toNumbers(status: JobStatus, oldest: OldestRun | null, usualDuration: number): FleetJob {
  const { expectedSuccess, lastSuccess, consecutiveFailures: failures } = status
  return { expectedSuccess, lastSuccess, failures, oldestStart: oldest?.startedAt ?? null, usualDuration }
}
