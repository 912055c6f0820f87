import type { Coordination, JobState } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion, latestTick } from '../triggers/index.js'
import { lateTick } from './tick-choice.js'

export interface LateTicksOptions {
  readonly coordination: Coordination
  /** Passes a due tick to the dispatcher. */
  readonly enqueue: (job: JobRecord, tick: DueTick) => void
  /** Makes a job due at a time with a given tick, independently of its trigger. */
  readonly wakeAt: (job: JobRecord, at: number, tick: DueTick) => void
}

/** Brings the ticks that the timetable does not: those of a time without any replica, and those handed back. */
export class LateTicks {
  readonly #options: LateTicksOptions

  constructor(options: LateTicksOptions) {
    this.#options = options
  }

  /** Brings the ticks that were due before this replica had the job and that no replica has accounted for. */
  catchUp(job: JobRecord, { previous, since }: Pick<JobState, 'previous' | 'since'>): void {
    const { trigger, presentSince } = job
    if (isFromCompletion(trigger)) return
    if (job.isOnce) {
      this.#catchUpOnce(job, previous)
      return
    }
    if (previous === null && since === null) return
    const known = Math.max(previous ?? Number.NEGATIVE_INFINITY, since ?? Number.NEGATIVE_INFINITY)
    const after = Math.max(known, job.accountedUntil, job.takenUntil)
    const firstLate = job.nextTick(after)
    if (firstLate === null || firstLate > presentSince) return
    const latest = latestOf(job, firstLate - 1, presentSince)
    if (latest !== null) this.bring(job, latest, firstLate)
  }

  /**
   * Brings the ticks due since this replica has had the job, which the timetable may have passed over by a wrong clock.
   */
  bringDue(job: JobRecord, now: number): void {
    const { trigger, presentSince, lookBack, accountedUntil, lastUnlocked } = job
    if (isFromCompletion(trigger) || !Number.isFinite(presentSince)) return
    const firstLate = job.nextTick(Math.max(presentSince - lookBack, accountedUntil, lastUnlocked ?? accountedUntil))
    if (firstLate === null || firstLate > now) return
    this.bring(job, latestOf(job, firstLate - 1, now) ?? firstLate, firstLate)
  }

  /** Brings a tick now, or when its jitter is over. */
  bring(job: JobRecord, scheduledTime: number, firstLate: number): void {
    const { coordination, enqueue, wakeAt } = this.#options
    const tick = lateTick(job, scheduledTime, firstLate, true)
    if (tick.dueTime > coordination.now()) wakeAt(job, tick.dueTime, tick)
    else enqueue(job, tick)
  }

  /**
   * Brings a date that passed before this replica had the job and that no replica has claimed, to be counted as missed.
   * A date within `lookBack` is left to the timetable, which runs it.
   */
  #catchUpOnce(job: JobRecord, previous: number | null): void {
    const { trigger, presentSince, lookBack } = job
    const date = trigger.next(Number.NEGATIVE_INFINITY)
    if (date === null || date > presentSince) return
    // The date fell into a pause. If it has only just passed, the timetable still brings it: noting it prevents its
    // run.
    if (previous !== null && date < previous) job.noteAccounted(date)
    if (date > presentSince - lookBack) return
    if (date <= Math.max(previous ?? Number.NEGATIVE_INFINITY, job.accountedUntil, job.takenUntil)) return
    // The store may have forgotten that the date ran, so it is not run again, however long its grace is.
    this.#options.enqueue(job, { ...lateTick(job, date, date, true), dueTime: Number.NEGATIVE_INFINITY })
  }
}

/** The latest tick later than `after`, up to and including `by`, outside of the job's absences from this replica. */
function latestOf({ trigger, absences }: JobRecord, after: number, by: number): number | null {
  let until = by
  for (const absence of [...absences].reverse()) {
    const latest = latestTick(trigger, Math.max(after, absence.until), until)
    if (latest !== null) return latest
    until = absence.from
  }
  return latestTick(trigger, after, until)
}
