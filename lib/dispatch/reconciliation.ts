import type { ConfirmedClaim, Coordination } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import { isFromCompletion } from '../triggers/index.js'
import { retentionOf } from './claim-request.js'

export interface SettlementOptions {
  readonly coordination: Coordination
  readonly jobs: () => Iterable<JobRecord>
  readonly newRunId: () => string
  /** The ids of the runs that go on, are asked for, or whose end is about to be told. */
  readonly runIds: () => readonly string[]
}

/**
 * Tells a store what it has forgotten, as it was restarted with data of the past, or failed over to a replica that lags:
 * which runs of this process have ended, so that their locks do not stand until their TTL, and which ticks are claimed, so
 * that they neither run again nor count as missed.
 */
export class Reconciliation {
  readonly #options: SettlementOptions

  constructor(options: SettlementOptions) {
    this.#options = options
  }

  /**
   * @param isAll whether the ticks that other replicas have taken are told as well: these may come back to the store later
   *   than who asks it for the next tick, and would count those as missed
   */
  async run(isAll: boolean): Promise<void> {
    const { coordination, jobs, runIds, newRunId } = this.#options
    const claims: ConfirmedClaim[] = []
    for (const job of jobs()) {
      const { id, claimedUntil, takenUntil, trigger, template } = job
      const tick = isAll ? Math.max(claimedUntil, takenUntil) : claimedUntil
      // When an interval from the last end is due the store alone knows.
      if (tick < 0 || template.ttl === null || isFromCompletion(trigger)) continue
      const following = trigger.next(tick)
      const retention = retentionOf(template, following === null ? 0 : following - tick)
      claims.push({ jobId: id, runId: '', tick, run: null, retention, fingerprint: template.fingerprint })
    }
    await coordination.reconcile(newRunId(), runIds(), claims)
  }
}
