import { inspect } from 'node:util'
import type { Definition } from '../../types/coordination.js'
import type { Job } from '../../types/job.js'
import type { Trigger, TriggerObject } from '../../types/trigger.js'
import { DAY, SECOND } from '../base/duration.js'
import type { DueTick, Timed, Timetable } from '../timetable/timetable.js'
import type { Block, BlockMember, Blocks } from './blocks.js'
import { type ClaimTemplate, claimTemplateOf } from './claim-template.js'
import { HandBacks } from './hand-backs.js'
import { DEFAULT_GRACE, type ResolvedJob } from './options.js'
import type { JobStats } from './stats.js'

/** How late a date may be brought at most: for longer it may be forgotten whether it ran. */
const MAX_LOOK_BACK = 7 * DAY

/** A time in which this replica did not have a job with its trigger: ticks later than `from`, up to `until`. */
export interface Absence {
  readonly from: number
  readonly until: number
}

/** A block of such jobs, and all of them. */
export type JobBlock = Block<JobRecord>
export type JobBlocks = Blocks<JobRecord>

/** A job inside the scheduler: its definition, and how it stands in this process. */
export class JobRecord implements Timed, BlockMember<JobRecord> {
  readonly id: string
  readonly stats: JobStats
  /** What users see of it. */
  readonly view: Job
  /** What its handler is called with as `app`. */
  readonly app: unknown
  trigger: Trigger
  /** Whether the job was removed: nothing of it starts any more. */
  removed = false
  /** Whether its trigger has no further tick, so that it goes some time after its last run. */
  isFinished = false
  /** The last tick that came without a claim, for a job with `lock: false`; `null` before the first. */
  lastUnlocked: number | null = null
  #pending: DueTick | null = null
  /** The earliest tick that `pending` stands for; its own time when it stands for none. */
  firstLate = 0
  /** Whether it waits in the queue of those to be asked for. */
  queued = false
  /**
   * Up to when this replica has no tick to account for, whatever the store says: the latest tick that it ran without a
   * claim, as Redis did not answer (`onRedisError: 'run'`).
   */
  accountedUntil = Number.NEGATIVE_INFINITY
  /** The tick for which it was last told that Redis did not answer. */
  lastUnanswered: number | null = null
  /** The tick for which it was last told that the lock is held; `null` once the lock was had. */
  lastHeld: number | null = null
  /** Since when this replica has had the job's ticks, by the fleet's clock; `-Infinity` before. */
  presentSince = Number.NEGATIVE_INFINITY
  /**
   * When it had it with this trigger for the first time, or the last tick that was taken before it went, of a job that has
   * come back, and when it did not have it since.
   */
  firstPresentSince: number | null = null
  absences: readonly Absence[] = []
  /** Since when the fleet has had its ticks, as the store says; `null` while that is not known. */
  since: number | null = null
  /** Its place among the jobs of its trigger in the timetable. */
  place = -1
  /** The latest tick that this replica has run, or counted as its own: nobody hands it back. */
  claimedUntil = Number.NEGATIVE_INFINITY
  #takenUntil = Number.NEGATIVE_INFINITY
  /** The block with which it is asked for; `null` when it is asked for alone. */
  block: JobBlock | null = null
  /** Its place in the block. */
  blockIndex = -1
  readonly #blocks: JobBlocks
  #paused: boolean
  /** When it was asked for or said whether it is paused, in this process' sequence. */
  #pauseKnownAt = 0
  #handBacks: HandBacks | null = null
  /** The last claim that was handed back of a tick which its trigger does not have: each is told again and again. */
  #foreignHandBack = ''
  #definition: ResolvedJob
  #template: ClaimTemplate | null = null

  constructor(
    definition: ResolvedJob,
    app: unknown,
    trigger: Trigger,
    stats: JobStats,
    timetable: Timetable<JobRecord>,
    blocks: JobBlocks
  ) {
    this.id = definition.id
    this.app = app
    this.#blocks = blocks
    this.#definition = definition
    this.trigger = trigger
    this.stats = stats
    this.#paused = definition.pausedInitially
    this.view = new JobView(this, timetable)
  }

  /** As far as this replica knows. */
  get paused(): boolean {
    return this.#paused
  }

