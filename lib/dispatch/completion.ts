import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion } from '../triggers/index.js'

// All that is special about `after: 'completion'`, an interval measured from the end of the last run, on whichever
// replica. It has no ticks of its own: only the store knows when it is due, so the store is asked each time that it may
// be.

export interface CompletionOptions {
  readonly coordination: Coordination
  /** Makes a job due at a time, with a tick if its trigger has ticks. */
  readonly wakeAt: (job: JobRecord, at: number, tick?: DueTick) => void
  /** Called with a job whose interval can never be due again. */
  readonly onFinished: (job: JobRecord) => void
}

/** Makes jobs with a completion interval due again. */
export class Completion {
  readonly #options: CompletionOptions

  constructor(options: CompletionOptions) {
    this.#options = options
  }

  /**
   * Whether `startDate` and `endDate` allow the job's interval to be due at a time. If only a later time is allowed,
   * makes the job due then.
   */
  mayBeDue(job: JobRecord, time: number): boolean {
    const allowed = job.trigger.next(time - (job.trigger.afterCompletion ?? 0))
    if (allowed === null) this.#options.onFinished(job)
    else if (allowed > time) this.#options.wakeAt(job, allowed)
    return allowed !== null && allowed <= time
  }

  /** Restarts a job's interval from now; does nothing for a job that has ticks. */
  restart(job: JobRecord): void {
    const { afterCompletion } = job.trigger
    if (afterCompletion === null || job.removed) return
    this.#options.wakeAt(job, this.#options.coordination.now() + afterCompletion)
  }

  /** Asks the store again at a time: for the job's tick, or whether its interval is due. */
  askAt(job: JobRecord, at: number, tick: DueTick): void {
    if (isFromCompletion(job.trigger)) this.#options.wakeAt(job, at)
    else this.#options.wakeAt(job, at, tick)
  }

  /**
   * Makes a tick due again that was dropped while this replica takes no ticks, if it is the trigger's last: nothing
   * else would bring it once ticks are taken again. After any other tick the timetable brings the next one.
   */
  rearmFinalTick(job: JobRecord, tick: DueTick): void {
    if (!job.removed && tick.following === null) this.askAt(job, tick.dueTime, tick)
  }
}
