import type { ClaimKind, ClaimMemo, ClaimRequest, Fingerprint, Overlap } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import type { ClaimTemplate } from '../jobs/claim-template.js'
import type { JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { earliestOf } from '../triggers/index.js'
import { isTooLate, retentionOf } from './claim-request.js'
import type { TickChoice } from './tick-choice.js'

/** A request to the store for a due tick, or for the right to count the tick when it is too late to run. */
export class TickRequest implements ClaimRequest {
  readonly job: JobRecord
  /** The template of the job's definition at the time of the request; the job may have a newer one. */
  readonly template: ClaimTemplate
  readonly kind: ClaimKind
  readonly tick: DueTick
  /** The latest tick that is claimed together with `tick`. */
  readonly coversUntil: number
  /** The latest due tick of the job; `tick` was chosen among those it stands for. */
  readonly latest: DueTick
  readonly runId: string

  /** @param choice the tick chosen among those due; `null` for the latest */
  constructor(job: JobRecord, choice: TickChoice | null, latest: DueTick, runId: string, now: number) {
    const { template } = job
    const tick = choice === null ? latest : choice.tick
    this.job = job
    this.template = template
    this.kind = isTooLate(tick, template, now) ? 'miss' : 'tick'
    this.tick = tick
    this.coversUntil = choice === null ? latest.scheduledTime : choice.coversUntil
    this.latest = latest
    this.runId = runId
  }

  get jobId(): string {
    return this.template.jobId
  }

  get trigger(): Trigger {
    return this.template.trigger
  }

  get scheduledTime(): number {
    return this.template.afterCompletion === 0 ? this.tick.scheduledTime : earliestOf(this.trigger)
  }

  get afterCompletion(): number {
    return this.template.afterCompletion
  }

  get ttl(): number {
    return this.template.ttl as number
  }

  get retention(): number {
    const { following, scheduledTime } = this.tick
    const period = following === null ? 0 : following - scheduledTime
    return retentionOf(this.template, this.template.afterCompletion || period)
  }

  get pausedInitially(): boolean {
    return this.template.pausedInitially
  }

  get group(): string {
    return this.template.group
  }

  get waits(): boolean {
    return this.template.waits
  }

  get rerun(): boolean {
    return this.template.rerun
  }

  get slots(): number {
    return this.template.slots
  }

  get overlap(): Overlap {
    return this.template.overlap
  }

  get maxRuns(): number | null {
    return this.template.maxRuns
  }

  get startsRuns(): boolean {
    return this.template.startsRuns
  }

  get grace(): number | null {
    return this.template.grace
  }

  get fingerprint(): Fingerprint {
    return this.template.fingerprint
  }

  get memo(): ClaimMemo {
    return this.template.memo
  }

  /** Whether the tick's grace is over. */
  isMissed(now: number): boolean {
    return isTooLate(this.tick, this.template, now)
  }

  /** Whether the job still exists and has the trigger it had at the time of the request. */
  get isCurrent(): boolean {
    return !this.job.removed && this.job.trigger === this.template.trigger
  }
}
