import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import type { QueuedRun, Run } from '../../types/run.js'
import { SECOND } from '../base/duration.js'
import { JobQueueFullError, NotRunningError, RunAbandonedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { ActiveRun } from '../runs/active-run.js'
import { RunRecord } from '../runs/run-record.js'
import { toRun } from './stored-requests.js'
import type { WaitingRuns } from './waiting-runs.js'

/** How soon, and how seldom at last, it is asked for the result of a run on another replica. */
const FIRST_LOOK = 50
const LAST_LOOK = SECOND

/** How often in a row a request must be unknown and without a result until its run is taken for lost. */
const MAX_UNKNOWN = 4

export interface QueuedRunsOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly waitingRuns: WaitingRuns
  readonly newRunId: () => string
  /** Whether no more runs begin, as the scheduler is ending. */
  readonly isEnding: () => boolean
}

/** A request for a run by hand that may wait. */
export interface QueueRequest {
  /** Its concurrency key, `''` for none. */
  readonly key: string
  /** Its data as JSON; `null` for the job's own. */
  readonly json: string | null
  readonly isAwaited: boolean
  /** Who asks for it; `null` for nobody in particular. */
  readonly by: string | null
  /** Its nominal time; `null` for when it is asked for. */
  readonly scheduledTime: number | null
}

/** Runs by hand that wait for others to end: they stand in the store first, so that no death loses them. */
export class QueuedRuns {
  readonly #options: QueuedRunsOptions

  constructor(options: QueuedRunsOptions) {
    this.#options = options
  }

  /**
   * Puts a request into the queue of its job, and begins its run here if nothing goes on and nothing waits before it.
   *
   * @returns the run that has begun here, or the request that waits
   * @throws RedisUnavailableError; then it may wait all the same. JobQueueFullError
   */
  async enqueue(job: JobRecord, request: QueueRequest): Promise<ActiveRun | QueuedRun> {
    const { newRunId, waitingRuns } = this.#options
    const id = newRunId()
    let active: ActiveRun | null = null
    const forget = waitingRuns.onBegun(id, (begun) => {
      active = begun
    })
    try {
      const queued = await this.keep(job, request, id)
      await waitingRuns.askFor(job)
      return active ?? queued
    } finally {
      forget()
    }
  }

  /**
   * Puts a request into the queue of its job, and no more.
   *
   * @returns what waits: an earlier request, where it has joined that
   * @throws as `enqueue`
   */
  async keep(
    job: JobRecord,
    { key, json, isAwaited, by, scheduledTime }: QueueRequest,
    id = this.#options.newRunId()
  ): Promise<QueuedRun> {
    const requestedAt = Math.floor(this.#options.coordination.now())
    const whose = `${by === null ? '' : `"by":${JSON.stringify(by)},`}${scheduledTime === null ? '' : `"scheduledTime":${scheduledTime},`}`
    const brought = `{${json === null ? '' : `"data":${json},`}${whose}"isAwaited":${isAwaited}}`
    const request = { jobId: job.id, id, key, hasData: json !== null || scheduledTime !== null, brought, isAwaited }
    const answer = await this.#waiting.enqueue(request)
    if (answer.status === 'full') throw new JobQueueFullError(job.id)
    return queuedRun(answer.id, job.id, requestedAt)
  }

  /**
   * Waits for the run of a request, wherever it begins.
   *
   * @throws RedisUnavailableError, NotRunningError when this scheduler ends before
   */
  async result(job: JobRecord, { id, scheduledTime }: QueuedRun): Promise<Run> {
    const { clock, waitingRuns, isEnding } = this.#options
    let active: ActiveRun | null = null
    const forget = waitingRuns.onBegun(id, (begun) => {
      active = begun
    })
    try {
      let unknown = 0
      for (let delay = FIRST_LOOK; ; delay = Math.min(LAST_LOOK, delay * 1.5)) {
        if (active !== null) return await outcomeOf(active)
        const { result, isKnown } = await this.#waiting.readResult(job.id, id)
        if (result !== null) return toRun(result)
        unknown = isKnown || active !== null ? 0 : unknown + 1
        if (unknown >= MAX_UNKNOWN) return lostRun(job.id, id, scheduledTime)
        if (isEnding()) throw new NotRunningError(`wait for a run of the job '${job.id}'`, 'is closing')
        await new Promise<void>((resolve) => clock.setTimeout(resolve, delay))
      }
    } finally {
      forget()
    }
  }

  get #waiting(): NonNullable<Coordination['waiting']> {
    return this.#options.coordination.waiting as NonNullable<Coordination['waiting']>
  }
}

/** Resolves with a run once its outcome is known. */
export async function outcomeOf(active: ActiveRun): Promise<Run> {
  await new Promise<void>((resolve) => active.onOutcome(resolve))
  return active.run
}

function queuedRun(id: string, jobId: string, scheduledTime: number): QueuedRun {
  return Object.freeze({ id, jobId, scheduledTime, trigger: 'manual', startedAt: null, outcome: null })
}

/** A run of which nothing is known any more: its replica died, and nobody takes it over. */
function lostRun(jobId: string, requestId: string, scheduledTime: number): Run {
  const run = new RunRecord(requestId, jobId, scheduledTime, scheduledTime, 'manual', '', null)
  run.outcome = 'abandoned'
  run.error = new RunAbandonedError(jobId, 'unknown')
  return run
}
