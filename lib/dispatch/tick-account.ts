import type { SkipReason } from '../../types/run.js'
import type { Trigger } from '../../types/trigger.js'
import type { JobRecord } from '../jobs/job.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import type { Journal } from '../observability/journal.js'
import { countTicks, latestTick } from '../triggers/index.js'

/** How many of the ticks passed over at once are reported one by one; the rest are reported as a range. */
const MAX_REPORTED = 1000

/** A job as it was when its ticks were requested; it may have another trigger since. */
export interface AccountedJob {
  readonly job: JobRecord
  readonly trigger: Trigger
  /** Its `misfireGraceTime`. */
  readonly grace: number | null
}

/**
 * Works out which ticks were passed over and why each of them had no run, and reports them to the journal. To tell
 * `redis_error` from `misfire`, it keeps the last time during which Redis did not answer.
 */
export class TickAccount {
  /** The last time, on the fleet's clock, during which Redis did not answer: its ticks are missed as `redis_error`. */
  #silence: { readonly from: number; readonly until: number } | null = null
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** Whether Redis did not answer the last call. */
  get isSilent(): boolean {
    return this.#silence?.until === Number.POSITIVE_INFINITY
  }

  /**
   * Notes whether Redis answered a call.
   *
   * @param sentAt when the call was made, on the fleet's clock
   */
  noteAnswer(answered: boolean, sentAt: number, now: number): void {
    if (!answered && !this.isSilent) this.#silence = { from: sentAt, until: Number.POSITIVE_INFINITY }
    if (answered && this.isSilent) this.#silence = { from: this.#silence?.from ?? sentAt, until: now }
  }

  /** Corrects the noted times: the fleet's clock has become known, and is `step` ahead of the one used until now. */
  moveTimes(step: number): void {
    const silence = this.#silence
    if (silence !== null) this.#silence = { from: silence.from + step, until: silence.until + step }
  }

  /**
   * Accounts for the ticks between two times, both exclusive, that were claimed together with another one: those beyond
   * their grace are missed, those within it coalesced. Called on the one replica that has claimed them.
   */
  passed(of: AccountedJob, after: number, before: number, now: number): void {
    const { grace } = of
    // The default grace of a tick ends before the next tick, so all of them are beyond it.
    const late = grace === null ? before : Math.max(after + 1, Math.min(before, Math.ceil(now - grace)))
    const silence = this.#silence
    const from = silence === null ? before : Math.ceil(openFrom(of, silence.from))
    const until = silence === null ? before : Math.ceil(silence.until)
    this.#report(of, after, Math.min(late, from), 'misfire')
    this.#report(of, Math.max(after, from - 1), Math.min(late, until), 'redis_error')
    this.#report(of, Math.max(after, from - 1, until - 1), late, 'misfire')
    this.#report(of, late - 1, before, 'coalesced')
  }

  /** Why a tick was missed. */
  reasonOf(of: AccountedJob, scheduledTime: number): 'misfire' | 'redis_error' {
    const silence = this.#silence
    if (silence === null || scheduledTime > silence.until) return 'misfire'
    return scheduledTime >= openFrom(of, silence.from) ? 'redis_error' : 'misfire'
  }

  /** Accounts for the ticks between two times, both exclusive, that had no run because the job was paused. */
  paused(of: AccountedJob, after: number, before: number): void {
    this.#report(of, after, before, 'paused')
  }

  /** Reports the ticks between two times, both exclusive. Those that operators have skipped are not missed. */
  #report(of: AccountedJob, after: number, before: number, reason: SkipReason): void {
    const { job, trigger } = of
    const isMissed = reason === 'misfire' || reason === 'redis_error'
    let from = after
    for (const tick of isMissed && before > after + 1 ? job.skippedBetween(after, before) : []) {
      if (trigger.next(tick - 1) !== tick) continue
      this.#reportAll(of, from, tick, reason, isMissed)
      this.#journal.tickSkipped(job, tick, 'operator')
      from = tick
    }
    this.#reportAll(of, from, before, reason, isMissed)
  }

  #reportAll(
    { job, trigger }: AccountedJob,
    after: number,
    before: number,
    reason: SkipReason,
    isMissed: boolean
  ): void {
    const journal = this.#journal
    let from = after
    if (journal.hearsEach(isMissed ? 'missed' : 'skipped')) {
      for (let reported = 0; reported < MAX_REPORTED; reported++) {
        const next = from < before - 1 ? trigger.next(from) : null
        if (next === null || next >= before) return
        if (isMissed) journal.tickMissed(job, next, reason)
        else journal.tickSkipped(job, next, reason)
        from = next
      }
    }
    if (from >= before - 1) return
    const count = countTicks(trigger, from, before)
    if (count === 0) return
    const last = latestTick(trigger, from, before - 1) ?? from
    const ticks = { first: trigger.next(from) ?? last, last, count }
    if (isMissed) journal.ticksMissed(job, ticks, reason)
    else journal.ticksSkipped(job, ticks, reason)
  }
}

/** The earliest scheduled time whose grace is not over at `time`. */
function openFrom({ trigger, grace }: AccountedJob, time: number): number {
  if (grace !== null) return time - grace
  // The default grace ends before the next tick, so at most one tick is within it.
  return latestTick(trigger, time - DEFAULT_GRACE - 1, Math.floor(time)) ?? time
}
