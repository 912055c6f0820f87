import type { Clock } from '../../../types/clock.js'
import type { JobStatus } from '../../../types/status.js'
import { systemClock } from '../../base/clock.js'
import { isSettledBy } from '../../base/deadline.js'
import { SECOND } from '../../base/duration.js'
import type { JobRecord } from '../../jobs/job.js'
import type { JobRegistry } from '../../jobs/registry.js'

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
}

export interface FleetNumbersOptions {
  readonly clock: Clock
  readonly jobs: JobRegistry
  readonly read: (jobs: readonly JobRecord[]) => Promise<readonly JobStatus[]>
}

/** How jobs stand in the whole fleet, as the store had it at the last scrape, or some seconds before. */
export class FleetNumbers {
  readonly #options: FleetNumbersOptions
  #known: ReadonlyMap<string, FleetJob> = new Map()
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | null = null

  constructor(options: FleetNumbersOptions) {
    this.#options = options
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
    if (known === undefined) return { expectedSuccess: null, lastSuccess: own, failures: 0, oldestStart: null }
    return own !== null && own > (known.lastSuccess ?? 0) ? { ...known, lastSuccess: own } : known
  }

  async #read(): Promise<void> {
    const { clock, jobs, read } = this.#options
    try {
      const states = await read([...jobs.values()])
      this.#known = new Map(states.map((status) => [status.id, toNumbers(status)]))
      this.#readAt = clock.monotonic()
    } catch {
      // What was known before is shown on: that the store does not answer, another metric shows.
    }
  }
}

function toNumbers({ expectedSuccess, lastSuccess, consecutiveFailures, running }: JobStatus): FleetJob {
  const oldestStart = running.length === 0 ? null : Math.min(...running.map(({ startedAt }) => startedAt))
  return { expectedSuccess, lastSuccess, failures: consecutiveFailures, oldestStart }
}
