import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination, LostRun, OpenRun } from '../../types/coordination.js'
import { MINUTE, SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { RunAbandonedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { RunEntries } from '../observability/history/run-entries.js'
import type { Journal } from '../observability/journal.js'
import { RunRecord } from '../runs/run-record.js'
import { mayBeTick } from '../triggers/index.js'

/** How often a replica looks for abandoned runs: while it is idle, in place of every sixth of its looks for what is new. */
const LOOK_INTERVAL = (11 * SECOND) / 2

/** How long nobody looks after an outage: replicas whose runs ended meanwhile report their outcomes first. */
const OUTAGE_DELAY = 5 * SECOND

/** How long a run of a job that this replica does not have is left to replicas that have it. */
const UNKNOWN_JOB_DELAY = MINUTE

/** How soon a call that the store did not answer is repeated. */
const RETRY_DELAY = SECOND

export interface AbandonedRunsOptions {
  readonly replicaId: string
  readonly clock: Clock
  readonly coordination: Coordination
  readonly journal: Journal
  readonly entries: RunEntries
  readonly newCallId: () => string
  /**
   * The ids of this process' runs that are active or whose end is not yet reported: this process reports them itself.
   */
  readonly runIds: () => readonly string[]
  /** The job with an id, if this replica has it. */
  readonly jobOf: (jobId: string) => JobRecord | undefined
  /** Called for a run that was recorded here as abandoned. */
  readonly onFailed: (job: JobRecord) => void
  /** Called each time that it looks. */
  readonly onLook: () => void
  /** Called for a run that is to be taken over. */
  readonly onLeft: (job: JobRecord) => void
}

/**
 * Finds runs whose replica died, or that go on somewhere without their lock. All replicas look for them; the one whose
 * record of such a run the store accepts counts it as failed and reports it, once for the fleet.
 */
export class AbandonedRuns {
  readonly #options: AbandonedRunsOptions
  /** Calls to record runs; each is repeated unchanged until the store answers it. */
  #calls: { readonly id: string; readonly runs: readonly LostRun[] }[] = []
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
    // Each replica has a delay of its own, so that they do not all look at once.
    this.#lookAt = clock.monotonic() + OUTAGE_DELAY + (hash32(replicaId) % LOOK_INTERVAL)
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Puts the next look off, as the store has just come back from an outage. */
  postpone(): void {
    this.#lookAt = Math.max(this.#lookAt, this.#options.clock.monotonic() + OUTAGE_DELAY)
    this.#arm()
  }

  /** Records runs as abandoned. */
  record(runs: readonly OpenRun[]): void {
    if (runs.length === 0) return
    this.#calls.push({ id: this.#options.newCallId(), runs: runs.map((open) => this.#lostRun(open)) })
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
    if (isDue) {
      this.#lookAt = clock.monotonic() + LOOK_INTERVAL
      this.#options.onLook()
    }
    const looked = isDue && coordination.state.up ? coordination.findAbandoned() : null
    if (looked !== null) void looked.then((found) => this.#found(found))
    if (this.#calls.length > 0) void this.#ask()
    this.#arm()
  }

  #found(found: readonly OpenRun[]): void {
    const { coordination, jobOf, onLeft, runIds } = this.#options
    const now = coordination.now()
    const known = new Set(this.#calls.flatMap(({ runs }) => runs.map(({ runId }) => runId)))
    for (const runId of runIds()) known.add(runId)
    const isOurs = ({ jobId, lockedUntil }: OpenRun): boolean => {
      return jobOf(jobId) !== undefined || lockedUntil + UNKNOWN_JOB_DELAY < now
    }
    if (this.#stopped) return
    for (const { jobId, attempt } of found) {
      const job = attempt > 0 ? jobOf(jobId) : undefined
      // Who has not claimed a tick beside it, as it was asked for by hand, does not look for it.
      if (job !== undefined) onLeft(job)
    }
    this.record(found.filter((run) => !known.has(run.runId) && isOurs(run)))
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    for (let call = this.#calls[0]; call !== undefined && !this.#stopped; call = this.#calls[0]) {
      const recorded = await this.#options.coordination.abandon(call.runs, call.id)
      if (recorded === null) break
      this.#calls.shift()
      for (const [index, run] of call.runs.entries()) if (recorded[index]) this.#report(run)
    }
    this.#isAsking = false
    if (this.#calls.length > 0) this.#arm()
  }

  #report(open: OpenRun): void {
    const { journal, jobOf, onFailed } = this.#options
    const job = jobOf(open.jobId)
    journal.runAbandoned(open, job ?? null, job === undefined ? null : this.#runOf(open, job))
    if (job !== undefined) onFailed(job)
  }

  /** A run with what the history keeps of it. */
  #lostRun(open: OpenRun): LostRun {
    const { entries, jobOf } = this.#options
    if (!entries.isOn) return { ...open, entry: null }
    const run = this.#runOf(open, jobOf(open.jobId))
    const duration = (run.finishedAt as number) - run.startedAt
    const ended = { run, slot: open.slot, attempts: null, progress: null, written: null }
    return { ...open, entry: entries.entry(ended, { outcome: 'abandoned', error: run.error }, duration) }
  }

  #runOf(open: OpenRun, job: JobRecord | undefined): RunRecord {
    const { runId, jobId, scheduledTime, startedAt, replicaId, fencingToken, lockedUntil } = open
    // The store does not keep what started a run, so this is inferred from its time and its attempt.
    const isTick = job === undefined || mayBeTick(job.trigger, scheduledTime)
    const trigger = open.attempt > 1 ? 'recovery' : isTick && open.by === undefined ? 'schedule' : 'manual'
    const run = new RunRecord(runId, jobId, scheduledTime, startedAt, trigger, replicaId, fencingToken)
    run.by = open.by ?? null
    run.attempt = Math.max(1, open.attempt)
    run.outcome = 'abandoned'
    run.finishedAt = Math.max(startedAt, Math.round(lockedUntil))
    run.error = new RunAbandonedError(jobId, replicaId)
    return run
  }
}
