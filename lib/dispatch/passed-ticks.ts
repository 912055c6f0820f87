import type { ClaimAnswer, Coordination } from '../../types/coordination.js'
import type { Journal } from '../observability/journal.js'
import { isFromCompletion } from '../triggers/index.js'
import type { AskedTick } from './asked-tick.js'
import type { TickAccount } from './tick-account.js'

/** What an answer says of the ticks before the one that it is about. */
export type TakenBefore = Pick<Extract<ClaimAnswer, { status: 'granted' }>, 'previous' | 'resumedAt'>

/**
 * Accounts for ticks that were passed over.
 *
 * Who takes a tick accounts for all ticks since the one taken before it: the store says which that was. So each tick is
 * accounted for once in the fleet, also those that nobody was there for.
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

  /** Accounts for the ticks that were taken together with the one that is answered. */
  account(asked: AskedTick, { previous, resumedAt }: TakenBefore): void {
    if (!isAlone(asked, previous) && !isFromCompletion(asked.trigger)) this.#accountAll(asked, previous, resumedAt)
  }

  /** As `account`, of a job that is paused. */
  accountPaused(asked: AskedTick, previous: number | null): void {
    const { scheduledTime } = asked.tick
    this.#range(asked, 'paused', accountedBefore(asked, previous), scheduledTime)
    this.#journal.tickSkipped(asked.job, scheduledTime, 'paused')
    this.#range(asked, 'paused', scheduledTime, asked.coversUntil + 1)
  }

  #accountAll(asked: AskedTick, previous: number | null, resumedAt: number | null): void {
    const { scheduledTime } = asked.tick
    let after = accountedBefore(asked, previous)
    if (resumedAt !== null && resumedAt > after) {
      this.#range(asked, 'paused', after, Math.min(scheduledTime, Math.floor(resumedAt) + 1))
      after = Math.floor(resumedAt)
    }
    this.#range(asked, 'passed', after, scheduledTime)
    this.#range(asked, 'passed', scheduledTime, asked.coversUntil + 1)
  }

  /** Accounts for the ticks between two times, neither included, except for those of a time in which the job was not here. */
  #range(asked: AskedTick, as: 'passed' | 'paused', after: number, before: number): void {
    if (before <= after + 1) return
    const now = this.#coordination.now()
    let from = after
    for (const absence of asked.isCurrent ? asked.job.absences : []) {
      const until = Math.min(before, Math.floor(absence.from) + 1)
      if (until > from + 1) this.#tally[as](asked, from, until, now)
      from = Math.max(from, absence.until)
    }
    if (before > from + 1) this.#tally[as](asked, from, before, now)
  }
}

/** Whether no ticks were taken with the one that is answered, which is so most often. */
function isAlone({ job, tick, coversUntil }: AskedTick, previous: number | null): boolean {
  const { scheduledTime, firstLate, preceding } = tick
  if (firstLate < scheduledTime || coversUntil > scheduledTime) return false
  if (previous === null) return job.fleetSince === null || preceding !== null
  return preceding !== null && previous >= preceding
}

/** Up to when there is nothing to account for, by the tick that was taken before and what this replica knows. */
function accountedBefore(asked: AskedTick, previous: number | null): number {
  const { job, latest, tick } = asked
  const { firstLate } = latest
  if (!asked.isCurrent) return previous ?? firstLate - 1
  const { fleetSince, accountedUntil, takenUntil } = job
  if (previous !== null) return Math.max(previous, fleetSince ?? Number.NEGATIVE_INFINITY, accountedUntil)
  // Nothing is on record, or a tick of another trigger, of replicas that are there as well: only of the first tick it
  // follows that those before it had no run.
  const isFirst = fleetSince !== null && tick.preceding === null
  const known = isFirst ? Math.max(fleetSince, Math.min(takenUntil, firstLate - 1)) : firstLate - 1
  return Math.max(known, accountedUntil)
}
