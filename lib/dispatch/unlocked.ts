import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion } from '../triggers/index.js'
import type { AskedRun } from './asked-run.js'
import { isMissed } from './claim-request.js'
import type { Completion } from './completion.js'
import type { TickAccount } from './tick-account.js'

export interface UnlockedOptions {
  readonly coordination: Coordination
  readonly runner: Runner
  readonly account: TickAccount
  readonly journal: Journal
  readonly completion: Completion
  readonly newRunId: () => string
}

/** Runs of jobs with `lock: false`: every tick on every replica, without claim or lock. */
export class UnlockedRuns {
  readonly #options: UnlockedOptions

  constructor(options: UnlockedOptions) {
    this.#options = options
  }

  start(job: JobRecord, tick: DueTick): void {
    const { runner, newRunId, completion } = this.#options
    const { scheduledTime } = tick
    const isFirst = job.lastUnlocked === null
    if (!isFromCompletion(job.trigger)) {
      // The timetable may hand a tick out again after a clock was set back. There is no claim to refuse it, so it ends
      // here.
      if (job.lastUnlocked !== null && scheduledTime <= job.lastUnlocked) return
      this.#accountPassed(job, tick)
    }
    job.noteUnlocked(scheduledTime)
    // This process has no last run yet, so the interval is measured from now.
    const waits = isFirst && isFromCompletion(job.trigger)
    if (waits || !this.#mayRun(job, tick)) {
      completion.restart(job)
      return
    }
    const run = runner.newRun(job, newRunId(), scheduledTime, 'schedule', null)
    runner.startRun(job, run, null).onCompleted(() => completion.restart(job))
  }

  /** Starts a manual run; `null` when a run of the job is active in this process. */
  startManual(job: JobRecord, asked: AskedRun): ActiveRun | null {
    return this.#startWithoutTick(job, 'manual', asked)
  }

  /** Starts a run as this replica starts, unless the job is paused. */
  startWithReplica(job: JobRecord): void {
    if (!job.paused) this.#startWithoutTick(job, 'start')
  }

  #startWithoutTick(job: JobRecord, trigger: 'manual' | 'start', asked?: AskedRun): ActiveRun | null {
    const { coordination, runner, newRunId, completion } = this.#options
    if (runsHere(job, runner)) return null
    const scheduledTime = asked?.scheduledTime ?? Math.round(coordination.now())
    const run = runner.newRun(job, newRunId(), scheduledTime, trigger, null)
    run.by = asked?.by ?? null
    const active = runner.startRun(job, run, null, asked === undefined ? job.definition.data : asked.data)
    active.onCompleted(() => {
      // Before the job's first tick there is no interval to restart.
      if (job.lastUnlocked !== null) completion.restart(job)
    })
    return active
  }

  /** Whether a tick may run; if not, reports why. */
  #mayRun(job: JobRecord, tick: DueTick): boolean {
    const { coordination, runner, journal } = this.#options
    const { scheduledTime } = tick
    if (job.paused) journal.tickSkipped(job, scheduledTime, 'paused')
    else if (job.isSkipped(scheduledTime)) journal.tickSkipped(job, scheduledTime, 'operator')
    else if (runsHere(job, runner)) journal.tickSkipped(job, scheduledTime, 'overlap')
    else if (isMissed(job, tick, coordination.now())) journal.tickMissed(job, scheduledTime, 'misfire')
    else return true
    return false
  }

  /** Accounts for the late ticks that a tick stands for. */
  #accountPassed(job: JobRecord, { firstLate, scheduledTime }: DueTick): void {
    if (firstLate >= scheduledTime) return
    const { account, coordination } = this.#options
    // It may have run without a claim before its job was changed to run so always.
    const after = Math.max(firstLate - 1, job.accountedUntil, job.lastUnlocked ?? Number.NEGATIVE_INFINITY)
    const of = { job, trigger: job.trigger, grace: job.definition.misfireGraceTime }
    if (job.paused) account.paused(of, after, scheduledTime)
    else account.passed(of, after, scheduledTime, coordination.now())
  }
}

/**
 * Whether as many runs of the job as may go on at once are active in this process. One of a removed job with the same id
 * counts as many.
 */
export function runsHere(job: JobRecord, runner: Runner): boolean {
  const { stats, definition } = job
  return stats.running >= definition.maxInstances || (stats.running === 0 && runner.runsUnlocked(job.id))
}
