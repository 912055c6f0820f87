import type { Clock, TimerHandle } from '../../types/clock.js'
import type { ClaimAnswer, Coordination } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import { detached } from '../base/async-context.js'
import { SECOND } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import { TimeSlice } from '../base/time-slice.js'
import type { JobBlocks, JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Journal } from '../observability/journal.js'
import type { Capacity } from '../runs/capacity.js'
import type { Finisher } from '../runs/finisher.js'
import type { HandingBack } from '../runs/retried-releases.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import { isFromCompletion } from '../triggers/index.js'
import { Answers } from './answers.js'
import { type ClaimCall, makeCall } from './claim-call.js'
import type { Completion } from './completion.js'
import { DueJobs } from './due-jobs.js'
import type { EndedJobs } from './ended-jobs.js'
import type { TickAnswer } from './outcome.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import { chooseOverdue, chooseTick } from './tick-choice.js'
import { TickRequest } from './tick-request.js'
import type { TracedClaims } from './traced-claims.js'
import type { UnclaimedRuns } from './unclaimed.js'
import type { UnlockedRuns } from './unlocked.js'
import type { WaitingRuns } from './waiting-runs.js'

/** The first and the longest wait before a call that Redis did not answer is followed by another. */
const FIRST_RETRY = SECOND / 10
const LAST_RETRY = 2 * SECOND

export interface DispatcherOptions {
  readonly capacity: Capacity
  readonly blocks: JobBlocks
  readonly claims: TracedClaims
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly runner: Runner
  readonly recovery: Recovery
  readonly unlocked: UnlockedRuns
  readonly unclaimed: UnclaimedRuns
  readonly completion: Completion
  readonly waitingRuns: WaitingRuns
  readonly endedJobs: EndedJobs
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly journal: Journal
  readonly newRunId: () => string
  /** Resolves when the surveys under way have ended, before which nothing is claimed; `null` when none is under way. */
  readonly surveyed: () => Promise<void> | null
  /** Shuffles due jobs into an order of this replica's own; `null` when there are no other replicas. */
  readonly shuffle: ((items: unknown[]) => void) | null
}

