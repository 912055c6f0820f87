import type { Trigger } from '../../types/trigger.js'
import { SECOND } from '../base/duration.js'
import type { DueTick } from '../timetable/timetable.js'
import { mayBeTick } from '../triggers/index.js'
import { HandBacks } from './hand-backs.js'

/** A time during which this replica did not have a job with its trigger: ticks later than `from`, up to `until`. */
export interface Absence {
  readonly from: number
  readonly until: number
}

/** What a block of jobs knows about their ticks. */
export interface BlockState {
  /** How many of the jobs have a due tick of their own. */
  pending: number
  /** Notes in each job the latest tick known to be taken for all of them. */
  flushTaken(): void
}

/**
 * A job's due tick, and what this process knows about its ticks. Nothing else writes these fields. They are fields of
 * the job itself, as several of them are read for each tick.
 *
 * The states of a due tick; `pending` is the tick that waits, `queued` whether the job is in the queue:
 *
 *                addDue                    enterQueue               leaveQueue, takeDue
 *     nothing ------------> due, pending --------------> queued --------------------------> requested
 *        ^                       ^                                                              |
 *        |                       +---- putBack: no answer, or handed back and free again -------+
 *        |                       +---- keepDueAfter: the answer covers only some due ticks -----+
 *        +---------------------------- noteTaken, noteClaimedHere: it covers all due ticks -----+
 *
 * At most one tick waits: a later one stands for those before it, and its `firstLate` is the earliest of them.
 */
export abstract class DueState {
  abstract readonly trigger: Trigger
  /** Whether the job has a single tick, a date. */
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
  #givenAt: number | null = null
  #absences: readonly Absence[] = []
  #lastUnlocked: number | null = null
  #lastUnanswered: number | null = null
  #lastHeld: number | null = null
  #handBacks: HandBacks | null = null
  /** The last handed-back claim of a tick that this trigger does not have, as hand-backs are announced repeatedly. */
  #foreignHandBack = ''

  /** The due tick that waits to be requested; `null` for none. */
  get pending(): DueTick | null {
    return this.#pending
  }

  /** Whether the job is in the queue. */
  get queued(): boolean {
    return this.#queued
  }

  /** The latest tick known to be taken, by any replica. */
  get takenUntil(): number {
    this.block?.flushTaken()
    return this.#takenUntil
  }

  /** The latest tick that this replica has claimed and run or counted, so that it will not be handed back. */
  get claimedUntil(): number {
    return this.#claimedUntil
  }

  /**
   * This replica need not account for ticks up to this one, whatever the store says: it is the latest tick that this
   * replica ran without a claim, as Redis did not answer (`onRedisError: 'run'`).
   */
  get accountedUntil(): number {
    return this.#accountedUntil
  }

  /** When the job's ticks began on this replica, on the fleet's clock; `-Infinity` before they have. */
  get presentSince(): number {
    return this.#presentSince
  }

  /**
   * For a job that was removed and added again: when its ticks first began on this replica with this trigger, or, if
   * later, the last tick taken before the removal. `null` for any other job.
   */
  get firstPresentSince(): number | null {
    return this.#firstPresentSince
  }

  /**
   * Since when the job's ticks are to be accounted for, as far as this replica knows: when they began here, or before that, when an
   * operator gave the whole fleet this trigger.
   */
  get knownSince(): number {
    return this.#givenAt === null ? this.#presentSince : Math.min(this.#presentSince, this.#givenAt)
  }

  /** The times between a removal of the job and its return; empty for a job that was never removed. */
  get absences(): readonly Absence[] {
    return this.#absences
  }

  /** When the job's ticks began in the fleet, according to the store; `null` while unknown. */
  get fleetSince(): number | null {
    return this.#fleetSince
  }

  /** The last tick of a job with `lock: false`, whose ticks need no claim; `null` before the first. */
  get lastUnlocked(): number | null {
    return this.#lastUnlocked
  }

