import type { Coordination, StoredStatus } from '../../types/coordination.js'
import type { JobStatus, ReplicaStatus } from '../../types/status.js'
import type { JobRecord } from '../jobs/job.js'
import { expectedSuccess } from './expected-success.js'

/** How jobs and replicas stand in the whole fleet, as the store has it. */
export class FleetStatus {
  readonly #coordination: Coordination
  readonly #beat: () => void

  /** @param beat has this replica say how it is now */
  constructor(coordination: Coordination, beat: () => void) {
    this.#coordination = coordination
    this.#beat = beat
  }

  /**
   * How jobs stand, in the order given.
   *
   * @param withLocks whether it is asked what is left of their locks' TTLs
   * @throws RedisUnavailableError
   */
  async of(jobs: readonly JobRecord[], withLocks: boolean): Promise<JobStatus[]> {
    const asked = jobs.map(({ id, definition }) => ({ jobId: id, group: definition.group ?? '' }))
    const stored = await this.#coordination.readStatus(asked, withLocks)
    const now = this.#coordination.now()
    return jobs.map((job, index) => statusOf(job, stored[index] as StoredStatus, now))
  }

  /** @throws RedisUnavailableError */
  async replicas(): Promise<ReplicaStatus[]> {
    this.#beat()
    const seen = await this.#coordination.readReplicas()
    return seen
      .map(({ skew: clockSkew, ...replica }) => ({ ...replica, clockSkew }))
      .sort((a, b) => a.startedAt - b.startedAt || (a.replicaId < b.replicaId ? -1 : 1))
  }
}

/** How a job stands, from what the store has of it. */
export function statusOf(job: JobRecord, stored: StoredStatus, now: number): JobStatus {
  const { definition, trigger, paused, view } = job
  const { last, lastEnd, lastSuccess, failures, ongoing } = stored
  const since = stored.since ?? (Number.isFinite(job.presentSince) ? job.presentSince : null)
  const expected = paused ? null : expectedSuccess(definition, trigger, { ...stored, since })
  return {
    id: job.id,
    name: definition.name,
    group: definition.group,
    description: definition.description,
    lastRun:
      last === null
        ? null
        : {
            id: last.runId,
            scheduledTime: last.scheduledTime,
            startedAt: last.startedAt,
            replicaId: last.replicaId,
            finishedAt: lastEnd
          },
    lastSuccess,
    consecutiveFailures: failures,
    expectedSuccess: expected,
    isOverdue: expected !== null && expected < now,
    running: ongoing.map(({ runId: id, by = null, ...run }) => ({ id, by, ...run })),
    nextRun: view.nextRun,
    paused,
    pauses: view.pauses,
    override: view.override
  }
}
