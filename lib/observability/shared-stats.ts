import type { SkipReason } from '../../types/run.js'
import type { HistogramStats, JobStats } from './job-stats.js'

/**
 * One job's numbers where all jobs are counted together. Its own are those that users see of it; all else is the total's,
 * which so never forgets a job that was removed, nor a run that ends after that. The accessors are written out, as so
 * they cost a run no more than fields; made in a loop they would cost six times as much.
 */
export class SharedStats implements JobStats {
  readonly #total: JobStats
  #running = 0
  #lastRun = 0
  #lastSuccess = 0

  constructor(total: JobStats) {
    this.#total = total
  }

  get fired(): number {
    return this.#total.fired
  }

  set fired(count: number) {
    this.#total.fired = count
  }

  get success(): number {
    return this.#total.success
  }

  set success(count: number) {
    this.#total.success = count
  }

  get failure(): number {
    return this.#total.failure
  }

  set failure(count: number) {
    this.#total.failure = count
  }

  get missed(): number {
    return this.#total.missed
  }

  set missed(count: number) {
    this.#total.missed = count
  }

  get retries(): number {
    return this.#total.retries
  }

  set retries(count: number) {
    this.#total.retries = count
  }

  get lockAcquired(): number {
    return this.#total.lockAcquired
  }

  set lockAcquired(count: number) {
    this.#total.lockAcquired = count
  }

  get lockFailedHeld(): number {
    return this.#total.lockFailedHeld
  }

  set lockFailedHeld(count: number) {
    this.#total.lockFailedHeld = count
  }

  get lockFailedError(): number {
    return this.#total.lockFailedError
  }

  set lockFailedError(count: number) {
    this.#total.lockFailedError = count
  }

  get lockReleased(): number {
    return this.#total.lockReleased
  }

  set lockReleased(count: number) {
    this.#total.lockReleased = count
  }

  get lockExtended(): number {
    return this.#total.lockExtended
  }

  set lockExtended(count: number) {
    this.#total.lockExtended = count
  }

  get lockLost(): number {
    return this.#total.lockLost
  }

  set lockLost(count: number) {
    this.#total.lockLost = count
  }

  get skipped(): Record<SkipReason, number> {
    return this.#total.skipped
  }

  get durationSuccess(): HistogramStats {
    return this.#total.durationSuccess
  }

  get durationFailure(): HistogramStats {
    return this.#total.durationFailure
  }

  get delay(): HistogramStats {
    return this.#total.delay
  }

  /** The total's is the sum. */
  get running(): number {
    return this.#running
  }

  set running(running: number) {
    this.#total.running += running - this.#running
    this.#running = running
  }

  /** The total's is the latest. */
  get lastRun(): number {
    return this.#lastRun
  }

  set lastRun(time: number) {
    this.#lastRun = time
    if (time > this.#total.lastRun) this.#total.lastRun = time
  }

  /** The total's is the latest. */
  get lastSuccess(): number {
    return this.#lastSuccess
  }

  set lastSuccess(time: number) {
    this.#lastSuccess = time
    if (time > this.#total.lastSuccess) this.#total.lastSuccess = time
  }

  reset(): void {
    this.#total.reset()
  }
}
