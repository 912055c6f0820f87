import type { ClaimAnswer, Coordination } from '../../types/coordination.js'
import type { Journal } from '../observability/journal.js'
import { isFromCompletion } from '../triggers/index.js'
import type { TickAccount } from './tick-account.js'
import type { TickRequest } from './tick-request.js'

/** What an answer says about the ticks before the one it grants. */
export type ClaimedBefore = Pick<Extract<ClaimAnswer, { status: 'granted' }>, 'previous' | 'resumedAt'>

/**
 * Accounts for ticks that were passed over.
 *
 * The replica that claims a tick accounts for all ticks since the previous claimed one, which the store's answer names.
 * So the fleet accounts for every tick once, even those that were due while no replica was up.
 */
export class PassedTicks {
  readonly #tally: TickAccount
  readonly #coordination: Coordination
  readonly #journal: Journal

  constructor(account: TickAccount, coordination: Coordination, journal: Journal) {
    this.#tally = account
    this.#coordination = coordination
    this.#journal = journal
  }

  /**
   * Accounts for the ticks that were claimed together with the granted one.
   *
   * @param after the time up to which every tick was accounted for when the answer came, see `knownBefore`; by default now
   */
  account(request: TickRequest, { previous, resumedAt }: ClaimedBefore, after?: number): void {
    if (!standsAlone(request, previous) && !isFromCompletion(request.trigger))
      this.#accountAll(request, resumedAt, after ?? accountedBefore(request, previous))
  }

  /**
   * The time up to which every tick is accounted for, by an answer and what this replica knows now: it will know of later
   * claims of its own by the time that it is known what became of this one.
   */
  knownBefore(request: TickRequest, { previous }: ClaimedBefore): number {
    return isFromCompletion(request.trigger) ? Number.NEGATIVE_INFINITY : accountedBefore(request, previous)
  }

  /** Accounts for the requested tick and those claimed with it, all of them as `paused`. */
  accountPaused(request: TickRequest, previous: number | null): void {
    const { scheduledTime } = request.tick
    this.#range(request, 'paused', accountedBefore(request, previous), scheduledTime)
    this.#journal.tickSkipped(request.job, scheduledTime, 'paused')
    this.#range(request, 'paused', scheduledTime, request.coversUntil + 1)
  }

  #accountAll(request: TickRequest, resumedAt: number | null, known: number): void {
    const { scheduledTime } = request.tick
    let after = known
    if (resumedAt !== null && resumedAt > after) {
      this.#range(request, 'paused', after, Math.min(scheduledTime, Math.floor(resumedAt) + 1))
      after = Math.floor(resumedAt)
    }
    this.#range(request, 'passed', after, scheduledTime)
    this.#range(request, 'passed', scheduledTime, request.coversUntil + 1)
  }

  /** Accounts for the ticks between two times, both exclusive, outside of the job's absences from this replica. */
  #range(request: TickRequest, as: 'passed' | 'paused', after: number, before: number): void {
    if (before <= after + 1) return
    const now = this.#coordination.now()
    let from = after
    for (const absence of request.isCurrent ? request.job.absences : []) {
      const until = Math.min(before, Math.floor(absence.from) + 1)
      if (until > from + 1) this.#tally[as](request, from, until, now)
      from = Math.max(from, absence.until)
    }
    if (before > from + 1) this.#tally[as](request, from, before, now)
  }
}

/** Whether no other tick was claimed together with the granted one, which is the usual case. */
function standsAlone({ job, tick, coversUntil }: TickRequest, previous: number | null): boolean {
  const { scheduledTime, firstLate, preceding } = tick
  if (firstLate < scheduledTime || coversUntil > scheduledTime) return false
  if (previous === null) return job.fleetSince === null || preceding !== null
  return preceding !== null && previous >= preceding
}

/** The time up to which every tick is accounted for, by the previous claimed tick and what this replica knows. */
function accountedBefore(request: TickRequest, previous: number | null): number {
  const { job, latest, tick } = request
  const { firstLate } = latest
  if (!request.isCurrent) return previous ?? firstLate - 1
  const { fleetSince, accountedUntil, takenUntil, claimedUntil } = job
  // A store that comes back with older data may name an earlier claim than this replica's own last one.
  if (previous !== null) return Math.max(previous, fleetSince ?? Number.NEGATIVE_INFINITY, accountedUntil, claimedUntil)
  // The store has no claim on record, or one of another trigger that other replicas still use. Only for this replica's
  // first tick does that mean that the ticks before it had no run.
  const isFirst = fleetSince !== null && tick.preceding === null
  const known = isFirst ? Math.max(fleetSince, Math.min(takenUntil, firstLate - 1)) : firstLate - 1
  return Math.max(known, accountedUntil)
}
