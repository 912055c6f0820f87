import type { Clock } from '../../types/clock.js'
import type { Coordination, HeldLock } from '../../types/coordination.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import { NotRunningError, RedisUnavailableError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Finisher } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import type { AskedRun } from './asked-run.js'
import { jobLock, toManualRequest } from './claim-request.js'
import type { EndedJobs } from './ended-jobs.js'
import type { Recovery } from './recovery.js'
import type { TracedClaims } from './traced-claims.js'
import type { UnlockedRuns } from './unlocked.js'

/** How often a run is requested if each answer is read only after its lock has expired. */
const MAX_TRIES = 3

export interface ManualRunsOptions {
  readonly claims: TracedClaims
  readonly clock: Clock
  readonly coordination: Coordination
  readonly endedJobs: EndedJobs
  readonly runner: Runner
  readonly finisher: Finisher
  readonly recovery: Recovery
  readonly unlocked: UnlockedRuns
  readonly journal: Journal
  readonly newRunId: () => string
}

/** Manual runs: independent of all ticks, but under the same lock. */
export class ManualRuns {
  readonly #options: ManualRunsOptions
  readonly #idle = new Idle(() => this.#asking > 0)
  /** The ids of the runs that are being requested. */
  readonly runIds = new Set<string>()
  #asking = 0

  constructor(options: ManualRunsOptions) {
    this.#options = options
  }

  /**
   * Runs a job now, whatever `concurrency` says.
   *
   * @param asked what the run gets, its concurrency key (`''` for none), who asks, and the nominal time, `null` for now
   * @returns the run, or `null` when another run of the job holds the lock
   * @throws RedisUnavailableError when the store does not answer in time; NotRunningError when this process closes
   *   meanwhile
   */
  async trigger(job: JobRecord, asked: AskedRun): Promise<ActiveRun | null> {
    const { lockTtl } = job.definition
    if (lockTtl === null) return this.#options.unlocked.startManual(job, asked)
    this.#asking++
    try {
      for (let count = 1; count <= MAX_TRIES; count++) {
        const active = await this.#ask(job, asked, lockTtl)
        if (active !== 'late') return active
      }
    } finally {
      this.#asking--
      this.#idle.announce()
    }
    this.#options.journal.lockFailed(job, Math.round(this.#options.coordination.now()), 'error')
    throw new RedisUnavailableError('start a run', `its answer came later than the lock's TTL, ${lockTtl} ms`)
  }

  /** Requests the run once: `late` when its lock has expired by the time the answer is read. */
  async #ask(job: JobRecord, asked: AskedRun, ttl: number): Promise<ActiveRun | null | 'late'> {
    const { claims, coordination, endedJobs, runner, newRunId, clock, finisher, journal, recovery } = this.#options
    const runId = newRunId()
    const scheduledTime = Math.round(coordination.now())
    if (runner.runsUnlocked(job.id)) {
      journal.lockFailed(job, scheduledTime, 'held')
      return null
    }
    this.runIds.add(runId)
    const [answer] = await claims.ask([toManualRequest(job, runId, scheduledTime, ttl, asked.key, asked.by ?? '')])
    this.runIds.delete(runId)
    if (answer?.status === 'granted' && answer.lock !== null) {
      const { lock, fencingToken } = answer
      if (runner.closed) {
        finisher.push({ lock, finished: true, unbegun: true, onReleased() {} })
        throw new NotRunningError(`trigger the job '${job.id}'`, 'is closed')
      }
      if (runner.runsUnlocked(job.id)) {
        // A run without a claim has begun meanwhile, as the store did not answer.
        finisher.push({ lock, finished: true, unbegun: true, onReleased() {} })
        journal.lockFailed(job, scheduledTime, 'held')
        return null
      }
      if (answer.isLast) endedJobs.note(job)
      if (!isOver(lock, clock.monotonic())) return this.#run(job, runId, scheduledTime, lock, fencingToken, asked)
      // Released first, so that it does not stand in the way of the next request.
      await new Promise<void>((resolve) =>
        finisher.push({ lock, finished: true, unbegun: true, onReleased: () => resolve() })
      )
      return 'late'
    }
    if (answer?.status !== 'unavailable') {
      if (answer?.status === 'overlap' && answer.isLeft) recovery.lookNow(job)
      journal.lockFailed(job, scheduledTime, 'held')
      return null
    }
    journal.lockFailed(job, scheduledTime, 'error')
    // The run may have been granted all the same, and only the reply lost.
    if (answer.maybe) finisher.giveUp(jobLock(job, runId, ttl, clock.monotonic()))
    throw answer.error
  }

  #run(
    job: JobRecord,
    runId: string,
    scheduledTime: number,
    lock: HeldLock,
    fencingToken: number,
    asked: AskedRun
  ): ActiveRun {
    const { runner } = this.#options
    const run = runner.newRun(job, runId, asked.scheduledTime ?? scheduledTime, 'manual', fencingToken)
    run.by = asked.by
    return runner.startRun(job, run, lock, asked.data)
  }

  /** Resolves when no claim is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }
}
