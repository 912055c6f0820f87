import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, HandBackAnswer, HeldLock } from '../../types/coordination.js'
import type { Journal } from '../observability/journal.js'
import type { HandingBack } from '../runs/retried-releases.js'
import type { AskedTick } from './asked-tick.js'
import { jobLock } from './claim-request.js'
import type { Completion } from './completion.js'
import { grantedTick } from './outcome.js'
import type { PassedTicks } from './passed-ticks.js'

type Granted = Extract<ClaimAnswer, { status: 'granted' }>

export interface ClaimReturnsOptions {
  readonly clock: Clock
  readonly journal: Journal
  readonly passed: PassedTicks
  readonly completion: Completion
  /** Asks once more for a tick that is free again. */
  readonly askAgain: (asked: AskedTick) => void
}

/** Claims that this replica hands back, as it begins no run for them, and what is accounted for once that is answered. */
export class ClaimReturns {
  readonly #options: ClaimReturnsOptions

  constructor(options: ClaimReturnsOptions) {
    this.#options = options
  }

  /** A tick that was granted while this replica takes none: another one may have it. */
  notTaken(asked: AskedTick, answer: Granted, lock: HeldLock): HandingBack {
    const onFree = (): void => {
      if (asked.isCurrent) this.#options.completion.askLater(asked.job, asked.latest)
    }
    return this.#granted(asked, answer, lock, 'shutdown', onFree)
  }

  /** A tick whose lock was over by the time that the answer was read: it is asked for once more. */
  lockOver(asked: AskedTick, answer: Granted, lock: HeldLock): HandingBack {
    return this.#granted(asked, answer, lock, 'redis_error', () => this.#options.askAgain(asked))
  }

  /** A tick that may have been granted, and nobody will ask for the answer any more. */
  unresolved(asked: AskedTick): HandingBack {
    const { clock, journal, completion } = this.#options
    const { job, tick, latest, runId, ttl, afterCompletion } = asked
    const { scheduledTime } = tick
    // It may have run without a claim.
    const hasRun = asked.isCurrent && scheduledTime <= job.accountedUntil
    if (!hasRun) journal.tickSkipped(job, scheduledTime, 'shutdown')
    const lock = jobLock(job, runId, ttl, clock.monotonic())
    const onHandedBack = (answer: HandBackAnswer): void => {
      if (hasRun) return
      if (answer === 'wasted') journal.tickMissed(job, scheduledTime, 'shutdown')
      else if (asked.isCurrent) completion.askLater(job, latest)
    }
    return { lock, scheduledTime, afterCompletion, tell: true, onHandedBack }
  }

  /**
   * @param reason why the tick is missed, if a later one was claimed before it was handed back
   * @param onFree called when the tick is free again: whoever takes it next accounts for it
   */
  #granted(
    asked: AskedTick,
    answer: Granted,
    lock: HeldLock,
    reason: 'shutdown' | 'redis_error',
    onFree: () => void
  ): HandingBack {
    const { journal, passed } = this.#options
    const { job, afterCompletion } = asked
    const scheduledTime = grantedTick(asked, answer)
    // That it is free again is no news here.
    job.noteHandedBack(scheduledTime, lock.token, 0)
    const onHandedBack = (outcome: HandBackAnswer): void => {
      if (outcome === 'free') {
        onFree()
        return
      }
      passed.account(asked, answer)
      const isTakenOver = outcome === 'not_ours' && job.definition.recovery === 'rerun'
      if (!isTakenOver) journal.tickMissed(job, scheduledTime, reason)
    }
    return { lock, scheduledTime, afterCompletion, tell: true, onHandedBack }
  }
}
