import type { Fingerprint, SurveyRequest } from '../../../types/coordination.js'
import { sinceRetention } from '../claim-rules.js'
import type { ClaimRecord } from './record.js'

/** Since when the fleet has had a job with a trigger, and until when that is remembered, on the monotonic clock. */
interface SinceRecord {
  trigger: string
  at: number
  retainedUntil: number
}

/** Since when the fleet has had its jobs, by their ids. `now` is on the monotonic clock. */
export class MemorySince {
  readonly #records = new Map<string, SinceRecord>()

  get size(): number {
    return this.#records.size
  }

  /**
   * Notes since when a replica has had a job, as the script of surveys does in Redis.
   *
   * @param claimed what is remembered of its claims
   * @returns since when the fleet has had it; `null` where that is not asked for
   */
  note(request: SurveyRequest, claimed: ClaimRecord | undefined, now: number): number | null {
    const { jobId, fingerprint, since, isOnce, accounted, retention } = request
    const { trigger } = fingerprint
    if (since === null) return null
    const found = this.#records.get(jobId)
    const record = found !== undefined && found.retainedUntil > now ? found : null
    const tick = claimed?.fingerprint.trigger === trigger && claimed.tick >= 0 ? claimed.tick : null
    let at = Math.min(accounted, tick ?? accounted)
    let retainedUntil = now + retention
    if (record === null) {
      if (tick !== null || (isOnce && (claimed === undefined || claimed.fingerprint.trigger === trigger))) return at
    } else if (record.trigger !== trigger) {
      // This replica's trigger has been replaced, and the replica is only not gone yet.
      if (since <= record.at) return at
      at = since
    } else {
      const isClaimed = tick !== null && tick >= record.at
      retainedUntil = isClaimed ? record.retainedUntil : Math.max(record.retainedUntil, retainedUntil)
      at = Math.min(record.at, accounted)
    }
    this.#records.set(jobId, { trigger, at, retainedUntil })
    return at
  }

  /** Since when the fleet has had a job; `null` where that is not known. */
  timeOf(jobId: string): number | null {
    return this.#records.get(jobId)?.at ?? null
  }

  /** The first claim of a trigger: from here on its claims say what was taken. */
  noteClaimed(jobId: string, { trigger }: Fingerprint, retention: number, now: number): void {
    const record = this.#records.get(jobId)
    if (record?.trigger === trigger && record.retainedUntil > now) {
      record.retainedUntil = now + sinceRetention(retention)
    }
  }

  /** Where a job has had two triggers its claims are of one of them: the other is accounted for up to its last tick. */
  noteAccounted(jobId: string, { trigger }: Fingerprint, tick: number): void {
    const record = this.#records.get(jobId)
    if (record?.trigger === trigger) record.at = Math.max(record.at, tick)
  }

  /** The clock was corrected by a step back: ticks later than `floor` are still to be claimed. */
  correct(floor: number): void {
    for (const record of this.#records.values()) record.at = Math.min(record.at, floor)
  }

  sweep(now: number): void {
    for (const [jobId, { retainedUntil }] of this.#records) if (retainedUntil <= now) this.#records.delete(jobId)
  }
}
