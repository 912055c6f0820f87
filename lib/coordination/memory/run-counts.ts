import type { ClaimAnswer, ClaimRequest } from '../../../types/coordination.js'
import { hasEnded } from '../claim-rules.js'
import { type ClaimRecord, isHeld, type Moment } from './record.js'
import { heldSlots, slotOfRun } from './slots.js'
import type { MemoryStore } from './store.js'

// How many runs a job has begun, for `maxRuns`, and when the last one did, for `runOnStart`. The steps are those of
// lua/claim.lua.

/** Counts a run, where they are counted. */
export function countRun(record: ClaimRecord, { maxRuns }: ClaimRequest): void {
  if (maxRuns !== null || record.runCount > 0) record.runCount++
}

/** A run has not begun after all: it is none of those that are counted. */
export function uncount(record: ClaimRecord | undefined): void {
  if (record !== undefined) record.runCount = Math.max(0, record.runCount - 1)
}

/** What an answer that gives a run says where that is the job's last. */
export function lastOf(request: ClaimRequest, { runCount }: ClaimRecord): { readonly isLast?: true } {
  return hasEnded(request, runCount) ? { isLast: true } : {}
}

/** Whether the job's last run, in its first slot, is a request's own and goes on. */
export function isOngoing({ runId, endedAt }: ClaimRecord, ownId: string): boolean {
  return runId === ownId && endedAt === 0
}

/** Refuses a request as the job has had all of its runs, or one as a replica starts; `null` where it does not. */
export function refuseByRuns(
  store: MemoryStore,
  request: ClaimRequest,
  record: ClaimRecord | undefined,
  moment: Moment
): ClaimAnswer | null {
  const { monotonic } = moment
  const { jobId, kind, runId } = request
  if (record !== undefined && hasEnded(request, record.runCount)) {
    // The tick, or a run, may be the request's own, as its reply was lost.
    if (record.claimedBy !== runId && !isOngoing(record, runId) && slotOfRun(record, runId) === undefined) {
      const goesOn = isHeld(record, monotonic) || heldSlots(record, monotonic).length > 0
      const isSettled = !goesOn && store.queues.tickOf(jobId) === undefined
      return { status: 'ended', last: record.tick, isSettled }
    }
  }
  const isRefused = kind === 'start' && isRefusedAtStart(store, request, record, moment)
  return isRefused ? { status: 'claimed_elsewhere', last: null } : null
}

/** Whether there is to be no run at the start of a replica: the job is paused, or a run has begun since a time. */
function isRefusedAtStart(
  store: MemoryStore,
  { jobId, runId, coversUntil, slots, group = '' }: ClaimRequest,
  record: ClaimRecord | undefined,
  moment: Moment
): boolean {
  const { monotonic } = moment
  if (store.pauses.isPaused(jobId, group, moment.now)) return true
  // What only asks whether all runs are over is never granted.
  if (record === undefined) return coversUntil < 0
  // Between requests whose votes are split it is decided as between runs by hand.
  if (slots === 1 && isHeld(record, monotonic) && record.token !== runId) return false
  const runs = [record, ...(record.slots?.values() ?? [])].filter((run) => run.runId !== runId)
  return record.lastBegun > coversUntil || runs.some(({ startedAt }) => startedAt > coversUntil)
}
