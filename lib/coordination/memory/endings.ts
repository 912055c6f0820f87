import type { Ending, HandBackAnswer, HandedBack, ReleaseAnswer, RunReport } from '../../../types/coordination.js'
import { GIVEN_UP } from '../claim-rules.js'
import { entryOf } from './queues.js'
import { type ClaimRecord, isHeldBy, JobLock, type Moment, releaseLock, type SlotRecord } from './record.js'
import { uncount } from './run-counts.js'
import { endSlot } from './slots.js'
import type { MemoryStore } from './store.js'

// How a claim ends in memory: its run is over, or it is handed back.

/** Records the end of a run, and releases its lock. */
export function finishRun(
  store: MemoryStore,
  { lock, finished, unbegun, keepsLock, report = null, isToldAgain = false }: Ending,
  { now, monotonic }: Moment
): ReleaseAnswer {
  const { token, name } = lock
  const run = JobLock.runOf(lock, store.jobs)
  const wasOpen = run?.runId === token ? run.isOpen : store.openRuns.isReplaced(token)
  if (finished && unbegun && store.openRuns.isReplaced(token)) uncount(store.jobs.get(name))
  const isAbandoned = store.openRuns.noteEnd(token)
  const isLast = run !== undefined && run.runId === token
  if (report !== null && !isAbandoned) {
    // A success is none without the lock, unless that has ended since the store did not answer.
    const isCertain =
      isToldAgain || report.outcome !== 'success' || (run !== undefined && isHeldBy(run, token, monotonic))
    noteReport(store, name, run, report, wasOpen && isCertain, now)
  }
  if (isLast) run.isOpen = false
  if (run === undefined || keepsLock) return isAbandoned ? 'abandoned' : 'lost'
  if (isLast && (finished || isLeftRequest(run, unbegun))) {
    // Nobody looks for a run by hand: its request waits again.
    if (!finished) store.queues.addFirst(name, entryOf(run))
    if (unbegun || !finished) {
      uncount(store.jobs.get(name))
      run.startedAt = 0
    }
    endRun(store, name, run, now, finished)
  }
  const attempt = run.attempt || run.replacedAttempt
  if (!finished && unbegun && isLast && attempt > 1) {
    // Nor is it replaced any more, as it has not begun.
    run.attempt = attempt - 1
    run.replacedAttempt = 0
    // Under no request's id: should the request be repeated, it takes the run over like any other.
    run.runId = GIVEN_UP
  }
  const answer = releaseLock(run, token, monotonic)
  return isAbandoned ? 'abandoned' : answer
}

/**
 * The outcome of a run is known.
 *
 * @param isFirst whether it was told for the first time
 */
function noteReport(
  { history }: MemoryStore,
  jobId: string,
  run: SlotRecord | undefined,
  report: RunReport,
  isFirst: boolean,
  now: number
): void {
  const kept = run?.history ?? history.of(jobId, now)
  if (run !== undefined) run.history = kept
  if (isFirst) history.noteEnd(kept, report, now)
  history.addReport(kept, report)
}

function isLeftRequest({ requestId }: SlotRecord, unbegun = false): boolean {
  return requestId !== '' && !unbegun
}

/**
 * A run is over, and not asked for again: nothing is left that would know it by its id.
 *
 * @param isDone whether its request is, too
 */
function endRun(store: MemoryStore, jobId: string, run: SlotRecord, now: number, isDone: boolean): void {
  const { runId, slot } = run
  const isFirst = slot === 1
  const record = isFirst ? (run as ClaimRecord) : store.jobs.get(jobId)
  run.endedAt = now
  run.runId = ''
  if (isDone) store.queues.forgetRequest(run.requestId)
  if (record === undefined) return
  if (record.claimedBy === runId) record.claimedBy = ''
  if (isFirst) return
  record.lastBegun = Math.max(record.lastBegun, run.startedAt)
  // An interval from the last end is measured from that of any run.
  if (record.endedAt !== 0) record.endedAt = now
  endSlot(record, run)
}

/** Hands a claim back: its run will not begin, and its tick can be claimed again unless a later one was. */
export function handBackClaim(
  store: MemoryStore,
  { lock, scheduledTime, afterCompletion, waited }: HandedBack,
  { now, monotonic }: Moment
): HandBackAnswer {
  const { name, token } = lock
  const record = store.jobs.get(name)
  // Its slot may have another run by now: what it was for waits again all the same.
  const lost = waited ? store.openRuns.takeReplaced(token) : null
  if (!waited && store.openRuns.isReplaced(token)) uncount(record)
  store.openRuns.noteEnd(token)
  if (record === undefined) return 'not_ours'
  const run = JobLock.runOf(lock, store.jobs)
  if (run !== undefined) releaseLock(run, token, monotonic)
  const isOpen = run !== undefined && run.runId === token && run.endedAt === 0
  const entry = isOpen && waited ? entryOf(run) : lost
  const isPassed =
    entry?.kind === 'tick' &&
    (store.queues.tickOf(name) !== undefined || (!isOpen && record.tick > entry.scheduledTime))
  // A request is counted when its run begins, a tick when it comes to wait.
  if ((isOpen || entry !== null) && (entry?.kind !== 'tick' || isPassed)) uncount(record)
  if (isOpen) {
    run.startedAt = 0
    run.runId = ''
    run.isOpen = false
    run.endedAt = afterCompletion > 0 ? scheduledTime - afterCompletion : now
    if (run.slot > 1) endSlot(record, run)
  }
  if (waited) {
    if (entry === null) return 'not_ours'
    if (entry.kind === 'tick' && isPassed) return `wasted ${entry.scheduledTime}`
    store.queues.addFirst(name, entry)
    return 'free'
  }
  if (record.claimedBy !== token) return isOpen ? 'wasted' : 'not_ours'
  record.claimedBy = ''
  if (store.queues.deleteTickOf(name, token)) uncount(record)
  store.blocks.forget(record.tick)
  // A date that was claimed beside the ticks of another trigger.
  for (const [trigger, by] of record.dates ?? []) if (by === token) record.dates?.delete(trigger)
  record.tick = record.previous
  return 'free'
}
