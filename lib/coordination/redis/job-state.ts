import type { JobState, SurveyRequest } from '../../../types/coordination.js'
import { MAX_ATTEMPTS, NOBODY, RESUMED_MARK, UNCONFIRMED_MARK } from './constants.js'
import type { ClaimRecord } from './record.js'

/**
 * Reads what Redis remembers of a job.
 *
 * @param record what it has of its claims; `null` for nothing
 * @param pause what is noted of its pause, `''` for nothing
 * @param since since when the fleet has had it; `null` where that is not accounted for
 */
export function readState(
  { fingerprint }: SurveyRequest,
  record: ClaimRecord | null,
  pause: string,
  since: number | null
): JobState {
  const isResumed = pause.startsWith(RESUMED_MARK)
  const resumedAt = isResumed ? Number.parseInt(pause.slice(RESUMED_MARK.length), 10) || null : null
  const unclaimed = { paused: pause !== '' && !isResumed, previous: resumedAt, since, runs: 0, unfinished: false }
  if (record === null) return unclaimed
  const { tick, previous, claimedBy, endedAt, runId, attempt, trigger, runs } = record
  const last = claimedBy.startsWith(UNCONFIRMED_MARK) ? previous : tick
  const isUnfinished = endedAt === 0 && runId !== NOBODY && claimedBy !== UNCONFIRMED_MARK + runId
  return {
    ...unclaimed,
    runs,
    previous: last < 0 || trigger !== fingerprint.trigger ? resumedAt : Math.max(last, resumedAt ?? -1),
    unfinished: isUnfinished && attempt > 0 && attempt < MAX_ATTEMPTS
  }
}
