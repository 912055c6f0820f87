import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion } from '../triggers/index.js'

// What is special of `after: 'completion'`: an interval that is measured from the end of the last run, on whichever replica. It has
// no ticks of its own. Only the store knows when it is due, and is asked again each time that it may be.

export interface CompletionOptions {
  readonly coordination: Coordination
  /** Makes a job due at a time; with a tick of its trigger, where it has any. */
  readonly wakeAt: (job: JobRecord, at: number, tick?: DueTick) => void
  /** Called with a job whose trigger has no further tick. */
  readonly onFinished: (job: JobRecord) => void
}

/** Makes jobs with such an interval due again. */
export class Completion {
  readonly #options: CompletionOptions

  constructor(options: CompletionOptions) {
    this.#options = options
  }

  /** Whether the job's interval may be due at a time, by its `startDate` and `endDate`. If not yet, the job comes due again then. */
  mayBeDue(job: JobRecord, time: number): boolean {
    const allowed = job.trigger.next(time - (job.trigger.afterCompletion ?? 0))
    if (allowed === null) this.#options.onFinished(job)
    else if (allowed > time) this.#options.wakeAt(job, allowed)
    return allowed !== null && allowed <= time
  }

  /** Measures the interval of a job from now; without effect for a job that has ticks. */
  restart(job: JobRecord): void {
    const { afterCompletion } = job.trigger
    if (afterCompletion === null || job.removed) return
    this.#options.wakeAt(job, this.#options.coordination.now() + afterCompletion)
  }

  /** Asks the store at a time again: for a tick of the job, or whether its interval is due. */
  askAt(job: JobRecord, at: number, tick: DueTick): void {
    if (isFromCompletion(job.trigger)) this.#options.wakeAt(job, at)
    else this.#options.wakeAt(job, at, tick)
  }

  /**
   * Makes a tick due anew that was dropped, as this replica takes none at the moment. Most often that is needless: the trigger
   * brings the next. Where it has none after this one, nothing else would bring it when ticks are taken again.
   */
  askLater(job: JobRecord, tick: DueTick): void {
    if (!job.removed && tick.following === null) this.askAt(job, tick.dueTime, tick)
  }
}
