import type { Trigger } from '../../types/trigger.js'
import { SECOND } from '../base/duration.js'
import type { DueTick } from '../timetable/timetable.js'
import { mayBeTick } from '../triggers/index.js'
import { HandBacks } from './hand-backs.js'

/** A time in which this replica did not have a job with its trigger: ticks later than `from`, up to `until`. */
export interface Absence {
  readonly from: number
  readonly until: number
}

/** What a block of jobs knows of the ticks of all of them. */
export interface BlockState {
  /** How many of its jobs have a due tick of their own. */
  pending: number
  /** Moves what is known to be taken of all of them into the jobs themselves. */
  flushTaken(): void
}

/**
 * What is due of a job in this process, and what is known of its ticks. Nothing else writes these fields. They are plain
 * fields of the job, as several of them are read for each tick.
 *
 * A due tick goes this way; `pending` is the tick that waits, `queued` whether the job stands in the queue:
 *
 *                addDue                    enterQueue               leaveQueue, takeDue
 *     nothing ------------> due, pending --------------> queued --------------------------> asked for
 *        ^                       ^                                                              |
 *        |                       +---- putBack: no answer, or handed back and free again -------+
 *        |                       +---- keepLater: the answer covers only some of what was due ---+
 *        +---------------------------- noteTaken, noteOwn: the answer covers all that was due ---+
 *
 * One tick waits at most: a later one stands for those before it, and its `firstLate` is the earliest of them.
 */
export abstract class DueState {
  abstract readonly trigger: Trigger
  /** Whether the job has one tick: a date. */
  abstract readonly isOnce: boolean
  abstract readonly block: BlockState | null
  #pending: DueTick | null = null
  #queued = false
  #takenUntil = Number.NEGATIVE_INFINITY
  #claimedUntil = Number.NEGATIVE_INFINITY
  #accountedUntil = Number.NEGATIVE_INFINITY
  #presentSince = Number.NEGATIVE_INFINITY
  #firstPresentSince: number | null = null
  #fleetSince: number | null = null
  #absences: readonly Absence[] = []
  #lastUnlocked: number | null = null
  #lastUnanswered: number | null = null
  #lastHeld: number | null = null
  #handBacks: HandBacks | null = null
  /** The last claim that was handed back of a tick which the trigger does not have: each is reported again and again. */
  #foreignHandBack = ''

  /** The due tick that is to be asked for; `null` for none. */
  get pending(): DueTick | null {
    return this.#pending
  }

  /** Whether the job stands in the queue of those to be asked for. */
  get queued(): boolean {
    return this.#queued
  }

  /** The latest tick that is known to be taken, by whichever replica. */
  get takenUntil(): number {
    this.block?.flushTaken()
    return this.#takenUntil
  }

  /** The latest tick that this replica has run, or counted as its own: nobody hands it back. */
  get claimedUntil(): number {
    return this.#claimedUntil
  }

  /**
   * Up to when this replica has no tick to account for, whatever the store says: the latest tick that it ran without a
   * claim, as Redis did not answer (`onRedisError: 'run'`).
   */
  get accountedUntil(): number {
    return this.#accountedUntil
  }

  /** Since when this replica has had the job's ticks, by the fleet's clock; `-Infinity` before. */
  get presentSince(): number {
    return this.#presentSince
  }

  /**
   * Of a job that was removed and has come back: when this replica first had it with this trigger, or the last tick that was
   * taken before it was removed. Else `null`.
   */
  get firstPresentSince(): number | null {
    return this.#firstPresentSince
  }

  /** The times in which this replica did not have the job, of one that has come back. */
  get absences(): readonly Absence[] {
    return this.#absences
  }

  /** Since when the fleet has had the job's ticks, by the store; `null` while that is not known. */
  get fleetSince(): number | null {
    return this.#fleetSince
  }

  /** The last tick that came without a claim, for a job with `lock: false`; `null` before the first. */
  get lastUnlocked(): number | null {
    return this.#lastUnlocked
  }

  /** The tick for which it was last reported that the lock is held; `null` once the lock was had. */
  get lastHeld(): number | null {
    return this.#lastHeld
  }

  /** A tick is due: it waits, or stands for the one that waited. */
  addDue(tick: DueTick): void {
    const waited = this.#pending
    if (waited === null) this.#setPending(tick)
    else if (tick.scheduledTime > waited.scheduledTime) this.#setPending(since(tick, waited.firstLate))
    else if (tick.caughtUp) this.#setPending(since(waited, tick.firstLate))
    // The clock was set back: what waited was a tick of the future, which will come again.
    else this.#setPending(tick)
  }

  /** Takes the due tick, to ask for it or to drop it: a later one of the job is a new one. */
  takeDue(): DueTick | null {
    const tick = this.#pending
    this.#setPending(null)
    return tick
  }

  /** A tick that was asked for is still to be had: it waits again, beside what came due meanwhile. */
  putBack(tick: DueTick): void {
    const waited = this.#pending
    this.#setPending(waited === null ? tick : since(waited, tick.firstLate))
  }

  /**
   * Lets what is covered by an answer go, and what is later wait again.
   *
   * @param latest the latest tick that was due when the job was asked for
   * @returns whether a tick waits
   */
  keepDueAfter(latest: DueTick, coversUntil: number): boolean {
    const waited = this.#pending
    const isCovered = waited !== null && waited.scheduledTime <= coversUntil
    if (latest.scheduledTime <= coversUntil) {
      if (isCovered) this.#setPending(null)
      return waited !== null && !isCovered
    }
    const tick = waited === null || isCovered ? latest : waited
    const firstLate = this.nextTick(coversUntil) ?? latest.scheduledTime
    this.#setPending(tick.firstLate === firstLate ? tick : { ...tick, firstLate })
    return true
  }

