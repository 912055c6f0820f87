import type { ClaimKind, ClaimRequest, Definition } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import type { ResolvedJob } from '../job-options.js'
import type { JobRecord } from '../job-record.js'
import type { DueTick } from '../timetable.js'
import { isTooLate, keepOf } from './claim-request.js'
import type { TickChoice } from './tick-choice.js'

/** A due tick that is asked for, or the right to count it when it is too late to run; as such the store's request. */
export class AskedTick implements ClaimRequest {
  readonly job: JobRecord
  readonly kind: ClaimKind
  readonly tick: DueTick
  /** The latest tick that is taken with it. */
  readonly through: number
  /** The latest tick that was due, from which this one was chosen. */
  readonly latest: DueTick
  /** The trigger and the definition the job had then; it may have others since. */
  readonly trigger: Trigger
  readonly resolved: ResolvedJob
  readonly definition: Definition
  readonly runId: string
  /** The lock's time to live, in milliseconds. */
  readonly ttl: number
  /** As `JobRecord.firstLate`. */
  readonly firstLate: number
  readonly keep: number

  /** @param choice which of the ticks due, if not the latest */
  constructor(job: JobRecord, choice: TickChoice | null, latest: DueTick, runId: string, ttl: number, now: number) {
    const tick = choice === null ? latest : choice.tick
    const { trigger } = job
    const { afterCompletion } = trigger
    const period = afterCompletion ?? (tick.following === null ? 0 : tick.following - tick.scheduledTime)
    this.job = job
    this.kind = isTooLate(tick, trigger, job.definition, now) ? 'miss' : 'tick'
    this.tick = tick
    this.through = choice === null ? latest.scheduledTime : choice.through
    this.latest = latest
    this.trigger = trigger
    this.resolved = job.definition
    this.definition = job.definitionWords
    this.runId = runId
    this.ttl = ttl
    this.firstLate = job.firstLate
    this.keep = keepOf(job, period)
  }

  get jobId(): string {
    return this.job.id
  }

  get scheduledTime(): number {
    const { trigger } = this
    if (trigger.afterCompletion === null) return this.tick.scheduledTime
    // Of an interval from the last end the store knows when it is due; no earlier than its `startDate`.
    return Math.max(0, trigger.next(Number.MIN_SAFE_INTEGER) ?? 0)
  }

  get afterCompletion(): number {
    return this.trigger.afterCompletion ?? 0
  }

  get pausedInitially(): boolean {
    return this.resolved.pausedInitially
  }

  get waits(): boolean {
    return this.resolved.coalesce === 'all' && this.trigger.afterCompletion === null
  }

  get rerun(): boolean {
    return this.resolved.recovery === 'rerun'
  }

  get grace(): number | null {
    return this.resolved.misfireGraceTime
  }

  /** Whether its tick is later by now than its grace allows. */
  isMissed(now: number): boolean {
    return isTooLate(this.tick, this.trigger, this.resolved, now)
  }

  /** Whether the job still is what was asked for: not removed, and with the trigger it had then. */
  get isCurrent(): boolean {
    return !this.job.removed && this.job.trigger === this.trigger
  }
}
