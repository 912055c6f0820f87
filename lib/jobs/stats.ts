import type { Run, SkipReason } from '../../types/run.js'
import { NumberTable, type Row } from './number-table.js'

export const SKIP_REASONS = [
  'claimed_elsewhere',
  'overlap',
  'misfire',
  'coalesced',
  'paused',
  'redis_error',
  'condition',
  'operator',
  'shutdown'
] as const satisfies readonly SkipReason[]

/** The upper bounds of `schedule_delay_seconds`. */
export const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30] as const

// Indexes into a job's row. Those that every run writes to come first, so that they share cache lines.
const RUNNING = 0
const LAST_RUN = 1
const LAST_SUCCESS = 2
const FIRED = 3
const LOCK_ACQUIRED = 4
const LOCK_RELEASED = 5
const SUCCESS = 6
const DELAY = 7
const DELAY_WIDTH = DELAY_BUCKETS.length + 2
const FAILURE = DELAY + DELAY_WIDTH
const MISSED = FAILURE + 1
const RETRIES = FAILURE + 2
const LOCK_FAILED_HELD = FAILURE + 3
const LOCK_FAILED_ERROR = FAILURE + 4
const LOCK_EXTENDED = FAILURE + 5
const LOCK_LOST = FAILURE + 6
const SKIPPED = FAILURE + 7
const DURATIONS = SKIPPED + SKIP_REASONS.length

/** A job's counters; the values are indexes into its row. */
export const COUNTER = {
  fired: FIRED,
  success: SUCCESS,
  failure: FAILURE,
  missed: MISSED,
  retries: RETRIES,
  lockAcquired: LOCK_ACQUIRED,
  lockFailedHeld: LOCK_FAILED_HELD,
  lockFailedError: LOCK_FAILED_ERROR,
  lockReleased: LOCK_RELEASED,
  lockExtended: LOCK_EXTENDED,
  lockLost: LOCK_LOST
} as const

/** The counters of ticks without a run, by reason; the values are indexes into a job's row. */
export const SKIPPED_COUNTER = Object.fromEntries(
  SKIP_REASONS.map((reason, index) => [reason, SKIPPED + index])
) as Readonly<Record<SkipReason, number>>

/** What is recorded of a run when it starts. */
export type StartedRun = Pick<Run, 'scheduledTime' | 'startedAt'> & Partial<Pick<Run, 'trigger'>>

/** The present state of a histogram. */
export interface Histogram {
  /** The buckets' upper bounds. */
  readonly bounds: readonly number[]
  /** How many values fell into each bucket, and last how many above all bounds; not cumulative. */
  readonly counts: Float64Array
  readonly sum: number
  readonly count: number
}

/**
 * What users see of a job's runs in this process: how many are active, and when the last ones were. It counts nothing,
 * for schedulers without metrics.
 */
export class JobStats {
  protected readonly numbers: Float64Array
  protected readonly at: number

  constructor({ numbers, at }: Row) {
    this.numbers = numbers
    this.at = at
  }

  /** The number of active runs. */
  get running(): number {
    return this.numbers[this.at + RUNNING] as number
  }

  /** When the last run began, in milliseconds since the Unix epoch; 0 before the first. */
  get lastRun(): number {
    return this.numbers[this.at + LAST_RUN] as number
  }

  /** When the last successful run ended, in milliseconds since the Unix epoch; 0 before the first. */
  get lastSuccess(): number {
    return this.numbers[this.at + LAST_SUCCESS] as number
  }

  /**
   * Records that a run has started.
   *
   * @param _jitter by how much later than its scheduled time it was to start at most, in milliseconds
   */
  started(run: StartedRun, _jitter = 0): void {
    const { numbers, at } = this
    numbers[at + RUNNING]!++
    numbers[at + LAST_RUN] = run.startedAt
  }

  /** Records that a run's handler has ended, or is not waited for any more. */
  ended(): void {
    this.numbers[this.at + RUNNING]!--
  }

  /** @param _duration of the handler, in milliseconds */
  succeeded(finishedAt: number, _duration: number): void {
    this.numbers[this.at + LAST_SUCCESS] = finishedAt
  }

  /** @param _duration of the handler, in milliseconds */
  failed(_duration: number): void {}

  /** @param _counter of `COUNTER` or `SKIPPED_COUNTER` */
  count(_counter: number, _by = 1): void {}

  /** Sets all counters and histograms to 0; `running`, `lastRun` and `lastSuccess` stay. */
  reset(): void {}
}

/**
 * All that happened to one job in this process, in plain numbers. A run writes nothing else: labels and series are made
 * when somebody scrapes them.
 */
export class CountedStats extends JobStats {
  readonly #bounds: readonly number[]

  /** @param bounds of the duration histograms, in seconds */
  constructor(row: Row, bounds: readonly number[]) {
    super(row)
    this.#bounds = bounds
  }

