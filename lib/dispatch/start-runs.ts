import type { Clock, TimerHandle } from '../../types/clock.js'
import type { ClaimAnswer, ClaimRequest, Coordination } from '../../types/coordination.js'
import { detached } from '../base/async-context.js'
import { SECOND } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Capacity } from '../runs/capacity.js'
import type { Finisher } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import { periodAround } from '../triggers/index.js'
import { isMissed, jobLock, toStartRequest } from './claim-request.js'
import type { EndedJobs } from './ended-jobs.js'
import type { Recovery } from './recovery.js'
import type { UnlockedRuns } from './unlocked.js'

/** How soon to ask again: when there was no room for the run, and after no answer. */
const ROOM_POLL = SECOND / 4
const RETRY_DELAY = SECOND

/** The most runs requested in one call. */
const BATCH = 64

export interface StartRunsOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly endedJobs: EndedJobs
  readonly capacity: Capacity
  readonly runner: Runner
  readonly finisher: Finisher
  readonly recovery: Recovery
  readonly unlocked: UnlockedRuns
  readonly newRunId: () => string
}

/**
 * Runs jobs with `runOnStart` as this replica starts, unless a run of the job has begun within its last period: the store
 * decides that, so that of replicas which start one after the other, at any speed, one has the run at most.
 */
export class StartRuns {
  readonly #options: StartRunsOptions
  /** The jobs that are to be asked for. */
  readonly #waiting = new Set<JobRecord>()
  /** The jobs that have had their turn since the start. */
  #asked = new WeakSet<JobRecord>()
  #timer: TimerHandle | null = null
  #asking = false
  #stopped = true
  /** The ids of the runs that are being requested. */
  #requestedRunIds: readonly string[] = []
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: StartRunsOptions) {
    this.#options = options
  }

  /** The ids of the runs that are being requested. */
  get runIds(): readonly string[] {
    return this.#requestedRunIds
  }

  /** Whether a run of the job is still to be asked for. */
  has(job: JobRecord): boolean {
    return this.#waiting.has(job)
  }

  /** The ticks of a job have begun here, as far as the store has said what it knows of it. */
  note(job: JobRecord): void {
    if (!job.definition.runOnStart || this.#stopped || job.removed || job.hasEnded || this.#asked.has(job)) return
    this.#asked.add(job)
    if (job.definition.lockTtl === null) this.#options.unlocked.startWithReplica(job)
    // A tick that is late, but within its grace, runs now anyway.
    else if (job.pending === null || isMissed(job, job.pending, this.#options.coordination.now()))
      this.#askLater(job, 0)
  }

  start(): void {
    this.#stopped = false
    this.#asked = new WeakSet()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
    this.#waiting.clear()
  }

  /** Resolves when no request is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #askLater(job: JobRecord, delay: number): void {
    if (this.#stopped) return
    this.#waiting.add(job)
    if (this.#asking) return
    if (delay > 0) this.#timer ??= this.#options.clock.setTimeout(() => void this.#askAll(), delay)
    else void detached(() => this.#askAll())
  }

  async #askAll(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    this.#asking = true
    // What comes at the same time shares a call.
    await new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    const again = new Map<JobRecord, number>()
    while (this.#waiting.size > 0 && !this.#stopped) {
      const batch = [...this.#waiting]
        .sort((a, b) => a.lane - b.lane)
        .slice(0, Math.min(BATCH, this.#options.capacity.room))
      if (batch.length === 0) {
        for (const job of this.#waiting) again.set(job, ROOM_POLL)
        break
      }
      for (const job of batch) this.#waiting.delete(job)
      for (const job of await this.#ask(batch)) again.set(job, RETRY_DELAY)
    }
    this.#asking = false
    this.#idle.announce()
    for (const [job, delay] of again) this.#askLater(job, delay)
  }

  /** @returns the jobs that are to be asked for again */
  async #ask(batch: readonly JobRecord[]): Promise<JobRecord[]> {
    const { capacity, coordination, newRunId } = this.#options
    const now = Math.round(coordination.now())
    const jobs: JobRecord[] = []
    const requests: ClaimRequest[] = []
    for (const job of batch) {
      const period = periodAround(job.trigger, now)
      if (period === null || job.removed || job.hasEnded || job.definition.lockTtl === null) continue
      jobs.push(job)
      requests.push(toStartRequest(job, newRunId(), now, now - period))
    }
    if (jobs.length === 0) return []
    this.#requestedRunIds = requests.map(({ runId }) => runId)
    capacity.asked(requests.length)
    const answers = await coordination.claim(requests)
    const again: JobRecord[] = []
    for (const [index, job] of jobs.entries()) {
      if (!this.#apply(job, requests[index] as ClaimRequest, answers[index] as ClaimAnswer)) again.push(job)
    }
    this.#requestedRunIds = []
    capacity.answered(requests.length)
    capacity.announceRoom()
    return again
  }

  /** @returns whether the job has had its turn */
  #apply(job: JobRecord, { runId, ttl, scheduledTime }: ClaimRequest, answer: ClaimAnswer): boolean {
    const { clock, endedJobs, finisher, recovery, runner } = this.#options
    switch (answer.status) {
      case 'granted': {
        const { lock, fencingToken } = answer
        if (lock === null) return true
        const isLate = isOver(lock, clock.monotonic())
        if (isLate || this.#stopped || job.removed || runner.closed || runner.runsUnlocked(job.id)) {
          finisher.push({ lock, finished: true, unbegun: true, onReleased() {} })
          return !isLate
        }
        if (answer.isLast) endedJobs.note(job)
        job.noteLocked()
        runner.startRun(job, runner.newRun(job, runId, scheduledTime, 'start', fencingToken), lock)
        return true
      }
      case 'unavailable':
        // The run may have been granted all the same, and only the reply lost.
        if (answer.maybe) finisher.giveUp(jobLock(job, runId, ttl, clock.monotonic()))
        return false
      case 'overlap':
        if (answer.isLeft) recovery.lookNow(job)
        return true
      case 'ended':
        endedJobs.note(job)
        return true
      default:
        return true
    }
  }
}
