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
 * Runs ticks without claim or lock, for jobs that would rather run twice than not at all (`onRedisError: 'run'`), when
 * Redis has not answered by the end of a tick's grace.
 */
export class UnclaimedRuns {
  readonly #options: UnclaimedOptions
  /** Such jobs that have been due since Redis last answered. */
  readonly #candidates = new Set<JobRecord>()

  constructor(options: UnclaimedOptions) {
    this.#options = options
  }

  /** Notes a job whose due tick waits to be requested. */
  noteDue(job: JobRecord): void {
    if (job.definition.onRedisError === 'run') this.#candidates.add(job)
  }

  /** Forgets the noted jobs, as Redis has answered. */
  clear(): void {
    if (this.#candidates.size > 0) this.#candidates.clear()
  }

  /** Runs the overdue ticks of all noted jobs, as Redis does not answer. */
  runAllOverdue(): void {
    for (const job of this.#candidates) this.runOverdue(job)
  }

  /** Runs the first due tick of a job if its grace is over and the job has `onRedisError: 'run'`. */
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

  /**
   * Runs a tick, or counts it as skipped, if its job has `onRedisError: 'run'`.
   *
   * @returns whether the tick is accounted for now; `false` also when it had been before
   */
  run(job: JobRecord, tick: DueTick): boolean {
    const { scheduledTime } = tick
    if (job.definition.onRedisError !== 'run' || scheduledTime <= job.accountedUntil) return false
    job.noteAccounted(scheduledTime)
    const { runner, journal, newRunId } = this.#options
    if (runner.closed) {
      journal.tickSkipped(job, scheduledTime, 'shutdown')
    } else if (job.isSkipped(scheduledTime)) {
      journal.tickSkipped(job, scheduledTime, 'operator')
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