  enterQueue(): void {
    this.#queued = true
  }

  leaveQueue(): void {
    this.#queued = false
  }

  /** All ticks up to this one are taken, by whichever replica; an earlier one where a claim was handed back. */
  noteTaken(tick: number): void {
    this.#takenUntil = tick
  }

  /** As `noteTaken`, where it may be known already. */
  noteTakenAtLeast(tick: number): void {
    if (tick > this.#takenUntil) this.#takenUntil = tick
  }

  /** This replica has taken a tick: it runs it, or has accounted for it. */
  noteClaimedHere(tick: number): void {
    this.#takenUntil = tick
    this.#claimedUntil = tick
  }

  /** All ticks up to this one need no accounting by this replica. */
  noteAccounted(tick: number): void {
    if (tick > this.#accountedUntil) this.#accountedUntil = tick
  }

  noteFleetSince(time: number | null): void {
    this.#fleetSince = time
  }

  /** A tick came without a claim. */
  noteUnlocked(tick: number): void {
    this.#lastUnlocked = tick
  }

  /** Redis did not answer for a tick. Whether that is news: it is reported once a tick, however often it is tried. */
  noteUnanswered(tick: number): boolean {
    if (this.#lastUnanswered === tick) return false
    this.#lastUnanswered = tick
    return true
  }

  /** The lock is held, and a tick has to wait for it or is skipped. */
  noteHeld(tick: number): void {
    this.#lastHeld = tick
  }

  /** The lock was had. */
  noteLocked(): void {
    this.#lastHeld = null
  }

  /**
   * A claim of the job was handed back, as of `HandBacks.note`. Whether that is news of one of its ticks: it may be one of
   * another trigger, which the job had before, or has on another replica.
   */
  noteHandedBack(tick: number, by: string, heard: number): boolean {
    if (by === this.#foreignHandBack) return false
    if (!mayBeTick(this.trigger, tick)) {
      this.#foreignHandBack = by
      return false
    }
    this.#handBacks ??= new HandBacks()
    if (!this.#handBacks.note(tick, by, heard)) return false
    this.#takenUntil = Math.min(this.takenUntil, tick - 1)
    return true
  }

  /** As of `HandBacks.isNewsSince`. */
  isFreeSince(tick: number, asked: number): boolean {
    return this.#handBacks?.isNewsSince(tick, asked) ?? false
  }

  /** The job's ticks begin here: those due later are its own, earlier ones were never due here. */
  begin(now: number): void {
    this.#presentSince = now
  }

  /** As `begin`, of a job that is new, or has another trigger: nothing is known of its ticks. */
  forget(): void {
    this.#firstPresentSince = null
    this.#takenUntil = Number.NEGATIVE_INFINITY
    this.#claimedUntil = Number.NEGATIVE_INFINITY
    this.#accountedUntil = Number.NEGATIVE_INFINITY
    this.#fleetSince = null
    this.#absences = []
  }

  /** What was known of a job when it was removed is known again, as it has come back. */
  remember(firstPresentSince: number, accountedUntil: number, absences: readonly Absence[]): void {
    this.#firstPresentSince = firstPresentSince
    this.#accountedUntil = accountedUntil
    this.#absences = absences
  }

  /** The job has another trigger: what waits is a tick of the old one. */
  dropDue(): void {
    this.#setPending(null)
    this.#lastUnlocked = null
  }

  /** The next tick later than a time, except for those of a time in which the job was not here. */
  nextTick(after: number): number | null {
    let tick = this.trigger.next(after)
    for (const { from, until } of this.#absences) {
      if (tick !== null && tick > from && tick <= until) tick = this.trigger.next(until)
    }
    return tick
  }

  /** The clock was corrected by a step back: what is later than `floor` is still to come. */
  correct(now: number, floor: number): void {
    this.#presentSince = Math.min(this.#presentSince, now)
    this.#accountedUntil = Math.min(this.#accountedUntil, floor)
    this.#takenUntil = Math.min(this.takenUntil, floor)
    this.#claimedUntil = Number.NEGATIVE_INFINITY
    if (this.#lastUnlocked !== null) this.#lastUnlocked = Math.min(this.#lastUnlocked, floor)
  }

  /**
   * Corrects what was noted by this process' own clock: the store's, which is known by now, is `step` ahead of it. What ran
   * without a claim stands for the tick that was due then or next, not for the one whose name it had.
   */
  moveTimes(step: number, now: number): void {
    this.#presentSince += step
    if (this.#firstPresentSince !== null) this.#firstPresentSince += step
    this.#absences = this.#absences.map(({ from, until }) => ({ from: from + step, until: Math.floor(until + step) }))
    this.#accountedUntil = this.#moved(this.#accountedUntil, step, now)
    // A date that has been is not twice.
    if (this.#lastUnlocked !== null && !this.isOnce) this.#lastUnlocked = this.#moved(this.#lastUnlocked, step, now)
  }

  #moved(tick: number, step: number, now: number): number {
    const ran = tick + step
    // A clock that is wrong by whole periods is so by a little more or less.
    const due = Number.isFinite(ran) ? this.trigger.next(ran - SECOND) : null
    return due !== null && due <= now ? due : Math.floor(Math.min(ran, now))
  }

  #setPending(tick: DueTick | null): void {
    const { block } = this
    if (block !== null) block.pending += (tick === null ? 0 : 1) - (this.#pending === null ? 0 : 1)
    this.#pending = tick
  }
}

/** A tick that also stands for those from another one on, if that is earlier. */
function since(tick: DueTick, firstLate: number): DueTick {
  return firstLate < tick.firstLate ? { ...tick, firstLate } : tick
}
