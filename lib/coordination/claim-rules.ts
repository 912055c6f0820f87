import type { ClaimKind, ClaimRequest, Fingerprint } from '../../types/coordination.js'
import { hasSameTrigger, isDate } from '../jobs/fingerprint.js'
import { ABANDONED_AFTER, GIVEN_UP, KEEP_SINCE, MAX_ATTEMPTS } from './redis/constants.js'

// The rules of a claim that memory and the Lua scripts have in common. Memory calls these; the scripts say the same in Lua,
// and one table of test/coordination/claim-rules.test.ts holds both to it.

export { ABANDONED_AFTER, GIVEN_UP, MAX_ATTEMPTS }

/** The last granted run of a job, as far as a takeover is concerned. */
interface LastRun {
  readonly runId: string
  /** 0 while it goes on. */
  readonly endedAt: number
  /** 0 when nobody is to take it over. */
  readonly attempt: number
}

/** Whether a run has begun and not ended, so that it is to be taken over once its lock is free. */
export function isUnfinished({ runId, endedAt, attempt }: LastRun): boolean {
  return runId !== '' && endedAt === 0 && attempt > 0 && attempt < MAX_ATTEMPTS
}

/** How many runs of a job the fleet begins, and how many have begun. */
interface RunCount {
  readonly maxRuns: number | null
}

/** Whether a job has had all of its runs. */
export function hasEnded({ maxRuns }: RunCount, runs: number): boolean {
  return maxRuns !== null && runs >= maxRuns
}

/** The attempt that a run begins with. */
export function firstAttempt(rerun: boolean, kind: ClaimKind): number {
  return rerun && kind !== 'manual' ? 1 : 0
}

/**
 * The tick up to which all ticks of a trigger are accounted for; ticks of another trigger say nothing of this one's.
 *
 * @param tick -1 for none
 * @param claimedAs what it was claimed as
 */
export function accounted(tick: number, claimedAs: Fingerprint, fingerprint: Fingerprint): number | null {
  return tick < 0 || !hasSameTrigger(claimedAs, fingerprint) ? null : tick
}

/** When the job was resumed, where that is later than the tick before: the ticks until then were paused. */
export function resumedAfter(previous: number | null, resumedAt: number): number | null {
  return resumedAt > (previous ?? Number.NEGATIVE_INFINITY) ? resumedAt : null
}

/**
 * Whether a request is for a date that takes the place of another trigger whose ticks are later: a tick of its own, which
 * is claimed beside them.
 */
export function isDateBeside(claimedAs: Fingerprint, fingerprint: Fingerprint): boolean {
  return isDate(fingerprint) && !hasSameTrigger(claimedAs, fingerprint)
}

/** When an interval from the last end is due: measured from the end of the last run, or from the last tick without one. */
export function dueAfter(endedAt: number, tick: number, request: ClaimRequest): number {
  return Math.max(Math.max(endedAt, tick) + request.afterCompletion, request.scheduledTime)
}

/** Whether a tick that finds the job's lock held stays unclaimed, as it waits for it; a paused one is counted. */
export function waitsForLock({ waits, kind }: ClaimRequest, paused: boolean): boolean {
  return waits && kind === 'tick' && !paused
}

/**
 * For how long it is remembered since when the fleet has had a job, from the first claim of its trigger on: then its claims
 * say what was taken.
 */
export function sinceRetention(retention: number): number {
  return Math.min(retention, KEEP_SINCE)
}

/**
 * Whether a run is held to be abandoned: some seconds after its lock has ended, as its holder may be about to say that it
 * has ended.
 */
export function isOverdue(lockedUntil: number, now: number): boolean {
  return lockedUntil + ABANDONED_AFTER <= now
}

/** The fencing token after `fence`: never below the time in microseconds, so that tokens increase when a counter is lost. */
export function fenceAfter(fence: number, now: number): number {
  return Math.max(fence + 1, Math.floor(now * 1000))
}
