import type { Coordination, StoredStatus } from '../../../types/coordination.js'
import type { HistoryTicks } from '../../../types/history.js'
import type { RunOutcome } from '../../../types/run.js'
import type { JobStatus } from '../../../types/status.js'
import type { Trigger } from '../../../types/trigger.js'
import type { JobDefinition } from '../../jobs/definition.js'
import type { JobRecord } from '../../jobs/job.js'
import type { JobRegistry } from '../../jobs/registry.js'
import { statusOf } from '../../observability/fleet-status.js'
import { isByHand } from '../../triggers/index.js'

/** A job that the fleet has, or had within the last days. */
export interface KnownJob {
  readonly id: string
  readonly definition: JobDefinition
  /** `null` for a job that runs by hand only. */
  readonly trigger: Trigger | null
  readonly record: JobRecord
  /** Whether no living replica has it. */
  readonly isGone: boolean
}

/** How a job stands, with what the board needs beyond that. */
export interface Standing {
  readonly status: JobStatus
  readonly lastTicks: HistoryTicks | null
  readonly lastOutcome: RunOutcome | null
}

export interface KnownJobsOptions {
  readonly coordination: Coordination
  readonly jobs: JobRegistry
}

/** The jobs of the fleet: those of this replica, and those that only others have. */
export class KnownJobs {
  readonly #options: KnownJobsOptions

  constructor(options: KnownJobsOptions) {
    this.#options = options
  }

  async read(): Promise<KnownJob[]> {
    return Array.from(this.#options.jobs.values(), ofRecord)
  }

  /** Whether a request for a run of it can wait in the store. */
  canWait(id: string): boolean {
    const { coordination, jobs } = this.#options
    if ((coordination.state.masters ?? 1) > 1 || coordination.waiting === undefined) return false
    return jobs.get(id)?.definition.lockTtl !== null
  }

  /**
   * How jobs stand, in the order given.
   *
   * @throws RedisUnavailableError
   */
  async standing(known: readonly KnownJob[], withLocks = false): Promise<Standing[]> {
    const { coordination } = this.#options
    const asked = known.map(({ id, definition }) => ({ jobId: id, group: definition.group ?? '' }))
    const [stored, tails] = await Promise.all([
      coordination.readStatus(asked, withLocks),
      coordination.readTails(
        known.map(({ id }) => id),
        1
      )
    ])
    const now = coordination.now()
    return known.map(({ record }, index) => {
      const { runs = [], ticks = [] } = tails[index] ?? {}
      const status = statusOf(record, stored[index] as StoredStatus, now)
      return { status, lastTicks: ticks[0] ?? null, lastOutcome: runs[0]?.outcome ?? null }
    })
  }
}

function ofRecord(record: JobRecord): KnownJob {
  const { id, definition, trigger } = record
  return { id, definition, trigger: isByHand(trigger) ? null : trigger, record, isGone: false }
}
