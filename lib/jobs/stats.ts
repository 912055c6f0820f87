import type { Run, SkipReason } from '../../types/run.js'
import { NumberTable, type Row } from './number-table.js'

export const SKIP_REASONS = [
  'claimed_elsewhere',
  'overlap',
  'misfire',
  'coalesced',
  'paused',
  'redis_error',
  'shutdown'
] as const satisfies readonly SkipReason[]

/** The upper bounds of `schedule_delay_seconds`. */
export const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30] as const

// The places in a job's row. What each run writes to comes first, so that it lies together.
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

/** What is counted of a job; the values are places in its row. */
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

/** As `COUNTER`: the ticks without a run, by reason. */
export const SKIPPED_COUNTER = Object.fromEntries(
  SKIP_REASONS.map((reason, index) => [reason, SKIPPED + index])
) as Readonly<Record<SkipReason, number>>

/** What is counted of a run as it begins. */
export type BegunRun = Pick<Run, 'scheduledTime' | 'startedAt'>

/** A histogram as it stands. */
export interface Histogram {
  /** The buckets' upper bounds. */
  readonly bounds: readonly number[]
  /** How many values were in each bucket, and above all; not cumulative. */
  readonly counts: Float64Array
  readonly sum: number
  readonly count: number
}

/**
 * What users see of a job's runs in this process: how many go on, and when the last ones were. Nothing is counted, for
 * schedulers without metrics.
 */
export class JobStats {
  protected readonly numbers: Float64Array
  protected readonly at: number

  constructor({ numbers, at }: Row) {
    this.numbers = numbers
    this.at = at
  }

  /** Runs that go on. */
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

  /** A run begins. */
  started(run: BegunRun): void {
    const { numbers, at } = this
    numbers[at + RUNNING]!++
    numbers[at + LAST_RUN] = run.startedAt
  }

  /** A run's handler is done, or is not waited for any more. */
  settled(): void {
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

  /** Sets all that is counted to 0; what is measured stays. */
  reset(): void {}
}

/**
 * All that happened to one job in this process, in plain numbers. A run touches nothing else: labels and series are made
 * when somebody scrapes them.
 */
export class CountedStats extends JobStats {
  readonly #bounds: readonly number[]

  /** @param bounds of the histograms of durations, in seconds */
  constructor(row: Row, bounds: readonly number[]) {
    super(row)
    this.#bounds = bounds
  }

  /** The handlers' durations in seconds, of successful runs. */
  get durationSuccess(): Histogram {
    return this.#histogram(DURATIONS, this.#bounds)
  }

  /** The handlers' durations in seconds, of runs with any other outcome. */
  get durationFailure(): Histogram {
    return this.#histogram(failuresAt(this.#bounds), this.#bounds)
  }

  /** How long after their scheduled time runs began, in seconds. */
  get delay(): Histogram {
    return this.#histogram(DELAY, DELAY_BUCKETS)
  }

  /** @param counter of `COUNTER` or `SKIPPED_COUNTER` */
  get(counter: number): number {
    return this.numbers[this.at + counter] as number
  }

  override started(run: BegunRun): void {
    super.started(run)
    this.numbers[this.at + FIRED]!++
    this.#observe(DELAY, DELAY_BUCKETS, Math.max(0, run.startedAt - run.scheduledTime) / 1000)
  }

  /** As `started`, of whichever job: another's run may have begun later, and be told of before. */
  startedOfAny(run: BegunRun): void {
    const before = this.lastRun
    this.started(run)
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

  // A histogram's place has the sum of its values, then how many were in each bucket, and how many above all.

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
 * One job's numbers where all jobs are counted together: its own are those that users see of it. The total never
 * forgets a job that was removed, nor a run that ends after that.
 */
export class SharedStats extends JobStats {
  readonly #total: CountedStats

  constructor(row: Row, total: CountedStats) {
    super(row)
    this.#total = total
  }

  override started(run: BegunRun): void {
    super.started(run)
    this.#total.startedOfAny(run)
  }

  override settled(): void {
    super.settled()
    this.#total.settled()
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

/** Where the durations of runs that failed are: behind those of the others, with their sum and the count above all bounds. */
function failuresAt(bounds: readonly number[]): number {
  return DURATIONS + bounds.length + 2
}

/** How many numbers are counted of a job with histograms of these bounds, with those that are its own. */
function widthOf(bounds: readonly number[]): number {
  return DURATIONS + 2 * (bounds.length + 2)
}

export interface Stats {
  /** Makes the numbers of a job that is added. */
  newStats(): JobStats
  /** The numbers of all jobs together; `null` where each job has its own, or nothing is counted. */
  readonly total: CountedStats | null
}

/**
 * @param bounds of the histograms of durations, in seconds; `null` when nothing is to be counted
 * @param perJob whether each job has its own numbers
 */
export function createStats(bounds: readonly number[] | null, perJob: boolean): Stats {
  const table = new NumberTable(bounds !== null && perJob ? widthOf(bounds) : FIRED)
  if (bounds === null) return { newStats: () => new JobStats(table.row()), total: null }
  if (perJob) return { newStats: () => new CountedStats(table.row(), bounds), total: null }
  const total = new CountedStats(new NumberTable(widthOf(bounds)).row(), bounds)
  return { newStats: () => new SharedStats(table.row(), total), total }
}
