import type { Ending, HandBackAnswer, HandedBack, ReleaseAnswer } from '../../../types/coordination.js'
import { GIVEN_UP } from '../claim-rules.js'
import { JobLock, type Moment, releaseLock } from './record.js'
import type { MemoryStore } from './store.js'

// How a claim ends in memory: its run is over, or it is handed back.

/** Records the end of a run, and releases its lock. */
export function finishRun(
  store: MemoryStore,
  { lock, finished, unbegun, keepsLock }: Ending,
  { now, monotonic }: Moment
): ReleaseAnswer {
  const { token } = lock
  const record = JobLock.recordOf(lock, store.jobs)
  const isAbandoned = store.openRuns.noteEnd(token)
  const isLast = record !== undefined && record.runId === token
  if (isLast) record.isOpen = false
  if (record === undefined || keepsLock) return isAbandoned ? 'abandoned' : 'lost'
  if (finished && isLast) {
    record.endedAt = now
    // It is over, and not asked for again: nothing is left that would know it by its id.
    record.runId = ''
    if (record.claimedBy === token) record.claimedBy = ''
  }
  if (!finished && unbegun && isLast && record.attempt > 1) {
    record.attempt--
    // Under no request's id: should the request be repeated, it takes the run over like any other.
    record.runId = GIVEN_UP
  }
  const answer = releaseLock(record, token, monotonic)
  return isAbandoned ? 'abandoned' : answer
}

/** Hands a claim back: its run will not begin, and its tick can be claimed again unless a later one was. */
export function handBackClaim(
  store: MemoryStore,
  { lock, scheduledTime, afterCompletion }: HandedBack,
  { now, monotonic }: Moment
): HandBackAnswer {
  const { name, token } = lock
  const record = store.jobs.get(name)
  store.openRuns.noteEnd(token)
  if (record === undefined) return 'not_ours'
  releaseLock(record, token, monotonic)
  const isOpen = record.runId === token && record.endedAt === 0
  if (isOpen) {
    record.runId = ''
    record.isOpen = false
    record.endedAt = afterCompletion > 0 ? scheduledTime - afterCompletion : now
  }
  if (record.claimedBy !== token) return isOpen ? 'wasted' : 'not_ours'
  record.claimedBy = ''
  store.blocks.forget(record.tick)
  // A date that was claimed beside the ticks of another trigger.
  for (const [trigger, by] of record.dates ?? []) if (by === token) record.dates?.delete(trigger)
  record.tick = record.previous
  return 'free'
}