  /**
   * Somebody has said that the job is paused, or is not.
   *
   * @param askedAt when that was asked for, in this process' sequence: what was asked for later is known better
   */
  learnPaused(paused: boolean, askedAt: number): void {
    if (askedAt < this.#pauseKnownAt) return
    this.#pauseKnownAt = askedAt
    if (paused === this.#paused) return
    this.#paused = paused
    if (!this.removed) this.#blocks.update(this)
  }

  /** The latest tick that is known to be taken, by whichever replica. */
  get takenUntil(): number {
    this.block?.flushTaken()
    return this.#takenUntil
  }

  set takenUntil(tick: number) {
    this.#takenUntil = tick
  }

  /**
   * A claim of the job was handed back, as of `HandBacks.note`. Whether that is news of one of its ticks: it may be one of
   * another trigger, which the job had before, or has on another replica.
   */
  noteHandedBack(tick: number, by: string, heard: number): boolean {
    if (by === this.#foreignHandBack) return false
    if (this.trigger.afterCompletion === null && this.trigger.next(tick - 1) !== tick) {
      this.#foreignHandBack = by
      return false
    }
    this.#handBacks ??= new HandBacks()
    if (!this.#handBacks.note(tick, by, heard)) return false
    this.takenUntil = Math.min(this.takenUntil, tick - 1)
    return true
  }

  /** As of `HandBacks.isNewsSince`. */
  isFreeSince(tick: number, asked: number): boolean {
    return this.#handBacks?.isNewsSince(tick, asked) ?? false
  }

  /** The latest due tick that is not yet asked for: one at most, as a later one stands for those before it. */
  get pending(): DueTick | null {
    return this.#pending
  }

  set pending(tick: DueTick | null) {
    if (this.block !== null) this.block.pending += (tick === null ? 0 : 1) - (this.#pending === null ? 0 : 1)
    this.#pending = tick
  }

  /** The next tick later than a time that is not of a time in which the job was not here. */
  nextTick(after: number): number | null {
    let tick = this.trigger.next(after)
    for (const { from, until } of this.absences) {
      if (tick !== null && tick > from && tick <= until) tick = this.trigger.next(until)
    }
    return tick
  }

  /** A tick is due: it waits, or stands for the one that waited. */
  noteDue(tick: DueTick): void {
    const waited = this.#pending
    if (waited === null) {
      this.firstLate = tick.firstLate
      this.pending = tick
    } else if (tick.scheduledTime > waited.scheduledTime) {
      // The later tick stands for the one that waited.
      this.firstLate = Math.min(this.firstLate, tick.firstLate)
      this.pending = tick
    } else if (tick.caughtUp) {
      this.firstLate = Math.min(this.firstLate, tick.firstLate)
    } else {
      // After a clock was set back: what waited was a tick of the future, which will come again.
      this.firstLate = tick.firstLate
      this.pending = tick
    }
  }

  get definition(): ResolvedJob {
    return this.#definition
  }

  /** The clock was corrected by a step back: what is later than `floor` is still to come. */
  correct(now: number, floor: number): void {
    this.presentSince = Math.min(this.presentSince, now)
    this.accountedUntil = Math.min(this.accountedUntil, floor)
    this.takenUntil = Math.min(this.takenUntil, floor)
    this.claimedUntil = Number.NEGATIVE_INFINITY
    if (this.lastUnlocked !== null) this.lastUnlocked = Math.min(this.lastUnlocked, floor)
  }

  /**
   * Puts right what was noted by this process' own clock, to which the store's, that is now known, adds `step`. What ran
   * without a claim stands for the tick that was due then or next, not for the one whose name it had.
   */
  moveTimes(step: number, now: number): void {
    this.presentSince += step
    if (this.firstPresentSince !== null) this.firstPresentSince += step
    this.absences = this.absences.map(({ from, until }) => ({ from: from + step, until: Math.floor(until + step) }))
    const moved = (tick: number): number => {
      const ran = tick + step
      // A clock that is wrong by whole periods is so by a little more or less.
      const due = Number.isFinite(ran) ? this.trigger.next(ran - SECOND) : null
      return due !== null && due <= now ? due : Math.floor(Math.min(ran, now))
    }
    this.accountedUntil = moved(this.accountedUntil)
    // A date that has been is not twice.
    if (this.lastUnlocked !== null && !this.isOnce) this.lastUnlocked = moved(this.lastUnlocked)
  }

  /** Gives the job another definition, and the trigger that belongs to it. */
  redefine(definition: ResolvedJob, trigger: Trigger): void {
    this.#definition = definition
    this.trigger = trigger
    this.#template = null
  }

  /** What it says of its claims. */
  get template(): ClaimTemplate {
    this.#template ??= claimTemplateOf(this.#definition, this.trigger)
    return this.#template
  }

  /** What tells this definition from another of the same id. */
  get fingerprint(): Definition {
    return this.template.definition
  }

  get jitter(): number {
    return this.definition.jitter
  }

  /** Whether it has one tick: a date. */
  get isOnce(): boolean {
    return this.template.isOnce
  }

  get lookBack(): number {
    if (!this.isOnce) return 0
    const { misfireGraceTime, jitter } = this.definition
    return Math.min(MAX_LOOK_BACK, (misfireGraceTime ?? DEFAULT_GRACE) + jitter)
  }
}

class JobView implements Job {
  readonly #job: JobRecord
  readonly #timetable: Timetable<JobRecord>

  constructor(job: JobRecord, timetable: Timetable<JobRecord>) {
    this.#job = job
    this.#timetable = timetable
  }

  get id(): string {
    return this.#job.id
  }

  get name(): string {
    return this.#job.definition.name
  }

  get trigger(): TriggerObject {
    return this.#job.definition.trigger
  }

  get data(): unknown {
    return this.#job.definition.data
  }

  get paused(): boolean {
    return this.#job.paused
  }

  get running(): number {
    return this.#job.stats.running
  }

  get nextRun(): number | null {
    return this.#job.removed || this.#job.paused ? null : this.#timetable.nextOf(this.#job)
  }

  get lastRun(): number | null {
    return this.#job.stats.lastRun || null
  }

  get lastSuccess(): number | null {
    return this.#job.stats.lastSuccess || null
  }

  /** What `console.log` shows: the members are on the prototype, where it does not look. */
  [inspect.custom](): Job {
    return this.toJSON()
  }

  toJSON(): Job {
    const { id, name, trigger, data, paused, running, nextRun, lastRun, lastSuccess } = this
    return { id, name, trigger, data, paused, running, nextRun, lastRun, lastSuccess }
  }
}
