import type { Run, RunOutcome, RunTrigger } from '../../types/run.js'

/** A run as users see it; the runner writes to it as it goes on. */
export class RunRecord implements Run {
  readonly id: string
  readonly jobId: string
  readonly scheduledTime: number
  readonly startedAt: number
  readonly trigger: RunTrigger
  readonly replicaId: string
  readonly fencingToken: number | null
  /** Who asked for a run by hand. */
  by: string | null = null
  attempt = 1
  outcome: RunOutcome | null = null
  finishedAt: number | null = null
  error?: unknown
  result?: unknown

  constructor(
    id: string,
    jobId: string,
    scheduledTime: number,
    startedAt: number,
    trigger: RunTrigger,
    replicaId: string,
    fencingToken: number | null
  ) {
    this.id = id
    this.jobId = jobId
    this.scheduledTime = scheduledTime
    this.startedAt = startedAt
    this.trigger = trigger
    this.replicaId = replicaId
    this.fencingToken = fencingToken
  }
}

/** How a run ended, and why when it was no success. */
export interface RunEnd {
  readonly outcome: RunOutcome
  readonly error?: unknown
}
