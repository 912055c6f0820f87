import type { ReleaseAnswer } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { ToldTicks } from '../observability/history/told-ticks.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from './active-run.js'
import type { Finisher } from './finisher.js'
import type { RunEnd } from './run-record.js'

export interface OutcomesOptions {
  readonly finisher: Finisher
  readonly journal: Journal
  readonly toldTicks: ToldTicks
  /** Called when a run has ended that another replica is to take over, or this one. */
  readonly onUnfinished: (job: JobRecord) => void
  /** Called when the store has heard of a run that failed. */
  readonly onFailed: (job: JobRecord) => void
  /** Called when a run has ended of a job whose trigger has no further tick. */
  readonly onLast: (job: JobRecord) => void
}

/**
 * Decides on the outcome of each run, and reports it to the journal once.
 *
 * The outcome is known when the handler has settled and the store has said whether the lock was still held, or earlier where
 * the handler may never settle (timeout, closing). Where the store does not answer, other replicas may record the run as
 * abandoned, and report it: then this one waits for the answer before it reports anything, and reports nothing if they did.
 */
export class Outcomes {
  readonly #options: OutcomesOptions

  constructor(options: OutcomesOptions) {
    this.#options = options
  }

  /** The handler has settled, and the run's end needs nothing more. */
  complete(active: ActiveRun, end: RunEnd, mayReport = true): void {
    if (active.run.outcome === null) {
      this.#decide(active, end)
      if (mayReport) this.#report(active)
    }
    this.#close(active)
  }

  /** The handler is no longer waited for. */
  abandon(active: ActiveRun, end: RunEnd): void {
    this.decideEarly(active, end)
    this.#close(active)
  }

  /** The outcome is known while the handler goes on; where its lock is lost, others may have recorded it as abandoned. */
  decideEarly(active: ActiveRun, end: RunEnd): void {
    if (active.run.outcome !== null) return
    const { held } = active
    this.#decide(active, end)
    if (!active.lockLost) this.#report(active)
    if (held === null) return
    this.#options.finisher.noteOutcome(held, active.reportNow(end), (answer) => this.onRecorded(active, answer))
  }

  /** The handler of a run that is to be replaced is not waited for any longer: its slot is free, though the handler goes on. */
  endReplaced(active: ActiveRun, end: RunEnd): void {
    if (active.run.outcome === null) this.#decide(active, end)
    const onReleased = (answer: ReleaseAnswer): void => {
      if (answer !== 'unavailable') this.onRecorded(active, answer)
    }
    const onRecorded = (answer: ReleaseAnswer): void => this.onRecorded(active, answer)
    const report = active.reportNow(end)
    this.#options.finisher.push({ lock: active.lock, finished: true, replaced: true, report, onReleased, onRecorded })
  }

  /** As of `Finishing.onReleased`. A run whose lock was lost unnoticed is no success, whatever its handler returned. */
  onReleased(active: ActiveRun, answer: ReleaseAnswer, inTime: boolean): void {
    let end = active.end as RunEnd
    if (answer === 'released') this.#options.journal.lockReleased(active)
    if ((answer === 'lost' || answer === 'abandoned') && inTime) active.lockFoundLost()
    if (active.state === 'completed') {
      if (answer === 'abandoned') this.onRecorded(active, answer)
      return
    }
    if (active.lockLost && end.outcome === 'success') {
      end = active.aborted as RunEnd
      // The store has been told otherwise.
      if (answer === 'lost') this.#options.toldTicks.noteRun(active.job.id, active.reportOf(end), true)
    }
    // Who waits for the run goes on with its outcome; the report waits until the store has heard of it.
    this.complete(active, end, answer !== 'unavailable' && answer !== 'abandoned')
    if (answer === 'abandoned') this.onRecorded(active, answer)
    else if (answer !== 'unavailable') this.#noteFailed(active)
  }

  /** As of `Finishing.onRecorded`: the store has heard of an end that it did not answer for at first. */
  onRecorded(active: ActiveRun, answer: ReleaseAnswer): void {
    if (answer !== 'abandoned') {
      if (active.reportedBy === 'nobody') this.#report(active)
      if (answer !== 'unavailable') this.#noteFailed(active)
    } else if (active.reportedBy !== 'others') {
      // It was counted and reported by whoever recorded it.
      active.reportedBy = 'others'
      this.#options.journal.abandonedRunEnded(active)
    }
  }

  #noteFailed({ job, run }: ActiveRun): void {
    if (run.outcome !== 'success' && job.definition.pauseAfterFailures !== null) this.#options.onFailed(job)
  }

  #decide(active: ActiveRun, { outcome, error }: RunEnd): void {
    const { run } = active
    run.outcome = outcome
    run.finishedAt = run.startedAt + Math.round(active.duration)
    if (outcome !== 'success') run.error = error
    if (active.held === null) this.#tellUnlocked(active, { outcome, error })
    active.announceOutcome()
  }

  /** The store knows nothing of a run without a lock. */
  #tellUnlocked(active: ActiveRun, end: RunEnd): void {
    const { id, definition } = active.job
    const isLocked = definition.lockTtl !== null
    this.#options.toldTicks.noteRun(id, active.reportOf(end), isLocked)
  }

  #report(active: ActiveRun): void {
    active.reportedBy = 'us'
    this.#options.journal.runEnded(active)
  }

  #close(active: ActiveRun): void {
    active.complete()
    if (!active.finished) this.#options.onUnfinished(active.job)
    if (active.job.isFinished) this.#options.onLast(active.job)
  }
}
