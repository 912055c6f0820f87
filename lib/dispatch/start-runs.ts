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
import { isFromCompletion, periodAround } from '../triggers/index.js'
import { isMissed, jobLock, toStartRequest } from './claim-request.js'
import type { EndedJobs } from './ended-jobs.js'
import type { Recovery } from './recovery.js'
import type { TracedClaims } from './traced-claims.js'
import type { UnlockedRuns } from './unlocked.js'

/** How soon to ask again: when there was no room for the run, and after no answer. */
const ROOM_POLL = SECOND / 4
const RETRY_DELAY = SECOND

/** The most runs requested in one call. */
const BATCH = 64

type Granted = Extract<ClaimAnswer, { status: 'granted' }>

export interface StartRunsOptions {
  readonly claims: TracedClaims
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
  /** The jobs that are to be asked for, with the request that may have been granted, as its reply was lost; `null` for none. */
  readonly #waiting = new Map<JobRecord, ClaimRequest | null>()
  /** The jobs that have had their turn since the start. */
  #asked = new WeakSet<JobRecord>()
  #timer: TimerHandle | null = null
  #asking = false
  #stopped = true
  /** The requests that are being made. */
  #requested: readonly ClaimRequest[] = []
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: StartRunsOptions) {
    this.#options = options
  }

  /** The ids of the runs that are being requested. */
  get runIds(): readonly string[] {
    return [...this.#requested, ...this.#waiting.values()].flatMap((request) =>
      request === null ? [] : [request.runId]
    )
  }

  /** Whether a run of the job is still to be asked for. */
  has(job: JobRecord): boolean {
    return this.#waiting.has(job)
  }

  /** The ticks of a job have begun here, as far as the store has said what it knows of it. */
  note(job: JobRecord): void {
    if (this.#stopped || this.#asked.has(job)) return
    // Also where it gets the option only later.
    this.#asked.add(job)
    if (!job.definition.runOnStart || job.removed || job.hasEnded) return
    const now = this.#options.coordination.now()
    if (periodAround(job.trigger, now) === null) return
    if (job.definition.lockTtl === null) this.#options.unlocked.startWithReplica(job)
    else if (!runsAnyway(job, now)) this.#askLater(job, 0)
  }

  start(): void {
    this.#stopped = false
    this.#asked = new WeakSet()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
    for (const [job, request] of this.#waiting) this.#giveUp(job, request)
    this.#waiting.clear()
  }

  /** Resolves when no request is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #askLater(job: JobRecord, delay: number, request: ClaimRequest | null = null): void {
    if (this.#stopped) {
      this.#giveUp(job, request)
      return
    }
    this.#waiting.set(job, request)
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
    let answered = true
    while (this.#waiting.size > 0 && !this.#stopped && answered) {
      const batch = [...this.#waiting.keys()]
        .sort((a, b) => a.lane - b.lane)
        .slice(0, Math.min(BATCH, this.#options.capacity.room))
      if (batch.length === 0) break
      answered = await this.#ask(batch)
    }
    this.#asking = false
    this.#idle.announce()
    const [first] = this.#waiting
    if (first !== undefined) this.#askLater(first[0], answered ? ROOM_POLL : RETRY_DELAY, first[1])
  }

  /** @returns whether the store has answered */
  async #ask(batch: readonly JobRecord[]): Promise<boolean> {
    const { capacity, claims, coordination, newRunId } = this.#options
    const now = Math.round(coordination.now())
    const jobs: JobRecord[] = []
    const requests: ClaimRequest[] = []
    const repeated = new Set<ClaimRequest>()
    for (const job of batch) {
      const before = this.#waiting.get(job) ?? null
      this.#waiting.delete(job)
      const period = periodAround(job.trigger, now)
      if (period === null || job.removed || job.hasEnded || job.definition.lockTtl === null) {
        this.#giveUp(job, before)
        continue
      }
      // Under its id a request that was granted before, as its reply was lost, is granted again.
      const request = toStartRequest(job, before?.runId ?? newRunId(), now, now - period)
      if (before !== null) repeated.add(request)
      jobs.push(job)
      requests.push(request)
    }
    if (jobs.length === 0) return true
    this.#requested = requests
    capacity.asked(requests.length)
    const answers = await claims.ask(requests)
    for (const [index, job] of jobs.entries()) {
      const request = requests[index] as ClaimRequest
      this.#apply(job, request, answers[index] as ClaimAnswer, repeated.has(request))
    }
    this.#requested = []
    capacity.answered(requests.length)
    capacity.announceRoom()
    return !answers.some(({ status }) => status === 'unavailable')
  }

  /** @param isRepeated whether the request may have been granted before */
  #apply(job: JobRecord, request: ClaimRequest, answer: ClaimAnswer, isRepeated: boolean): void {
    const { endedJobs, recovery } = this.#options
    if (answer.status === 'granted') {
      this.#begin(job, request, answer)
      return
    }
    if (answer.status === 'unavailable') {
      this.#askLater(job, RETRY_DELAY, answer.maybe || isRepeated ? request : null)
      return
    }
    if (isRepeated) this.#giveUp(job, request)
    if (answer.status === 'overlap' && answer.isLeft) recovery.lookNow(job)
    if (answer.status === 'ended') endedJobs.note(job)
  }

  #begin(job: JobRecord, { runId, scheduledTime }: ClaimRequest, { lock, fencingToken, isLast }: Granted): void {
    const { clock, endedJobs, finisher, runner } = this.#options
    if (lock === null) return
    const isLate = isOver(lock, clock.monotonic())
    if (isLate || this.#stopped || job.removed || runner.closed || runner.runsUnlocked(job.id)) {
      // Once the store knows that it has not begun, the run can be had again.
      const onReleased = (): void => (isLate ? this.#askLater(job, RETRY_DELAY) : undefined)
      finisher.push({ lock, finished: true, unbegun: true, onReleased })
      return
    }
    if (isLast) endedJobs.note(job)
    job.noteLocked()
    runner.startRun(job, runner.newRun(job, runId, scheduledTime, 'start', fencingToken), lock)
  }

  /** A request is not repeated any more: if it was granted, its run has not begun. */
  #giveUp(job: JobRecord, request: ClaimRequest | null): void {
    const { clock, finisher } = this.#options
    if (request !== null) finisher.giveUp(jobLock(job, request.runId, request.ttl, clock.monotonic()))
  }
}

/** Whether a job has a tick that is late, but within its grace, so that it runs now. */
function runsAnyway(job: JobRecord, now: number): boolean {
  // That of an interval from the last end only asks whether it is due.
  return job.pending !== null && !isFromCompletion(job.trigger) && !isMissed(job, job.pending, now)
}
