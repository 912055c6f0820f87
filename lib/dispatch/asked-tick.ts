import type { ClaimKind, ClaimMemo, ClaimRequest, Definition } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import type { ClaimTerms } from '../jobs/claim-terms.js'
import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { isTooLate, keepOf } from './claim-request.js'
import type { TickChoice } from './tick-choice.js'

/** A due tick that is asked for, or the right to count it when it is too late to run; as such the store's request. */
export class AskedTick implements ClaimRequest {
  readonly job: JobRecord
  /** What the job's definition said then; it may have another one since. */
  readonly terms: ClaimTerms
  readonly kind: ClaimKind
  readonly tick: DueTick
  /** The latest tick that is taken with it. */
  readonly through: number
  /** The latest tick that was due, from which this one was chosen. */
  readonly latest: DueTick
  readonly runId: string
  /** As `JobRecord.firstLate`. */
  readonly firstLate: number

  /** @param choice which of the ticks due, if not the latest */
  constructor(job: JobRecord, choice: TickChoice | null, latest: DueTick, runId: string, now: number) {
    const { terms } = job
    const tick = choice === null ? latest : choice.tick
    this.job = job
    this.terms = terms
    this.kind = isTooLate(tick, terms, now) ? 'miss' : 'tick'
    this.tick = tick
    this.through = choice === null ? latest.scheduledTime : choice.through
    this.latest = latest
    this.runId = runId
    this.firstLate = job.firstLate
  }

  get jobId(): string {
    return this.terms.jobId
  }

  get trigger(): Trigger {
    return this.terms.trigger
  }

  get scheduledTime(): number {
    return this.terms.afterCompletion === 0 ? this.tick.scheduledTime : this.#earliest()
  }

  get afterCompletion(): number {
    return this.terms.afterCompletion
  }

  get ttl(): number {
    return this.terms.ttl as number
  }

  get keep(): number {
    const { following, scheduledTime } = this.tick
    const period = following === null ? 0 : following - scheduledTime
    return keepOf(this.terms, this.terms.afterCompletion || period)
  }

  get pausedInitially(): boolean {
    return this.terms.pausedInitially
  }

  get waits(): boolean {
    return this.terms.waits
  }

  get rerun(): boolean {
    return this.terms.rerun
  }

  get grace(): number | null {
    return this.terms.grace
  }

  get definition(): Definition {
    return this.terms.definition
  }

  get memo(): ClaimMemo {
    return this.terms.memo
  }

  /** Whether its tick is later by now than its grace allows. */
  isMissed(now: number): boolean {
    return isTooLate(this.tick, this.terms, now)
  }

  /** Of an interval from the last end the store knows when it is due; no earlier than its `startDate`. */
  #earliest(): number {
    return Math.max(0, this.trigger.next(Number.MIN_SAFE_INTEGER) ?? 0)
  }

  /** Whether the job still is what was asked for: not removed, and with the trigger it had then. */
  get isCurrent(): boolean {
    return !this.job.removed && this.job.trigger === this.terms.trigger
  }
}
