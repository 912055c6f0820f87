import type { SkipReason } from '../../types/run.js'
import type { JobRecord } from '../job-record.js'
import type { Events } from '../observability/events.js'
import type { DueTick } from '../timetable.js'

/** How many ticks that one tick stands for are counted and told of. */
const MAX_COALESCED = 1000

/** Accounts for the ticks that have no run: each is counted with one reason, and told to whoever listens. */
export class TickAccount {
  readonly #events: Events

  constructor(events: Events) {
    this.#events = events
  }

  /** A tick has no run on this replica. */
  skipped(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    job.stats.skipped[reason]++
    if (this.#events.has('skipped')) this.#events.emit('skipped', { job: job.view, scheduledTime, reason })
  }

  /** A tick will have no run on any replica. */
  missed(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    job.stats.missed++
    if (this.#events.has('missed')) this.#events.emit('missed', { job: job.view, scheduledTime, reason })
    this.skipped(job, scheduledTime, reason)
  }

  /** A run could not have its lock: another run holds it, or Redis did not answer. */
  lockFailed(job: JobRecord, scheduledTime: number, reason: 'held' | 'error'): void {
    if (reason === 'held') job.stats.lockFailedHeld++
    else job.stats.lockFailedError++
    if (this.#events.has('lockFailed')) this.#events.emit('lockFailed', { job: job.view, scheduledTime, reason })
  }

  /**
   * The late ticks that a claimed tick stands for, but for those that a replica claimed in their time.
   *
   * @param firstLate the earliest of them
   * @param previous the tick claimed before this one, or `null`
   */
  coalesced(job: JobRecord, { scheduledTime }: DueTick, firstLate: number, previous: number | null): void {
    let after = Math.max(firstLate - 1, previous ?? Number.NEGATIVE_INFINITY)
    for (let count = 0; count < MAX_COALESCED; count++) {
      const next = job.trigger.next(after)
      if (next === null || next >= scheduledTime) return
      this.skipped(job, next, 'coalesced')
      after = next
    }
  }
}