  /**
   * The last tick for which the lock was reported as held elsewhere; `null` once a run of this replica got the lock.
   */
  get lastHeld(): number | null {
    return this.#lastHeld
  }

  /** Adds a due tick. If one waits already, the later of the two stands for both. */
  addDue(tick: DueTick): void {
    const waited = this.#pending
    if (waited === null) this.#setPending(tick)
    else if (tick.scheduledTime > waited.scheduledTime) this.#setPending(withFirstLate(tick, waited.firstLate))
    else if (tick.caughtUp) this.#setPending(withFirstLate(waited, tick.firstLate))
    // The clock was set back: the tick that waited lies in the future now, and will come again.
    else this.#setPending(tick)
  }

  /** Removes and returns the due tick, to be requested or dropped. */
  takeDue(): DueTick | null {
    const tick = this.#pending
    this.#setPending(null)
    return tick
  }

  /** Makes a requested tick wait again that can still be claimed, together with those that came due meanwhile. */
  putBack(tick: DueTick): void {
    const waited = this.#pending
    this.#setPending(waited === null ? tick : withFirstLate(waited, tick.firstLate))
  }

  /**
   * Drops the due ticks up to `coversUntil`, which an answer covers, and makes later ones wait again.
   *
   * @param latest the latest tick that was due when the request was made
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
    this.#setPending(standingFrom(tick, firstLate))
    return true
  }

  enterQueue(): void {
    this.#queued = true
  }

  leaveQueue(): void {
    this.#queued = false
  }

  /** Notes that ticks up to this one are taken, by any replica. It may be earlier than before, after a hand-back. */
  noteTaken(tick: number): void {
    this.#takenUntil = tick
  }

