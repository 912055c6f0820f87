import type { AdminRank, AdminState } from '../../../types/admin.js'
import type { HistoryTicks } from '../../../types/history.js'
import type { RunOutcome, SkipReason } from '../../../types/run.js'
import type { JobStatus } from '../../../types/status.js'

/** In the order in which jobs are shown. */
export const STATES = [
  'overdue',
  'failing',
  'missed',
  'overlapping',
  'running',
  'paused',
  'on_time',
  'gone'
] as const satisfies readonly AdminState[]

export const RANK_OF: Readonly<Record<AdminState, AdminRank>> = {
  overdue: 'attention',
  failing: 'attention',
  missed: 'attention',
  overlapping: 'attention',
  running: 'running',
  paused: 'paused',
  on_time: 'on_time',
  gone: 'gone'
}

/** Why a tick has no run that nobody has meant to lose. */
const MISSED: ReadonlySet<SkipReason> = new Set(['misfire', 'redis_error', 'shutdown'])

export interface KnownState {
  readonly status: Pick<JobStatus, 'paused' | 'isOverdue' | 'consecutiveFailures' | 'running' | 'lastRun'>
  /** The newest ticks without a run; `null` for none. */
  readonly lastTicks: HistoryTicks | null
  /** How the last run ended; `null` where that is not known. */
  readonly lastOutcome: RunOutcome | null
  /** Whether no living replica has it. */
  readonly isGone: boolean
}

/** How a job stands, in one word: the first that holds. */
export function stateOf({ status, lastTicks, lastOutcome, isGone }: KnownState): AdminState {
  if (isGone) return 'gone'
  if (status.paused) return 'paused'
  if (status.isOverdue) return 'overdue'
  // Somebody has meant a cancelled run to end.
  const isCancelled = lastOutcome === 'cancelled' && status.consecutiveFailures === 1
  if (status.consecutiveFailures > 0 && !isCancelled) return 'failing'
  if (lastTicks !== null && lastTicks.last > (status.lastRun?.scheduledTime ?? 0)) {
    if (MISSED.has(lastTicks.reason)) return 'missed'
    if (lastTicks.reason === 'overlap' && status.running.length > 0) return 'overlapping'
  }
  return status.running.length > 0 ? 'running' : 'on_time'
}
