import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination, OpenRun } from '../../types/coordination.js'
import { MINUTE, SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { RunAbandonedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import { RunRecord } from '../runs/run-record.js'
import { mayBeTick } from '../triggers/index.js'

/** How often a replica looks. */
const LOOK_EVERY = 5 * SECOND

/** How long after an outage nobody looks: those who hold runs are to say first what has become of them. */
const AFTER_OUTAGE = 5 * SECOND

/** How long a run of a job that this replica does not have is left to those that do. */
const LEAVE_FOR = MINUTE

/** How soon what the store did not answer for is asked again. */
const RETRY_DELAY = SECOND

export interface AbandonedRunsOptions {
  readonly replicaId: string
  readonly clock: Clock
  readonly coordination: Coordination
  readonly journal: Journal
  readonly newCallId: () => string
  /** The ids of the runs of this process that go on, or whose end is about to be told: what becomes of them it tells itself. */
  readonly runIds: () => readonly string[]
  /** The job of an id, if this replica has it. */
  readonly jobOf: (jobId: string) => JobRecord | undefined
}

/**
 * Notices runs that ended with their replica, or that go on somewhere without their lock: all replicas look for them, and
 * the one that has it recorded counts a failed run and tells of it, once for the fleet.
 */
export class AbandonedRuns {
  readonly #options: AbandonedRunsOptions
  /** Calls that are repeated as they are until they are answered. */
  #calls: { readonly id: string; readonly runs: readonly OpenRun[] }[] = []
  #timer: TimerHandle | null = null
  #lookAt = 0
  #isAsking = false
  #stopped = true

  constructor(options: AbandonedRunsOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, replicaId } = this.#options
    this.#stopped = false
    // A time of its own, so that not all look at once.
    this.#lookAt = clock.monotonic() + AFTER_OUTAGE + (hash32(replicaId) % LOOK_EVERY)
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** The store answers again. */
  wait(): void {
    this.#lookAt = Math.max(this.#lookAt, this.#options.clock.monotonic() + AFTER_OUTAGE)
    this.#arm()
  }

  /** Records a run that another has taken the place of. */
  record(runs: readonly OpenRun[]): void {
    if (runs.length === 0) return
    this.#calls.push({ id: this.#options.newCallId(), runs })
    void this.#ask()
  }

  #arm(): void {
    if (this.#stopped) return
    const { clock } = this.#options
    const delay = Math.max(1, this.#lookAt - clock.monotonic())
    this.#timer?.cancel()
    this.#timer = clock.setTimeout(
      () => void this.#look(),
      this.#calls.length > 0 ? Math.min(delay, RETRY_DELAY) : delay
    )
  }

  #look(): void {
    const { clock, coordination } = this.#options
    const isDue = clock.monotonic() >= this.#lookAt
    if (isDue) this.#lookAt = clock.monotonic() + LOOK_EVERY
    const looked = isDue && coordination.state.up ? coordination.findAbandoned() : null
    if (looked !== null) void looked.then((found) => this.#found(found))
    if (this.#calls.length > 0) void this.#ask()
    this.#arm()
  }

  #found(found: readonly OpenRun[]): void {
    const { coordination, jobOf, runIds } = this.#options
    const now = coordination.now()
    const known = new Set(this.#calls.flatMap(({ runs }) => runs.map(({ runId }) => runId)))
    for (const runId of runIds()) known.add(runId)
    const isOurs = ({ jobId, lockedUntil }: OpenRun): boolean => {
      return jobOf(jobId) !== undefined || lockedUntil + LEAVE_FOR < now
    }
    if (!this.#stopped) this.record(found.filter((run) => !known.has(run.runId) && isOurs(run)))
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    for (let call = this.#calls[0]; call !== undefined && !this.#stopped; call = this.#calls[0]) {
      const recorded = await this.#options.coordination.abandon(call.runs, call.id)
      if (recorded === null) break
      this.#calls.shift()
      for (const [index, run] of call.runs.entries()) if (recorded[index]) this.#tell(run)
    }
    this.#isAsking = false
    if (this.#calls.length > 0) this.#arm()
  }

  #tell(open: OpenRun): void {
    const { journal, jobOf } = this.#options
    const { runId, jobId, scheduledTime, startedAt, replicaId, fencingToken, lockedUntil } = open
    const job = jobOf(jobId)
    if (job === undefined) {
      journal.runAbandoned(open, null, null)
      return
    }
    // What started it is not kept: a tick of the trigger's did, or somebody.
    const isTick = mayBeTick(job.trigger, scheduledTime)
    const trigger = open.attempt > 1 ? 'recovery' : isTick ? 'schedule' : 'manual'
    const run = new RunRecord(runId, jobId, scheduledTime, startedAt, trigger, replicaId, fencingToken)
    run.attempt = Math.max(1, open.attempt)
    run.outcome = 'abandoned'
    run.finishedAt = Math.max(startedAt, Math.round(lockedUntil))
    run.error = new RunAbandonedError(jobId, replicaId)
    journal.runAbandoned(open, job, run)
  }
}
