import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../job-record.js'
import type { DueTick } from '../timetable.js'
import { isMissed } from './claim-request.js'
import type { Runner } from './runner.js'
import type { TickAccount } from './tick-account.js'

export interface UnlockedRunsOptions {
  readonly coordination: Coordination
  readonly runner: Runner
  readonly account: TickAccount
  readonly newRunId: () => string
  /** Makes a job due again at a time, without its trigger. */
  readonly wakeAt: (job: JobRecord, at: number) => void
}

/** Runs of jobs with `lock: false`: every tick on every replica, nothing is asked of the store. */
export class UnlockedRuns {
  readonly #options: UnlockedRunsOptions

  constructor(options: UnlockedRunsOptions) {
    this.#options = options
  }

  start(job: JobRecord, tick: DueTick): void {
    const { coordination, runner, account, newRunId } = this.#options
    const { scheduledTime, firstLate } = tick
    if (job.trigger.afterCompletion !== null && job.lastUnlocked === null) {
      // This process has no last run yet: the interval is measured from here.
      job.lastUnlocked = scheduledTime
      this.#again(job)
      return
    }
    // A tick that is handed out again, as a clock was set back: without claims it is refused here.
    if (job.lastUnlocked !== null && scheduledTime <= job.lastUnlocked) return
    if (firstLate < scheduledTime) account.coalesced(job, tick, firstLate, job.lastUnlocked)
    job.lastUnlocked = scheduledTime
    if (job.paused) {
      account.skipped(job, scheduledTime, 'paused')
    } else if (job.stats.running > 0) {
      account.skipped(job, scheduledTime, 'overlap')
    } else if (isMissed(job, tick, coordination.now())) {
      account.missed(job, scheduledTime, 'misfire')
    } else {
      const { data } = job.definition
      const request = { scheduledTime, trigger: 'schedule', lock: null, fencingToken: null, data } as const
      runner.start(job, { runId: newRunId(), ...request }).onCompleted(() => this.#again(job))
      return
    }
    this.#again(job)
  }

  /** An interval from the last end has no ticks of its own: it comes again from here. */
  #again(job: JobRecord): void {
    const { coordination, wakeAt } = this.#options
    const { afterCompletion } = job.trigger
    if (afterCompletion !== null && !job.removed) wakeAt(job, coordination.now() + afterCompletion)
  }
}
