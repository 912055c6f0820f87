import type { ConfirmedClaim, Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import { isFromCompletion } from '../triggers/index.js'
import { retentionOf } from './claim-request.js'

export interface ReconciliationOptions {
  readonly coordination: Coordination
  readonly jobs: () => Iterable<JobRecord>
  readonly newRunId: () => string
  /** The ids of the runs that are active, are being requested, or whose end is not yet reported to the store. */
  readonly runIds: () => readonly string[]
}

/**
 * Restores what a store has forgotten that was restarted with old data, or failed over to a lagging replica. It learns
 * which runs of this process have ended, so that their locks do not stay until their TTL has passed, and which ticks
 * are claimed, so that they neither run again nor count as missed.
 */
export class Reconciliation {
  readonly #options: ReconciliationOptions

  constructor(options: ReconciliationOptions) {
    this.#options = options
  }

  /**
   * @param includesOthers whether to restore the ticks that other replicas have claimed as well. Those replicas may
   *   reconnect only after somebody has requested the next tick, who would then count theirs as missed.
   */
  async run(includesOthers: boolean): Promise<void> {
    const { coordination, jobs, runIds, newRunId } = this.#options
    const claims: ConfirmedClaim[] = []
    for (const job of jobs()) {
      const { id, claimedUntil, takenUntil, trigger, template } = job
      const tick = includesOthers ? Math.max(claimedUntil, takenUntil) : claimedUntil
      // Only the store knows when a completion interval is due.
      if (tick < 0 || template.ttl === null || isFromCompletion(trigger)) continue
      const following = trigger.next(tick)
      const retention = retentionOf(template, following === null ? 0 : following - tick)
      claims.push({ jobId: id, runId: '', tick, run: null, retention, fingerprint: template.fingerprint })
    }
    await coordination.reconcile(newRunId(), runIds(), claims)
  }
}