/**
 * Requests due ticks from the store, as many as there is capacity to run, and repeats requests that were not answered.
 *
 * The timetable passes a tick to `enqueue`, which adds its job to the due jobs; a call to the store requests it
 * (`#ask`); and its answer starts a run or has the tick counted (`Answers`).
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #due: DueJobs
  readonly #account: TickAccount
  readonly #answers: Answers
  readonly #blocks: JobBlocks
  /** The call that Redis may have executed but did not answer: it is repeated before any other call is made. */
  #unresolved: ClaimCall | null = null
  /** The call that is under way. */
  #inFlight: ClaimCall | null = null
  #draining = false
  #retryDelay = 0
  #retryTimer: TimerHandle | null = null
  readonly #idle = new Idle(() => this.#draining || this.#unresolved !== null)

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#account = options.account
    this.#blocks = options.blocks
    this.#due = new DueJobs({ ...options, onReady: () => this.pump() })
    this.#answers = new Answers({ ...options, due: this.#due })
  }

  /** How many jobs have a due tick that waits to be claimed. */
  get backlog(): number {
    return this.#due.size + (this.#unresolved?.requests.length ?? 0)
  }

  /** The run ids of all requests that are under way, or may have been granted without this replica learning of it. */
  get runIds(): string[] {
    return [...(this.#inFlight?.requests ?? []), ...(this.#unresolved?.requests ?? [])].map(({ runId }) => runId)
  }

  /** Whether a tick of the job waits to be requested, or was requested and not answered yet. */
  isBusy(job: JobRecord): boolean {
    if (this.#due.has(job)) return true
    return [this.#inFlight, this.#unresolved].some((call) => call?.requests.some((request) => request.job === job))
  }

  /** Adds what was counted for whole blocks to the statistics of each of their jobs. */
  flushCounts(): void {
    this.#blocks.flushCounts()
  }

  /** Accepts a due tick. The caller calls `pump` afterwards. */
  enqueue(job: JobRecord, tick: DueTick): void {
    const { completion, unclaimed, unlocked } = this.#options
    if (this.#due.stopped || job.removed) return
    if (isFromCompletion(job.trigger) && !completion.mayBeDue(job, tick.scheduledTime)) return
    if (job.definition.lockTtl === null) {
      unlocked.start(job, tick)
      return
    }
    // From here on the job has a tick of its own, apart from its block's.
    job.block?.waiting?.spread()
    job.addDue(tick)
    this.#due.push(job)
    if (this.#account.isSilent) unclaimed.runOverdue(job)
  }

  /**
   * Accepts a due tick for all jobs of a trigger that can wait as blocks. The caller calls `pump` afterwards.
   *
   * @returns the other jobs of the trigger, each to be passed to `enqueue`; `null` for all of its jobs
   */
  enqueueAll(trigger: Trigger, tick: DueTick): Iterable<JobRecord> | null {
    const jobs = this.#blocks.of(trigger)
    // Which of several late ticks is run depends on each job's options.
    if (jobs === undefined || tick.firstLate < tick.scheduledTime) return null
    if (this.#due.stopped) return []
    const alone = [...jobs.alone]
    for (let lane: typeof jobs | null = jobs; lane !== null; lane = lane.other) {
      if (lane !== jobs) for (const job of lane.alone) alone.push(job)
      for (const block of lane.blocks) {
        if (block.isFree) this.#due.pushBlock(block, tick)
        else for (const job of block.jobs) alone.push(job)
      }
    }
    return alone
  }

  /** Requests due ticks, as far as there is capacity. */
  pump(): void {
    if (!this.#draining && this.#retryTimer === null && this.#canAsk()) this.#drainDetached()
  }

  /** Called when the store answers again: requests at once what waits. */
  wakeUp(): void {
    this.#endRetry()
    this.#retryDelay = 0
    this.pump()
  }

  /**
   * Called when the fleet's clock has become known and is `step` ahead of the clock that ticks were due by: drops the
   * due ticks. Completion intervals stay due, as the store decides when they are.
   */
  moveTimes(step: number): void {
    this.#account.moveTimes(step)
    for (const job of this.#due.clear()) {
      if (isFromCompletion(job.trigger)) this.#due.push(job)
      else job.takeDue()
    }
  }

  /**
   * From now on ticks of low priority wait, each for half of its grace at most.
   *
   * @returns how many do
   */
  holdLow(): number {
    this.#due.holdLow()
    return this.#due.heldCount
  }

  /** Requests the ticks of low priority that wait. */
  releaseLow(): void {
    this.#due.releaseLow()
    this.pump()
  }

  /** Accepts ticks again after `stop`; before the first `stop` it does so anyway. */
  start(): void {
    this.#due.start()
  }

  /** Accepts no more ticks, and leaves those not yet claimed to the other replicas. */
  stop(): void {
    this.#endRetry()
    for (const job of this.#due.stop()) {
      const tick = job.takeDue()
      if (tick === null || job.removed) continue
      this.#options.journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      this.#options.completion.rearmFinalTick(job, tick)
    }
    this.pump()
  }

  /** Resolves when no claim is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #canAsk(): boolean {
    // A call that may have been executed is repeated once more even after `stop`, so that its claims can be handed
    // back.
    if (this.#unresolved !== null) return true
    return !this.#due.stopped && this.#due.queue.size > 0 && this.#options.capacity.room > 0
  }

  /**
   * Kept out of `pump`, which every run's end calls: a function that contains closures is dearer even if it makes none.
   */
  #drainDetached(): void {
    void detached(() => this.#drain())
  }

  async #drain(): Promise<void> {
    const { clock } = this.#options
    this.#draining = true
    try {
      while (this.#canAsk() && this.#retryTimer === null) {
        const surveyed = this.#options.surveyed()
        if (surveyed !== null) await this.#awaitSurvey(surveyed)
        const call = this.#unresolved ?? this.#newCall()
        if (call !== null) await this.#ask(call)
        await new Promise<void>((resolve) => clock.setImmediate(resolve))
      }
    } finally {
      this.#draining = false
      this.#idle.announce()
    }
  }

  /** Waits for a survey. If the store does not answer it, its silence counts from when the ticks began to wait. */
  async #awaitSurvey(surveyed: Promise<void>): Promise<void> {
    const { coordination } = this.#options
    const since = coordination.now()
    await surveyed
    if (!coordination.state.up) this.#account.noteAnswer(false, since, coordination.now())
  }

  #newCall(): ClaimCall | null {
    const { capacity, coordination, newRunId } = this.#options
    const now = coordination.now()
    return makeCall(this.#due.queue, capacity.room, {
      choose: (job) => this.#choose(job, now),
      newRunId,
      onBlockTaken: (block, scheduledTime) => {
        block.noteTaken(scheduledTime)
        this.#options.journal.blockTakenElsewhere(block, scheduledTime)
      }
    })
  }

  /** The request for a job's due tick, or `null` when none is due any more. */
  #choose(job: JobRecord, now: number): TickRequest | null {
    const latest = job.takeDue()
    if (latest === null || job.removed) return null
    if (job.template.ttl === null) {
      // The job was changed to `lock: false` while it waited.
      this.#options.unlocked.start(job, latest)
      return null
    }
    // Most often only one tick is due.
    const isOnly = latest.firstLate >= latest.scheduledTime
    const choice = isOnly ? null : (chooseOverdue(job, latest, now) ?? chooseTick(job, latest, now))
    return new TickRequest(job, choice, latest, this.#options.newRunId(), now)
  }

  async #ask(call: ClaimCall): Promise<void> {
    const { capacity, claims, clock, coordination, finisher } = this.#options
    const { requests } = call
    this.#inFlight = call
    const sentAt = coordination.now()
    const stopped = this.#due.stopped
    capacity.asked(requests.length)
    const answers = await claims.ask(requests, call.id, call.blocks)
    const silent = answers.some(isUnanswered)
    const received = { now: coordination.now(), monotonic: clock.monotonic(), askedAt: call.askedAt }
    this.#account.noteAnswer(!silent, sentAt, received.now)
    const toRepeat: TickRequest[] = []
    const handBacks: HandingBack[] = []
    const slice = new TimeSlice(clock)
    for (let index = 0; index < requests.length; index++) {
      if (slice.isOver) await slice.pass()
      capacity.answered(1)
      this.#answers.apply(requests[index] as TickRequest, answers[index] as TickAnswer, received, handBacks, toRepeat)
    }
    this.#unresolved = toRepeat.length === 0 ? null : this.#repeat(call, toRepeat)
    if (stopped && this.#unresolved !== null) this.#giveUp(this.#unresolved)
    if (silent) {
      if (!this.#due.stopped) this.#options.unclaimed.runAllOverdue()
      this.#retryLater()
    } else {
      this.#retryDelay = 0
      this.#options.unclaimed.clear()
    }
    this.#inFlight = null
    if (handBacks.length > 0) await finisher.handBack(handBacks)
  }

  /** The requests of a call to repeat, under the call's id, so that the store gives the answers it gave then. */
  #repeat(call: ClaimCall, toRepeat: readonly TickRequest[]): ClaimCall {
    for (const request of toRepeat) this.#answers.repeat(request)
    return toRepeat.length === call.requests.length ? call : { ...call, requests: toRepeat, blocks: undefined }
  }

  /**
   * A call repeated after `stop` was not answered either: hands back what it may have claimed, for the other replicas.
   */
  #giveUp(call: ClaimCall): void {
    this.#unresolved = null
    void this.#options.finisher.handBack(call.requests.map((request) => this.#answers.giveUp(request)))
  }

  #retryLater(): void {
    if (this.#unresolved === null && this.#due.stopped) return
    this.#retryDelay = Math.min(LAST_RETRY, Math.max(FIRST_RETRY, this.#retryDelay * 2))
    this.#retryTimer ??= this.#options.clock.setTimeout(() => {
      this.#retryTimer = null
      this.pump()
    }, this.#retryDelay)
  }

  #endRetry(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
  }
}

/** Whether the store did not answer; a record that it cannot read is an answer. */
function isUnanswered(answer: ClaimAnswer): boolean {
  return answer.status === 'unavailable' && !answer.unreadable
}
