import type { Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion } from '../triggers/index.js'
import { isMissed } from './claim-request.js'
import { lateTick } from './tick-choice.js'
import { runsHere } from './unlocked.js'

export interface UnclaimedOptions {
  readonly coordination: Coordination
  readonly runner: Runner
  readonly journal: Journal
  readonly newRunId: () => string
}

/**
 * Runs of ticks that Redis has not answered for until their grace was over, of jobs that rather run twice than not at all
 * (`onRedisError: 'run'`): without claim or lock.
 */
export class UnclaimedRuns {
  readonly #options: UnclaimedOptions
  /** Jobs that run so, and have been due since Redis last answered. */
  readonly #candidates = new Set<JobRecord>()

  constructor(options: UnclaimedOptions) {
    this.#options = options
  }

  /** A job is to be asked for. */
  note(job: JobRecord): void {
    if (job.definition.onRedisError === 'run') this.#candidates.add(job)
  }

  /** Redis has answered. */
  clear(): void {
    if (this.#candidates.size > 0) this.#candidates.clear()
  }

  /** Redis does not answer: runs what is overdue. */
  runAllOverdue(): void {
    for (const job of this.#candidates) this.runOverdue(job)
  }

  /** Runs the first due tick of a job when it is beyond its grace, and the job says so. */
  runOverdue(job: JobRecord): void {
    const { pending } = job
    if (job.removed || job.definition.onRedisError !== 'run') {
      this.#candidates.delete(job)
      return
    }
    if (pending === null || job.stats.running > 0 || isFromCompletion(job.trigger)) return
    const scheduledTime = job.nextTick(Math.max(pending.firstLate - 1, job.accountedUntil))
    if (scheduledTime === null || scheduledTime > pending.scheduledTime) return
    const isLatest = scheduledTime === pending.scheduledTime
    const tick = isLatest ? pending : lateTick(job, scheduledTime, pending.firstLate, pending.caughtUp)
    if (isMissed(job, tick, this.#options.coordination.now())) this.run(job, tick)
  }

  /** Runs a tick, when its job says so, and it has not run so before. Whether it does. */
  run(job: JobRecord, tick: DueTick): boolean {
    const { scheduledTime } = tick
    if (job.definition.onRedisError !== 'run' || scheduledTime <= job.accountedUntil) return false
    job.noteAccounted(scheduledTime)
    const { runner, journal, newRunId } = this.#options
    if (runner.closed) {
      journal.tickSkipped(job, scheduledTime, 'shutdown')
    } else if (job.paused) {
      journal.tickSkipped(job, scheduledTime, 'paused')
    } else if (runsHere(job, runner)) {
      journal.tickSkipped(job, scheduledTime, 'overlap')
    } else {
      const trigger = tick.caughtUp ? 'catch-up' : 'schedule'
      runner.startRun(job, runner.newRun(job, newRunId(), scheduledTime, trigger, null), null)
    }
    return true
  }
}
