import type { SkipReason } from '../../types/run.js'

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

/** A histogram's numbers: one count per bucket and one above all, not cumulative. */
export class HistogramStats {
  readonly bounds: readonly number[]
  sum = 0
  count = 0
  /** `null` before the first value: most jobs never fail. */
  #counts: number[] | null = null

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
  }

  /** How many values were in a bucket; the one above all bounds is `bounds.length`. */
  countOf(bucket: number): number {
    return this.#counts?.[bucket] ?? 0
  }

  observe(value: number): void {
    const { bounds } = this
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    this.#counts ??= new Array<number>(bounds.length + 1).fill(0)
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.sum += value
    this.count++
  }

  reset(): void {
    this.#counts = null
    this.sum = 0
    this.count = 0
  }
}

/**
 * What happened to one job in this process, in plain numbers. A run touches nothing else: labels and series are made
 * when somebody scrapes them.
 */
export class JobStats {
  fired = 0
  success = 0
  failure = 0
  missed = 0
  retries = 0
  lockAcquired = 0
  lockFailedHeld = 0
  lockFailedError = 0
  lockReleased = 0
  lockExtended = 0
  lockLost = 0
  readonly skipped: Record<SkipReason, number> = {
    claimed_elsewhere: 0,
    overlap: 0,
    misfire: 0,
    coalesced: 0,
    paused: 0,
    redis_error: 0,
    shutdown: 0
  }
  readonly durationSuccess: HistogramStats
  readonly durationFailure: HistogramStats
  readonly delay = new HistogramStats(DELAY_BUCKETS)
  running = 0
  /** Milliseconds since the Unix epoch, 0 before the first. */
  lastRun = 0
  lastSuccess = 0

  constructor(durationBuckets: readonly number[]) {
    this.durationSuccess = new HistogramStats(durationBuckets)
    this.durationFailure = new HistogramStats(durationBuckets)
  }

  /** Sets all that is counted to 0; what is measured stays. */
  reset(): void {
    this.fired = this.success = this.failure = this.missed = this.retries = 0
    this.lockAcquired = this.lockFailedHeld = this.lockFailedError = 0
    this.lockReleased = this.lockExtended = this.lockLost = 0
    for (const reason of SKIP_REASONS) this.skipped[reason] = 0
    for (const histogram of [this.durationSuccess, this.durationFailure, this.delay]) histogram.reset()
  }
}
