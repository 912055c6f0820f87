import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { NotRunningError } from '../errors.js'
import type { JobRecord } from '../job-record.js'
import type { ActiveRun } from './active-run.js'
import { jobLock, toManualRequest } from './claim-request.js'
import type { Finisher } from './finisher.js'
import type { Recovery } from './recovery.js'
import type { Runner } from './runner.js'
import type { TickAccount } from './tick-account.js'

export interface ManualRunsOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly runner: Runner
  readonly finisher: Finisher
  readonly recovery: Recovery
  readonly account: TickAccount
  readonly newRunId: () => string
}

/** Runs that somebody asked for: apart from all ticks, through the same lock. */
export class ManualRuns {
  readonly #options: ManualRunsOptions
  readonly #idle: (() => void)[] = []
  #asking = 0

  constructor(options: ManualRunsOptions) {
    this.#options = options
  }

  /**
   * Runs a job now, whatever `concurrency` says.
   *
   * @returns the run, or `null` when another run of the job holds the lock
   * @throws RedisUnavailableError
   */
  async start(job: JobRecord, data: unknown): Promise<ActiveRun | null> {
    const { coordination, runner, newRunId, clock, finisher, account } = this.#options
    const { lockTtl } = job.definition
    const runId = newRunId()
    const scheduledTime = Math.round(coordination.now())
    if (lockTtl === null) {
      if (job.stats.running > 0) return null
      return runner.start(job, {
        runId,
        scheduledTime,
        trigger: 'manual',
        attempt: 1,
        lock: null,
        fencingToken: null,
        data
      })
    }
    this.#asking++
    const [answer] = await coordination.claim([toManualRequest(job, runId, scheduledTime, lockTtl)])
    this.#asking--
    if (this.#asking === 0) for (const resolve of this.#idle.splice(0)) resolve()
    if (answer?.status === 'granted' && answer.lock !== null) {
      if (runner.closed) {
        finisher.push({ lock: answer.lock, finished: true, onReleased() {} })
        throw new NotRunningError(`trigger the job '${job.id}'`, 'is closed')
      }
      const { lock, fencingToken } = answer
      return runner.start(job, { runId, scheduledTime, trigger: 'manual', attempt: 1, lock, fencingToken, data })
    }
    if (answer?.status !== 'unavailable') {
      if (answer?.status === 'overlap' && answer.isLeft) this.#options.recovery.lookNow(job)
      account.lockFailed(job, scheduledTime, 'held')
      return null
    }
    account.lockFailed(job, scheduledTime, 'error')
    // It may have been granted all the same, and only the reply be lost.
    if (answer.maybe) finisher.giveUp(jobLock(job, runId, lockTtl, clock.monotonic()))
    throw answer.error
  }

  /** Resolves when no claim is under way. */
  async settled(): Promise<void> {
    if (this.#asking > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}
