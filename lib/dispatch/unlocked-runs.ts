import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import { isMissed } from './claim-request.js'
import type { TickAccount } from './tick-account.js'

export interface UnlockedRunsOptions {
  readonly coordination: Coordination
  readonly runner: Runner
  readonly account: TickAccount
  readonly journal: Journal
  readonly newRunId: () => string
  /** Makes a job due again at a time, without its trigger. */
  readonly wakeAt: (job: JobRecord, at: number) => void
}

/**
 * Runs without claim or lock: those of jobs with `lock: false`, every tick on every replica, and those of jobs that
 * rather run twice than not at all when Redis does not answer.
 */
export class UnlockedRuns {
  readonly #options: UnlockedRunsOptions

  constructor(options: UnlockedRunsOptions) {
    this.#options = options
  }

  start(job: JobRecord, tick: DueTick): void {
    const { coordination, runner, account, journal, newRunId } = this.#options
    const { scheduledTime, firstLate } = tick
    if (job.trigger.afterCompletion !== null && job.lastUnlocked === null) {
      // This process has no last run yet: the interval is measured from here.
      job.lastUnlocked = scheduledTime
      this.#again(job)
      return
    }
    // A tick that is handed out again, as a clock was set back: without claims it is refused here. An interval from the
    // last end has none.
    const isAgain = job.lastUnlocked !== null && scheduledTime <= job.lastUnlocked
    if (isAgain && job.trigger.afterCompletion === null) return
    if (firstLate < scheduledTime) {
      const after = Math.max(firstLate - 1, job.lastUnlocked ?? Number.NEGATIVE_INFINITY)
      const of = { job, trigger: job.trigger, grace: job.definition.misfireGraceTime }
      if (job.paused) account.paused(of, after, scheduledTime)
      else account.passed(of, after, scheduledTime, coordination.now())
    }
    job.lastUnlocked = scheduledTime
    if (job.paused) {
      journal.tickSkipped(job, scheduledTime, 'paused')
    } else if (this.#goesOn(job)) {
      journal.tickSkipped(job, scheduledTime, 'overlap')
    } else if (isMissed(job, tick, coordination.now())) {
      journal.tickMissed(job, scheduledTime, 'misfire')
    } else {
      const run = runner.newRun(job, newRunId(), scheduledTime, 'schedule', null)
      runner.start(job, run, null).onCompleted(() => this.#again(job))
      return
    }
    this.#again(job)
  }

  /** Runs a job by hand; `null` when a run of it goes on. */
  startManual(job: JobRecord, data: unknown): ActiveRun | null {
    if (this.#goesOn(job)) return null
    const { coordination, runner, newRunId } = this.#options
    const run = runner.newRun(job, newRunId(), Math.round(coordination.now()), 'manual', null)
    const active = runner.start(job, run, null, data)
    active.onCompleted(() => {
      // Before the first tick no interval is measured yet.
      if (job.lastUnlocked !== null) this.#again(job)
    })
    return active
  }

  /** Runs a tick that Redis did not answer for (`onRedisError: 'run'`). */
  startUnclaimed(job: JobRecord, { scheduledTime, caughtUp }: DueTick): void {
    const { runner, journal, newRunId } = this.#options
    if (runner.closed) {
      journal.tickSkipped(job, scheduledTime, 'shutdown')
    } else if (job.paused) {
      journal.tickSkipped(job, scheduledTime, 'paused')
    } else if (this.#goesOn(job)) {
      journal.tickSkipped(job, scheduledTime, 'overlap')
    } else {
      runner.start(job, runner.newRun(job, newRunId(), scheduledTime, caughtUp ? 'catch-up' : 'schedule', null), null)
    }
  }

  /** Whether a run of the job goes on in this process, also one of a job of this id that was removed. */
  #goesOn(job: JobRecord): boolean {
    return job.stats.running > 0 || this.#options.runner.runsUnlocked(job.id)
  }

  /** An interval from the last end has no ticks of its own: it comes again from here. */
  #again(job: JobRecord): void {
    const { coordination, wakeAt } = this.#options
    const { afterCompletion } = job.trigger
    if (afterCompletion !== null && !job.removed) wakeAt(job, coordination.now() + afterCompletion)
  }
}
