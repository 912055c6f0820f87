import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, HandBackAnswer, HeldLock } from '../../types/coordination.js'
import type { Journal } from '../observability/journal.js'
import type { HandingBack } from '../runs/retried-releases.js'
import { jobLock } from './claim-request.js'
import type { Completion } from './completion.js'
import { grantedTick } from './outcome.js'
import type { PassedTicks } from './passed-ticks.js'
import type { TickRequest } from './tick-request.js'

type Granted = Extract<ClaimAnswer, { status: 'granted' }>

export interface ClaimReturnsOptions {
  readonly clock: Clock
  readonly journal: Journal
  readonly passed: PassedTicks
  readonly completion: Completion
  /** Requests a tick once more that is free again. */
  readonly askAgain: (request: TickRequest) => void
}

/**
 * Hands back claims for which this replica begins no run, and accounts for their ticks as the store's answer demands.
 */
export class ClaimReturns {
  readonly #options: ClaimReturnsOptions

  constructor(options: ClaimReturnsOptions) {
    this.#options = options
  }

  /** Hands back a tick that was granted while this replica takes none, for another replica to run. */
  notTaken(request: TickRequest, answer: Granted, lock: HeldLock): HandingBack {
    const onFree = (): void => {
      if (request.isCurrent) this.#options.completion.rearmFinalTick(request.job, request.latest)
    }
    return this.#granted(request, answer, lock, 'shutdown', onFree)
  }

  /** Hands back a tick whose lock had expired when the answer was read, and then requests it once more. */
  lockOver(request: TickRequest, answer: Granted, lock: HeldLock): HandingBack {
    return this.#granted(request, answer, lock, 'redis_error', () => this.#options.askAgain(request))
  }

  /** Hands back a tick that may have been granted by a call that is not repeated any more. */
  unresolved(request: TickRequest): HandingBack {
    const { clock, journal, completion } = this.#options
    const { job, tick, latest, runId, ttl, afterCompletion } = request
    const { scheduledTime } = tick
    // The tick may already have run here without a claim.
    const hasRun = request.isCurrent && scheduledTime <= job.accountedUntil
    if (!hasRun) journal.tickSkipped(job, scheduledTime, 'shutdown')
    const lock = jobLock(job, runId, ttl, clock.monotonic())
    const onHandedBack = (answer: HandBackAnswer): void => {
      if (hasRun) return
      if (answer === 'wasted') journal.tickMissed(job, scheduledTime, 'shutdown')
      else if (request.isCurrent) completion.rearmFinalTick(job, latest)
    }
    return { lock, scheduledTime, afterCompletion, tell: true, onHandedBack }
  }

  /**
   * @param reason why the tick is missed, if a later tick was claimed before this one was handed back
   * @param onFree called when the tick is free again; the replica that claims it next accounts for it
   */
  #granted(
    request: TickRequest,
    answer: Granted,
    lock: HeldLock,
    reason: 'shutdown' | 'redis_error',
    onFree: () => void
  ): HandingBack {
    const { journal, passed } = this.#options
    const { job, afterCompletion } = request
    const scheduledTime = grantedTick(request, answer)
    // The fleet will announce that the tick is free; noting it now keeps this replica from acting on that.
    job.noteHandedBack(scheduledTime, lock.token, 0)
    const after = passed.knownBefore(request, answer)
    const onHandedBack = (outcome: HandBackAnswer): void => {
      if (outcome === 'free') {
        onFree()
        return
      }
      passed.account(request, answer, after)
      const isTakenOver = outcome === 'not_ours' && job.definition.recovery === 'rerun'
      if (!isTakenOver) journal.tickMissed(job, scheduledTime, reason)
    }
    return { lock, scheduledTime, afterCompletion, tell: true, onHandedBack }
  }
}
