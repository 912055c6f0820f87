import type { ClaimAnswer } from '../../types/coordination.js'
import { isOver } from '../coordination/lock-validity.js'
import { isFromCompletion } from '../triggers/index.js'
import type { AskedTick } from './asked-tick.js'

/**
 * What becomes of a tick that was asked for.
 *
 *     granted            run               its run begins
 *                        missed            it is counted here, as it is too late to run
 *                        ran_unclaimed     it has run here already, without a claim, as Redis did not answer
 *                        overlap_unclaimed a run without a claim goes on here, of which the store knows nothing: it is counted here
 *                        not_taken         no run is to begin here: it is handed back, for other replicas to take
 *                        lock_over         its lock is over by now: it is handed back, and asked for once more
 *     early              early             it is due later, by the store's clock
 *                        outdated          as above, of a job that has another trigger by now, or was removed
 *     overlap            overlap           another run holds the lock: it is counted here
 *                        wait_for_lock     as above, of a job whose ticks wait for the lock
 *     paused             paused            the job is paused: it is counted here
 *                        paused_elsewhere  as above, and another replica counts it
 *     claimed_elsewhere  claimed_elsewhere another replica has it
 *                        free_again        as above, but it was handed back since: it is asked for once more
 *     unavailable        unreadable        the store's record of the job cannot be read: it waits until that is mended
 *                        maybe_claimed     the call may have been executed: it is repeated, to get the answer that was lost
 *                        not_claimed       it was certainly not claimed: it is asked for again, within its grace
 */
export type Outcome =
  | 'run'
  | 'missed'
  | 'ran_unclaimed'
  | 'overlap_unclaimed'
  | 'not_taken'
  | 'lock_over'
  | 'early'
  | 'outdated'
  | 'overlap'
  | 'wait_for_lock'
  | 'paused'
  | 'paused_elsewhere'
  | 'claimed_elsewhere'
  | 'free_again'
  | 'unreadable'
  | 'maybe_claimed'
  | 'not_claimed'

/** An answer to a request for a tick: `running` answers only that for a run to be taken over. */
export type TickAnswer = Exclude<ClaimAnswer, { readonly status: 'running' }>

/** What an outcome depends on beside the request, its job and the answer. */
export interface Situation {
  /** The fleet's time. */
  readonly now: number
  readonly monotonic: number
  /** When the call was first made, in this process' sequence. */
  readonly askedAt: number
  /** Whether this replica takes no ticks, and begins no runs. */
  readonly takesNone: boolean
  /** Whether a run of the job goes on here without a claim. */
  readonly runsUnclaimed: boolean
}

/** The tick that was granted: of an interval from the last run's end only the store knows it. */
export function grantedTick(asked: AskedTick, answer: Extract<ClaimAnswer, { status: 'granted' }>): number {
  return isFromCompletion(asked.trigger) ? answer.scheduledTime : asked.tick.scheduledTime
}

/** Decides what becomes of a tick that was asked for; it changes nothing. */
export function decide(asked: AskedTick, answer: TickAnswer, situation: Situation): Outcome {
  switch (answer.status) {
    case 'granted':
      return decideGranted(asked, answer, situation)
    case 'claimed_elsewhere':
      return asked.job.isFreeSince(asked.tick.scheduledTime, situation.askedAt) ? 'free_again' : 'claimed_elsewhere'
    case 'overlap':
      return answer.taken ? 'overlap' : 'wait_for_lock'
    case 'paused':
      return answer.first ? 'paused' : 'paused_elsewhere'
    case 'early':
      return asked.isCurrent ? 'early' : 'outdated'
    case 'unavailable':
      if (answer.unreadable) return 'unreadable'
      return answer.maybe ? 'maybe_claimed' : 'not_claimed'
  }
}

function decideGranted(
  asked: AskedTick,
  answer: Extract<ClaimAnswer, { status: 'granted' }>,
  { now, monotonic, takesNone, runsUnclaimed }: Situation
): Outcome {
  const { lock } = answer
  const { job } = asked
  if (asked.isCurrent && grantedTick(asked, answer) <= job.accountedUntil) return 'ran_unclaimed'
  // Granted without a lock it is to be counted alone, whatever goes on here.
  if (lock === null) return 'missed'
  // The answer may have come so late that the lock is over.
  if (isOver(lock, monotonic)) return 'lock_over'
  if (takesNone || job.removed) return 'not_taken'
  if (asked.isMissed(now)) return 'missed'
  return runsUnclaimed ? 'overlap_unclaimed' : 'run'
}
