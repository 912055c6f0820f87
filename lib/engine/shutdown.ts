import type { Clock, TimerHandle } from '../../types/clock.js'
import { isSettledBy } from '../base/deadline.js'
import { SECOND } from '../base/duration.js'
import { RunCancelledError } from '../errors.js'
import type { Journal } from '../observability/journal.js'
import type { Finisher } from '../runs/finisher.js'
import type { NamedLocks } from '../runs/named-locks.js'
import type { Runner } from '../runs/runner.js'

/** How long the end may take beyond `closeTimeout`: what was aborted has that time to settle. */
const ABORT_GRACE = SECOND

/** The last part of it, in which the store can say what others have recorded of the runs that were ended. */
const RECORD_GRACE = SECOND / 10

export interface ShutdownOptions {
  readonly clock: Clock
  /** In milliseconds. */
  readonly closeTimeout: number
  readonly journal: Journal
  readonly runner: Runner
  readonly finisher: Finisher
  readonly namedLocks: NamedLocks
}

/**
 * Ends what is under way: it may go on for `closeTimeout`, then it is aborted, and a second later nobody waits for it any
 * longer. Runs and locks by name have such a time each, as a request may take a lock after the runs have ended.
 */
export class Shutdown {
  readonly #options: ShutdownOptions
  /** When locks by name are aborted, on the monotonic clock; `null` before that is known. */
  #abortAt: number | null = null
  #timer: TimerHandle | null = null

  constructor(options: ShutdownOptions) {
    this.#options = options
  }

  /**
   * @param settled resolves when no run is under way, nor anything that may become one
   * @param isAnnounced whether the journal is told that closing begins
   */
  async endRuns(settled: Promise<void>, isAnnounced: boolean): Promise<void> {
    const { clock, closeTimeout, journal, runner, finisher } = this.#options
    const abortAt = clock.monotonic() + closeTimeout
    if (isAnnounced) journal.closing(runner.jobIds, runner.size, closeTimeout)
    if (!(await isSettledBy(settled, abortAt, clock))) {
      if (runner.size > 0) journal.aborting(runner.jobIds, runner.size)
      runner.abortAll((job) => new RunCancelledError(`A run of the job '${job.id}'`, wasClosing(closeTimeout)))
      await isSettledBy(settled, abortAt + ABORT_GRACE - RECORD_GRACE, clock)
    }
    if (runner.size > 0) journal.left(runner.jobIds, runner.size)
    // Whoever waits for a run that does not end is told so: a request, for one, which keeps the app from closing.
    runner.close()
    // So are listeners, while what they use is there: the app closes that next.
    await isSettledBy(finisher.settled(), abortAt + ABORT_GRACE, clock)
    finisher.awaitNoMore()
  }

  /** From now on locks by name have `closeTimeout`: those that are held, and those that requests take until then. */
  limitNamedLocks(): void {
    if (this.#abortAt !== null) return
    const { clock, closeTimeout, namedLocks } = this.#options
    const error = new RunCancelledError('What was done under a lock', wasClosing(closeTimeout))
    this.#abortAt = clock.monotonic() + closeTimeout
    this.#timer = clock.setTimeout(() => namedLocks.abortAll(error), closeTimeout)
  }

  /** Resolves when nothing goes on under a lock by name, or is not waited for any longer. */
  async namedLocksSettled(): Promise<void> {
    await this.inTime(this.#options.namedLocks.settled())
  }

  /** Resolves with a promise, or when nothing that closes is waited for any longer. Called after `limitNamedLocks`. */
  async inTime(closing: Promise<void>): Promise<void> {
    await isSettledBy(closing, (this.#abortAt ?? 0) + ABORT_GRACE, this.#options.clock)
  }

  /** Ends what was taken since under locks by name; nothing is done under one afterwards. */
  async endNamedLocks(): Promise<void> {
    await this.namedLocksSettled()
    this.#timer?.cancel()
    this.#options.namedLocks.close()
  }
}

/** Why closing has cancelled something. */
function wasClosing(closeTimeout: number): string {
  return `it was not over ${closeTimeout} ms after the scheduler began to close`
}