  /** The handlers' durations in successful runs, in seconds. */
  get durationSuccess(): Histogram {
    return this.#histogram(DURATIONS, this.#bounds)
  }

  /** The handlers' durations in runs with any other outcome, in seconds. */
  get durationFailure(): Histogram {
    return this.#histogram(failuresAt(this.#bounds), this.#bounds)
  }

  /** How long after their scheduled time and the job's jitter runs started, in seconds. */
  get delay(): Histogram {
    return this.#histogram(DELAY, DELAY_BUCKETS)
  }

  /** @param counter of `COUNTER` or `SKIPPED_COUNTER` */
  get(counter: number): number {
    return this.numbers[this.at + counter] as number
  }

  override started(run: StartedRun, jitter = 0): void {
    super.started(run)
    this.numbers[this.at + FIRED]!++
    // One by hand may be of a tick of long ago.
    const delay = run.trigger === 'manual' ? 0 : Math.max(0, run.startedAt - run.scheduledTime - jitter)
    this.#observe(DELAY, DELAY_BUCKETS, delay / 1000)
  }

  /** Records a started run of any job; a run that started later may have been recorded before it. */
  startedOutOfOrder(run: StartedRun, jitter: number): void {
    const before = this.lastRun
    this.started(run, jitter)
    if (before > run.startedAt) this.numbers[this.at + LAST_RUN] = before
  }

  override succeeded(finishedAt: number, duration: number): void {
    super.succeeded(finishedAt, duration)
    this.numbers[this.at + SUCCESS]!++
    this.#observe(DURATIONS, this.#bounds, duration / 1000)
  }

  override failed(duration: number): void {
    this.numbers[this.at + FAILURE]!++
    this.#observe(failuresAt(this.#bounds), this.#bounds, duration / 1000)
  }

  override count(counter: number, by = 1): void {
    this.numbers[this.at + counter]! += by
  }

  override reset(): void {
    this.numbers.fill(0, this.at + FIRED, this.at + widthOf(this.#bounds))
  }

  // A histogram's numbers are the sum of its values, the count of each bucket, and the count above all bounds.

  #observe(histogram: number, bounds: readonly number[], value: number): void {
    const { numbers } = this
    const sum = this.at + histogram
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    numbers[sum]! += value
    numbers[sum + 1 + bucket]!++
  }

  #histogram(place: number, bounds: readonly number[]): Histogram {
    const sum = this.at + place
    const counts = this.numbers.subarray(sum + 1, sum + 2 + bounds.length)
    return { bounds, counts, sum: this.numbers[sum] as number, count: counts.reduce((all, count) => all + count, 0) }
  }
}

/**
 * One job's statistics when all jobs are counted together: only what users see is kept for each job. The total includes
 * removed jobs, and runs that end after their job was removed.
 */
export class SharedStats extends JobStats {
  readonly #total: CountedStats

  constructor(row: Row, total: CountedStats) {
    super(row)
    this.#total = total
  }

  override started(run: StartedRun, jitter = 0): void {
    super.started(run)
    this.#total.startedOutOfOrder(run, jitter)
  }

  override ended(): void {
    super.ended()
    this.#total.ended()
  }

  override succeeded(finishedAt: number, duration: number): void {
    super.succeeded(finishedAt, duration)
    this.#total.succeeded(Math.max(finishedAt, this.#total.lastSuccess), duration)
  }

  override failed(duration: number): void {
    this.#total.failed(duration)
  }

  override count(counter: number, by = 1): void {
    this.#total.count(counter, by)
  }
}

/** The index of the histogram of failed runs' durations, which follows that of successful runs. */
function failuresAt(bounds: readonly number[]): number {
  return DURATIONS + bounds.length + 2
}

/** The length of a row with duration histograms of these bounds. */
function widthOf(bounds: readonly number[]): number {
  return DURATIONS + 2 * (bounds.length + 2)
}

export interface Stats {
  /** Makes the statistics of a new job. */
  newStats(): JobStats
  /** The statistics of all jobs together; `null` when each job has its own, or nothing is counted. */
  readonly total: CountedStats | null
}

/**
 * @param bounds of the duration histograms, in seconds; `null` to count nothing
 * @param perJob whether to count for each job, or for all jobs together
 */
export function createStats(bounds: readonly number[] | null, perJob: boolean): Stats {
  const table = new NumberTable(bounds !== null && perJob ? widthOf(bounds) : FIRED)
  if (bounds === null) return { newStats: () => new JobStats(table.row()), total: null }
  if (perJob) return { newStats: () => new CountedStats(table.row(), bounds), total: null }
  const total = new CountedStats(new NumberTable(widthOf(bounds)).row(), bounds)
  return { newStats: () => new SharedStats(table.row(), total), total }
}