  /** Notes that ticks up to this one are taken, unless a later one is known to be. */
  noteTakenAtLeast(tick: number): void {
    if (tick > this.#takenUntil) this.#takenUntil = tick
  }

  /** Notes that this replica has claimed a tick, and runs it or has accounted for it. */
  noteClaimedHere(tick: number): void {
    this.#takenUntil = tick
    this.#claimedUntil = tick
  }

  /** Notes that this replica need not account for ticks up to this one. */
  noteAccounted(tick: number): void {
    if (tick > this.#accountedUntil) this.#accountedUntil = tick
  }

  noteFleetSince(time: number | null): void {
    this.#fleetSince = time
  }

  /** Notes a tick of a job with `lock: false`. */
  noteUnlocked(tick: number): void {
    this.#lastUnlocked = tick
  }

  /**
   * Notes that Redis did not answer a request for a tick.
   *
   * @returns whether to report it: once per tick, however often it is requested
   */
  noteUnanswered(tick: number): boolean {
    if (this.#lastUnanswered === tick) return false
    this.#lastUnanswered = tick
    return true
  }

  /** Notes the tick that has to wait for the lock, or is skipped, because another run holds it. */
  noteHeld(tick: number): void {
    this.#lastHeld = tick
  }

  /** Notes that a run of this replica got the lock. */
  noteLocked(): void {
    this.#lastHeld = null
  }

  /**
   * Notes that a claim of the job was handed back, see `HandBacks.note`. The tick may be one of another trigger, which
   * the job had before or has on another replica.
   *
   * @returns whether this is news about a tick of the job's present trigger
   */
  noteHandedBack(tick: number, by: string, heardAt: number): boolean {
    if (by === this.#foreignHandBack) return false
    if (!mayBeTick(this.trigger, tick)) {
      this.#foreignHandBack = by
      return false
    }
    this.#handBacks ??= new HandBacks()
    if (!this.#handBacks.note(tick, by, heardAt)) return false
    this.#takenUntil = Math.min(this.takenUntil, tick - 1)
    return true
  }

  /** See `HandBacks.isFreeSince`. */
  isFreeSince(tick: number, askedAt: number): boolean {
    return this.#handBacks?.isFreeSince(tick, askedAt) ?? false
  }

  /** Notes that the job's ticks begin on this replica: only those later than `now` are due here. */
  begin(now: number): void {
    this.#presentSince = now
  }

  /** Forgets what is known about the ticks of a job that is new or has another trigger. */
  forget(): void {
    this.#givenAt = null
    this.#firstPresentSince = null
    this.#takenUntil = Number.NEGATIVE_INFINITY
    this.#claimedUntil = Number.NEGATIVE_INFINITY
    this.#accountedUntil = Number.NEGATIVE_INFINITY
    this.#fleetSince = null
    this.#absences = []
  }

  /** Notes that an operator gave the whole fleet the job's trigger, of which this replica has heard only now. */
  noteGiven(at: number): void {
    this.#givenAt = at
  }

  /** Restores what was known when the job was removed, as it has been added again. */
  remember(firstPresentSince: number, accountedUntil: number, absences: readonly Absence[]): void {
    this.#firstPresentSince = firstPresentSince
    this.#accountedUntil = accountedUntil
    this.#absences = absences
  }

  /** Drops the due tick, as the job has another trigger. */
  dropDue(): void {
    this.#setPending(null)
    this.#lastUnlocked = null
  }

  /** The next tick later than a time, outside of the job's absences from this replica; `null` for none. */
  nextTick(after: number): number | null {
    let tick = this.trigger.next(after)
    for (const { from, until } of this.#absences) {
      if (tick !== null && tick > from && tick <= until) tick = this.trigger.next(until)
    }
    return tick
  }

  /** Adapts to a clock that was corrected by a step back: ticks later than `floor` are still to come. */
  correct(now: number, floor: number): void {
    this.#presentSince = Math.min(this.#presentSince, now)
    this.#accountedUntil = Math.min(this.#accountedUntil, floor)
    this.#takenUntil = Math.min(this.takenUntil, floor)
    this.#claimedUntil = Number.NEGATIVE_INFINITY
    if (this.#lastUnlocked !== null) this.#lastUnlocked = Math.min(this.#lastUnlocked, floor)
  }

  /**
   * Corrects times noted by this process' own clock, as the store's clock has become known and is `step` ahead of it. A
   * run without a claim then counts for the tick that was due when it began, or the next, not for the one it was
   * started for.
   */
  moveTimes(step: number, now: number): void {
    this.#presentSince += step
    if (this.#firstPresentSince !== null) this.#firstPresentSince += step
    this.#absences = this.#absences.map(({ from, until }) => ({ from: from + step, until: Math.floor(until + step) }))
    this.#accountedUntil = this.#shifted(this.#accountedUntil, step, now)
    // A date must not run twice.
    if (this.#lastUnlocked !== null && !this.isOnce) this.#lastUnlocked = this.#shifted(this.#lastUnlocked, step, now)
  }

  #shifted(tick: number, step: number, now: number): number {
    const ran = tick + step
    // A clock that is off by whole periods is off by slightly more or less than that.
    const due = Number.isFinite(ran) ? this.trigger.next(ran - SECOND) : null
    return due !== null && due <= now ? due : Math.floor(Math.min(ran, now))
  }

  #setPending(tick: DueTick | null): void {
    const { block } = this
    if (block !== null) block.pending += (tick === null ? 0 : 1) - (this.#pending === null ? 0 : 1)
    this.#pending = tick
  }
}

/**
 * The tick, made to stand for those from `firstLate` on. That may be later than before, though nobody has accounted for those in
 * between: so what came before `firstLate` is not known to be the tick that came before them.
 */
export function standingFrom(tick: DueTick, firstLate: number): DueTick {
  if (tick.firstLate === firstLate) return tick
  return { ...tick, firstLate, preceding: tick.preceding === null ? null : firstLate - 1 }
}

/** The tick, made to stand also for earlier ticks from `firstLate` on. */
function withFirstLate(tick: DueTick, firstLate: number): DueTick {
  return firstLate < tick.firstLate ? { ...tick, firstLate } : tick
}
