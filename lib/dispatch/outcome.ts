import type { ClaimAnswer } from '../../types/coordination.js'
import { isOver } from '../coordination/lock-validity.js'
import { isFromCompletion } from '../triggers/index.js'
import type { TickRequest } from './tick-request.js'

/**
 * What becomes of a requested tick, by the status of the answer.
 *
 *     granted            run               its run begins
 *                        missed            too late to run: it is counted here
 *                        skipped           an operator has said that it has no run: it is counted here
 *                        ran_unclaimed     it has already run here without a claim, as Redis did not answer
 *                        overlap_unclaimed a run without a claim, unknown to the store, is active: it is counted here
 *                        not_taken         this replica begins no runs: it is handed back, for other replicas to claim
 *                        lock_over         its lock has expired: it is handed back, and requested once more
 *     early              early             by the store's clock it is due later
 *                        outdated          the same, but the job has been removed or given another trigger
 *     stale              stale             the job was overridden, of which this replica has not heard: it is requested again then
 *     overlap            overlap           another run holds the lock: it is counted here
 *                        wait_for_lock     the same, for a job whose ticks wait for the lock
 *     queued             queued            the same, and it waits in the store for a slot
 *     ended              ended             the job has had all of its runs, so that there is no such tick
 *     paused             paused            the job is paused: it is counted here
 *                        paused_elsewhere  the same, but another replica counts it
 *     claimed_elsewhere  claimed_elsewhere another replica has claimed it
 *                        free_again        the same, but it was handed back since: it is requested once more
 *     unavailable        unreadable        the store cannot read its record of the job: it waits until that is repaired
 *                        maybe_claimed     the call may have been executed: it is repeated, for its lost answer
 *                        not_claimed       it was certainly not claimed: it is requested again, within its grace
 */
export type Outcome =
  | 'run'
  | 'missed'
  | 'skipped'
  | 'ran_unclaimed'
  | 'overlap_unclaimed'
  | 'not_taken'
  | 'lock_over'
  | 'early'
  | 'outdated'
  | 'stale'
  | 'overlap'
  | 'wait_for_lock'
  | 'queued'
  | 'ended'
  | 'paused'
  | 'paused_elsewhere'
  | 'claimed_elsewhere'
  | 'free_again'
  | 'unreadable'
  | 'maybe_claimed'
  | 'not_claimed'

/** The answer to a request for a tick; only other requests are answered `running` or `dropped`. */
export type TickAnswer = Exclude<ClaimAnswer, { readonly status: 'running' | 'dropped' }>

/** What an outcome depends on besides the request, its job and the answer. */
export interface Situation {
  /** The fleet's time, in milliseconds since the Unix epoch. */
  readonly now: number
  readonly monotonic: number
  /** When the call was first made, in this process' sequence. */
  readonly askedAt: number
  /** Whether this replica takes no ticks or begins no runs. */
  readonly takesNoTicks: boolean
  /** Whether a run of the job goes on here without a claim. */
  readonly runsUnclaimed: boolean
}

/** The tick that was granted; of a completion interval only the store knows it. */
export function grantedTick(request: TickRequest, answer: Extract<ClaimAnswer, { status: 'granted' }>): number {
  return isFromCompletion(request.trigger) ? answer.scheduledTime : request.tick.scheduledTime
}

/** Decides what becomes of a requested tick; changes nothing itself. */
export function decide(request: TickRequest, answer: TickAnswer, situation: Situation): Outcome {
  switch (answer.status) {
    case 'granted':
      return decideGranted(request, answer, situation)
    case 'claimed_elsewhere':
      return request.job.isFreeSince(request.tick.scheduledTime, situation.askedAt) ? 'free_again' : 'claimed_elsewhere'
    case 'overlap':
      return answer.taken ? 'overlap' : 'wait_for_lock'
    case 'queued':
      return 'queued'
    case 'ended':
      return 'ended'
    case 'paused':
      return answer.first ? 'paused' : 'paused_elsewhere'
    case 'early':
      return request.isCurrent ? 'early' : 'outdated'
    case 'stale':
      return request.isCurrent ? 'stale' : 'outdated'
    case 'unavailable':
      if (answer.unreadable) return 'unreadable'
      return answer.maybe ? 'maybe_claimed' : 'not_claimed'
  }
}

function decideGranted(
  request: TickRequest,
  answer: Extract<ClaimAnswer, { status: 'granted' }>,
  { now, monotonic, takesNoTicks, runsUnclaimed }: Situation
): Outcome {
  const { lock } = answer
  const { job } = request
  if (request.isCurrent && grantedTick(request, answer) <= job.accountedUntil) return 'ran_unclaimed'
  if (answer.isSkipped) return 'skipped'
  // A tick granted without a lock is only to be counted, whatever runs here.
  if (lock === null) return 'missed'
  // The answer may have come so late that the lock has expired.
  if (isOver(lock, monotonic)) return 'lock_over'
  if (takesNoTicks || job.removed) return 'not_taken'
  if (request.isMissed(now)) return 'missed'
  return runsUnclaimed ? 'overlap_unclaimed' : 'run'
}
