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
import { AskedTick } from './asked-tick.js'
import { type ClaimCall, makeCall } from './claim-call.js'
import type { Completion } from './completion.js'
import { DueJobs } from './due-jobs.js'
import type { TickAnswer } from './outcome.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import { chooseOverdue, chooseTick } from './tick-choice.js'
import type { UnclaimedRuns } from './unclaimed.js'
import type { UnlockedRuns } from './unlocked.js'

/** The first and the longest wait before ticks that Redis did not answer for are asked for again. */
const FIRST_RETRY = SECOND / 10
const LAST_RETRY = 2 * SECOND

export interface DispatcherOptions {
  readonly capacity: Capacity
  readonly blocks: JobBlocks
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly runner: Runner
  readonly recovery: Recovery
  readonly unlocked: UnlockedRuns
  readonly unclaimed: UnclaimedRuns
  readonly completion: Completion
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly journal: Journal
  readonly newRunId: () => string
  /** Resolves when what is asked about jobs is known: nothing is claimed before; `null` when nothing is. */
  readonly surveyed: () => Promise<void> | null
  /** Puts what is due into an order of this replica's own; `null` where it shares with nobody. */
  readonly shuffle: ((items: unknown[]) => void) | null
}

/**
 * Brings due ticks to the store: asks for as many as there is room to run, and asks again for what is not answered.
 *
 * A tick goes from the timetable (`enqueue`) to the due jobs, in a call to the store (`#ask`), and with the answer to a run or a
 * count (`Answers`).
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #due: DueJobs
  readonly #account: TickAccount
  readonly #answers: Answers
  readonly #blocks: JobBlocks
  /** What Redis may have executed and did not answer for: it is repeated before anything else is asked. */
  #unresolved: ClaimCall | null = null
  /** What is asked now. */
  #call: ClaimCall | null = null
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

  /** How many jobs have due ticks that wait for a claim. */
  get backlog(): number {
    return this.#due.size + (this.#unresolved?.asked.length ?? 0)
  }

  /** The ids of the runs that are asked for, or may have been granted. */
  get runIds(): string[] {
    return [...(this.#call?.asked ?? []), ...(this.#unresolved?.asked ?? [])].map(({ runId }) => runId)
  }

  /** Whether a tick of the job is to be asked for, or asked for and not answered yet. */
  isBusy(job: JobRecord): boolean {
    if (this.#due.has(job)) return true
    return [this.#call, this.#unresolved].some((call) => call?.asked.some((asked) => asked.job === job))
  }

  /** Moves what was counted for many jobs at once into each job's own numbers. */
  flushCounts(): void {
    this.#blocks.flushCounts()
  }

  /** Takes a due tick; `pump` is to follow. */
  enqueue(job: JobRecord, tick: DueTick): void {
    const { completion, unclaimed, unlocked } = this.#options
    if (this.#due.stopped || job.removed) return
    if (isFromCompletion(job.trigger) && !completion.mayBeDue(job, tick.scheduledTime)) return
    if (job.definition.lockTtl === null) {
      unlocked.start(job, tick)
      return
    }
    // From here on it has a tick of its own.
    job.block?.waiting?.spread()
    job.addDue(tick)
    this.#due.push(job)
    if (this.#account.isSilent) unclaimed.runOverdue(job)
  }

  /**
   * Takes a due tick of all jobs of a trigger; `pump` is to follow.
   *
   * @returns the jobs for which it is to be taken one by one, by `enqueue`
   */
  enqueueAll(trigger: Trigger, tick: DueTick): Iterable<JobRecord> | null {
    const jobs = this.#blocks.of(trigger)
    // Late ticks are each job's own matter.
    if (jobs === undefined || tick.firstLate < tick.scheduledTime) return null
    if (this.#due.stopped) return []
    const alone = [...jobs.alone]
    for (const block of jobs.blocks) {
      if (block.isFree) this.#due.pushBlock(block, tick)
      else for (const job of block.jobs) alone.push(job)
    }
    return alone
  }

  /** Asks for what is due, as far as there is room. */
  pump(): void {
    if (!this.#draining && this.#retryTimer === null && this.#ready()) this.#drainDetached()
  }

  /** The coordination answers again: asks at once for what waits. */
  wakeUp(): void {
    this.#endRetry()
    this.#retryDelay = 0
    this.pump()
  }

  /**
   * The fleet's clock is known by now, and is `step` ahead of the one by which ticks were due before: those are due no more. Except
   * for intervals from the last run's end, of which the store says when they are.
   */
  moveTimes(step: number): void {
    this.#account.moveTimes(step)
    for (const job of this.#due.clear()) {
      if (isFromCompletion(job.trigger)) this.#due.push(job)
      else job.takeDue()
    }
  }

  /** Takes ticks, as it does from the beginning, also again after `stop`. */
  start(): void {
    this.#due.start()
  }

  /** Takes no more ticks, and leaves those not yet claimed to the other replicas. */
  stop(): void {
    this.#endRetry()
    for (const job of this.#due.stop()) {
      const tick = job.takeDue()
      if (tick === null || job.removed) continue
      this.#options.journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      this.#options.completion.askLater(job, tick)
    }
    this.pump()
  }

  /** Resolves when no claim is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #ready(): boolean {
    // What may have been executed is repeated once more also after the end: it is to be handed back.
    if (this.#unresolved !== null) return true
    return !this.#due.stopped && this.#due.queue.size > 0 && this.#options.capacity.room > 0
  }

  /** Apart from `pump`, which each run's end calls: a function that makes functions costs more also where it makes none. */
  #drainDetached(): void {
    void detached(() => this.#drain())
  }

  async #drain(): Promise<void> {
    const { clock } = this.#options
    this.#draining = true
    try {
      while (this.#ready() && this.#retryTimer === null) {
        const surveyed = this.#options.surveyed()
        if (surveyed !== null) await this.#waitFor(surveyed)
        const call = this.#unresolved ?? this.#newCall()
        if (call !== null) await this.#ask(call)
        await new Promise<void>((resolve) => clock.setImmediate(resolve))
      }
    } finally {
      this.#draining = false
      this.#idle.announce()
    }
  }

  /** Ticks that wait for a survey, which the store does not answer, wait for the store. */
  async #waitFor(surveyed: Promise<void>): Promise<void> {
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

  /** What is to be asked for of a job, or `null` when there is nothing any more. */
  #choose(job: JobRecord, now: number): AskedTick | null {
    const latest = job.takeDue()
    if (latest === null || job.removed) return null
    if (job.template.ttl === null) {
      // Changed to run without a claim while it waited.
      this.#options.unlocked.start(job, latest)
      return null
    }
    // Most often it is the only one.
    const isOnly = latest.firstLate >= latest.scheduledTime
    const choice = isOnly ? null : (chooseOverdue(job, latest, now) ?? chooseTick(job, latest, now))
    return new AskedTick(job, choice, latest, this.#options.newRunId(), now)
  }

  async #ask(call: ClaimCall): Promise<void> {
    const { capacity, clock, coordination, finisher } = this.#options
    const { asked } = call
    this.#call = call
    const sentAt = coordination.now()
    const stopped = this.#due.stopped
    capacity.asked(asked.length)
    const answers = await coordination.claim(asked, call.id, call.blocks)
    const silent = answers.some(isSilence)
    const received = { now: coordination.now(), monotonic: clock.monotonic(), askedAt: call.askedAt }
    this.#account.noteAnswer(!silent, sentAt, received.now)
    const repeated: AskedTick[] = []
    const returned: HandingBack[] = []
    const slice = new TimeSlice(clock)
    for (let index = 0; index < asked.length; index++) {
      if (slice.isOver) await slice.pass()
      capacity.answered(1)
      this.#answers.apply(asked[index] as AskedTick, answers[index] as TickAnswer, received, returned, repeated)
    }
    this.#unresolved = repeated.length === 0 ? null : this.#repeat(call, repeated)
    if (stopped && this.#unresolved !== null) this.#giveUp(this.#unresolved)
    if (silent) {
      if (!this.#due.stopped) this.#options.unclaimed.runAllOverdue()
      this.#retryLater()
    } else {
      this.#retryDelay = 0
      this.#options.unclaimed.clear()
    }
    this.#call = null
    if (returned.length > 0) await finisher.handBack(returned)
  }

  /** That part of a call which is to be repeated: as it is, so that it gets the answers it had. */
  #repeat(call: ClaimCall, repeated: readonly AskedTick[]): ClaimCall {
    for (const asked of repeated) this.#answers.repeat(asked)
    return repeated.length === call.asked.length ? call : { ...call, asked: repeated, blocks: undefined }
  }

  /** A call was made after the end, and not answered: what may have been claimed by it is free again for the other replicas. */
  #giveUp(call: ClaimCall): void {
    this.#unresolved = null
    void this.#options.finisher.handBack(call.asked.map((asked) => this.#answers.giveUp(asked)))
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

/** Whether an answer says that the store did not answer. */
function isSilence(answer: ClaimAnswer): boolean {
  return answer.status === 'unavailable' && !answer.unreadable
}
