import type { SkipReason } from '../../types/run.js'
import type { Trigger } from '../../types/trigger.js'
import type { JobRecord } from '../jobs/job.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import type { Journal } from '../observability/journal.js'
import { countTicks, latestTick } from '../triggers/index.js'

/** How many of the ticks that were passed over at once are told one by one; the others are told as a range. */
const MAX_TOLD = 1000

/** What ticks are accounted by: a job as it was when they were asked for; it may have another trigger since. */
export interface AccountedJob {
  readonly job: JobRecord
  readonly trigger: Trigger
  /** Its `misfireGraceTime`. */
  readonly grace: number | null
}

/**
 * Works out which ticks were passed over, and why each of them had no run, and tells the journal. For that it keeps when
 * Redis last did not answer.
 */
export class TickAccount {
  /** When Redis last did not answer, by the fleet's clock: ticks of that time are missed as `redis_error`. */
  #silence: { readonly from: number; readonly until: number } | null = null
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** Whether Redis did not answer when it was last asked. */
  get isSilent(): boolean {
    return this.#silence?.until === Number.POSITIVE_INFINITY
  }

  /**
   * @param answered whether Redis answered
   * @param sentAt when it was asked
   */
  noteAnswer(answered: boolean, sentAt: number, now: number): void {
    if (!answered && !this.isSilent) this.#silence = { from: sentAt, until: Number.POSITIVE_INFINITY }
    if (answered && this.isSilent) this.#silence = { from: this.#silence?.from ?? sentAt, until: now }
  }

  /** The fleet's clock is known, and what was noted by it before is off by `step`. */
  moveTimes(step: number): void {
    const silence = this.#silence
    if (silence !== null) this.#silence = { from: silence.from + step, until: silence.until + step }
  }

  /**
   * The ticks between two times, neither included, that were taken with a later one: those beyond their grace are
   * missed, those within it coalesced. Called by the one replica that has taken them.
   */
  passed(of: AccountedJob, after: number, before: number, now: number): void {
    const { grace } = of
    // The default grace of a tick ends before the next tick, so all of them are beyond it.
    const late = grace === null ? before : Math.max(after + 1, Math.min(before, Math.ceil(now - grace)))
    const silence = this.#silence
    const from = silence === null ? before : Math.ceil(openFrom(of, silence.from))
    const until = silence === null ? before : Math.ceil(silence.until)
    this.#range(of, after, Math.min(late, from), 'misfire')
    this.#range(of, Math.max(after, from - 1), Math.min(late, until), 'redis_error')
    this.#range(of, Math.max(after, from - 1, until - 1), late, 'misfire')
    this.#range(of, late - 1, before, 'coalesced')
  }

  /** Why a tick that is too late to run is so. */
  reasonOf(of: AccountedJob, scheduledTime: number): 'misfire' | 'redis_error' {
    const silence = this.#silence
    if (silence === null || scheduledTime > silence.until) return 'misfire'
    return scheduledTime >= openFrom(of, silence.from) ? 'redis_error' : 'misfire'
  }

  /** The ticks between two times, neither included, that had no run as the job was paused. */
  paused(of: AccountedJob, after: number, before: number): void {
    this.#range(of, after, before, 'paused')
  }

  /** Tells the journal of the ticks between two times, neither included. */
  #range({ job, trigger }: AccountedJob, after: number, before: number, reason: SkipReason): void {
    const journal = this.#journal
    const isMissed = reason === 'misfire' || reason === 'redis_error'
    let from = after
    if (journal.hearsEach(isMissed ? 'missed' : 'skipped')) {
      for (let told = 0; told < MAX_TOLD; told++) {
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

/** From when on the grace of a job's ticks is not over at a time. */
function openFrom({ trigger, grace }: AccountedJob, time: number): number {
  if (grace !== null) return time - grace
  // By default it ends before the next tick, so that there is one at most.
  return latestTick(trigger, time - DEFAULT_GRACE - 1, Math.floor(time)) ?? time
}
