import type { Clock, TimerHandle } from '../../types/clock.js'
import type { ClaimAnswer, Coordination, HandBackAnswer } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import { detached } from '../base/async-context.js'
import { SECOND } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import { TimeSlice } from '../base/time-slice.js'
import type { JobBlocks, JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { Capacity } from '../runs/capacity.js'
import type { Finisher, HandingBack } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import { AskedTick } from './asked-tick.js'
import { ClaimAnswers } from './claim-answers.js'
import { type ClaimCall, makeCall } from './claim-call.js'
import { isMissed, jobLock } from './claim-request.js'
import { DueQueue } from './due-queue.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import { bringAgain, chooseOverdue, chooseTick, lateTick } from './tick-choice.js'
import type { UnlockedRuns } from './unlocked-runs.js'

/** The first and the longest wait before ticks that Redis did not answer for are asked for again. */
const FIRST_RETRY = SECOND / 10
const LAST_RETRY = 2 * SECOND

/** How long a tick that waits for the lock of its job leaves it alone before it is asked for again. */
const LOCK_POLL = SECOND / 4

/** How long a job whose record cannot be read is left alone before it is asked for again. */
const RECORD_POLL = 5 * SECOND

export interface DispatcherOptions {
  readonly capacity: Capacity
  readonly blocks: JobBlocks
  readonly clock: Clock
  readonly coordination: Coordination
  readonly runner: Runner
  readonly recovery: Recovery
  readonly unlocked: UnlockedRuns
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly journal: Journal
  readonly newRunId: () => string
  /** Resolves when what is asked about jobs is known: nothing is claimed before; `null` when nothing is. */
  readonly surveyed: () => Promise<void> | null
  /** Puts what is due into an order of this replica's own; `null` where it shares with nobody. */
  readonly shuffle: ((items: unknown[]) => void) | null
  /** Makes a job due again at a time, without its trigger. */
  readonly wakeAt: (job: JobRecord, at: number, tick?: DueTick) => void
  /** Called with a job whose trigger has no further tick. */
  readonly onFinished: (job: JobRecord) => void
}

/**
 * Brings due ticks to the store: keeps the due ticks of each job, asks for as many as there is room to run, and asks
 * again for what is not answered.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #queue: DueQueue
  readonly #account: TickAccount
  readonly #answers: ClaimAnswers
  readonly #blocks: JobBlocks
  /** Jobs whose tick waits for a lock that another replica holds. */
  readonly #waiting = new Set<JobRecord>()
  #waitTimer: TimerHandle | null = null
  /** Jobs whose record in the store cannot be read. */
  readonly #refused = new Set<JobRecord>()
  #refusedTimer: TimerHandle | null = null
  /** Jobs with a due tick that is run without a claim when Redis does not answer (`onRedisError: 'run'`). */
  readonly #eager = new Set<JobRecord>()
  /** What Redis may have executed and did not answer for: it is repeated before anything else is asked. */
  #unresolved: ClaimCall | null = null
  /** What is asked now. */
  #call: ClaimCall | null = null
  #draining = false
  #stopped = false
  #retryDelay = 0
  #retryTimer: TimerHandle | null = null
  readonly #idle = new Idle(() => this.#draining || this.#unresolved !== null)

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#queue = new DueQueue(options.shuffle)
    this.#account = options.account
    this.#blocks = options.blocks
    this.#answers = new ClaimAnswers({
      ...options,
      push: (job) => {
        this.#push(job)
        this.pump()
      },
      wait: (job) => this.#wait(job),
      stopped: () => this.#stopped
    })
  }

  /** How many jobs have due ticks that wait for a claim. */
  get backlog(): number {
    return this.#queue.size + this.#waiting.size + this.#refused.size + (this.#unresolved?.asked.length ?? 0)
  }

  /** Whether a tick of the job is to be asked for, or asked for and not answered yet. */
  isBusy(job: JobRecord): boolean {
    if (
      job.pending !== null ||
      job.queued ||
      job.block?.waiting != null ||
      this.#waiting.has(job) ||
      this.#refused.has(job)
    )
      return true
    return [this.#call, this.#unresolved].some((call) => call?.asked.some((asked) => asked.job === job))
  }

  /** The ids of the runs that are asked for, or may have been granted. */
  get runIds(): string[] {
    return [...(this.#call?.asked ?? []), ...(this.#unresolved?.asked ?? [])].map(({ runId }) => runId)
  }

  /** Puts into the jobs' own numbers what was counted for many at once. */
  flushCounts(): void {
    this.#blocks.flushCounts()
  }

  /** Takes a due tick; `pump` is to follow. */
  enqueue(job: JobRecord, tick: DueTick): void {
    if (this.#stopped || job.removed) return
    if (job.trigger.afterCompletion !== null && !this.#isAllowed(job, job.trigger.afterCompletion, tick)) return
    if (job.definition.lockTtl === null) {
      this.#options.unlocked.start(job, tick)
      return
    }
    // From here on it has a tick of its own.
    job.block?.waiting?.spread()
    job.noteDue(tick)
    this.#push(job)
    if (this.#account.isSilent) this.#runOverdue(job, this.#options.coordination.now())
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
    if (this.#stopped) return []
    const alone = [...jobs.alone]
    for (const block of jobs.blocks) {
      if (block.isFree) this.#queue.pushBlock(block, tick)
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
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    this.#retryDelay = 0
    this.pump()
  }

  /**
   * The fleet's clock is known, and what was due before was so by another, which is off by `step`: it is due no more. But for
   * intervals from the last end, of which the store says when they are.
   */
  moveTimes(step: number): void {
    this.#account.moveTimes(step)
    for (const job of this.#queue.clear()) {
      job.queued = false
      if (job.trigger.afterCompletion === null) job.pending = null
      else this.#push(job)
    }
  }

  /** Takes ticks, as it does from the beginning, also again after `stop`. */
  start(): void {
    this.#stopped = false
  }

  /** Takes no more ticks, and leaves those not yet claimed to the other replicas. */
  stop(): void {
    this.#stopped = true
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    this.#waitTimer?.cancel()
    this.#waitTimer = null
    for (const job of [...this.#queue.clear(), ...this.#waiting, ...this.#refused]) {
      const { pending } = job
      job.pending = null
      job.queued = false
      if (pending === null || job.removed) continue
      this.#options.journal.tickSkipped(job, pending.scheduledTime, 'shutdown')
      bringAgain(job, pending, this.#options.wakeAt)
    }
    this.#waiting.clear()
    this.#refusedTimer?.cancel()
    this.#refusedTimer = null
    this.#refused.clear()
    this.pump()
  }

  /** Resolves when no claim is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Whether an interval from the last end may be due now by its `startDate` and `endDate`; if not yet, it comes again. */
  #isAllowed(job: JobRecord, interval: number, { scheduledTime }: DueTick): boolean {
    const allowed = job.trigger.next(scheduledTime - interval)
    if (allowed === null) this.#options.onFinished(job)
    else if (allowed > scheduledTime) this.#options.wakeAt(job, allowed)
    return allowed !== null && allowed <= scheduledTime
  }

  #push(job: JobRecord): void {
    if (job.definition.onRedisError === 'run') this.#eager.add(job)
    if (job.queued || this.#stopped) return
    job.queued = true
    if (this.#waiting.size > 0) this.#waiting.delete(job)
    if (this.#refused.size > 0) this.#refused.delete(job)
    this.#queue.push(job)
  }

  #ready(): boolean {
    // What may have been executed is repeated once more also after the end: it is to be handed back.
    return this.#unresolved !== null || (!this.#stopped && this.#queue.size > 0 && this.#options.capacity.room > 0)
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

  /** What waits for a survey that the store does not answer, waits for the store. */
  async #waitFor(surveyed: Promise<void>): Promise<void> {
    const { coordination } = this.#options
    const since = coordination.now()
    await surveyed
    if (!coordination.state.up) this.#account.noteAnswer(false, since, coordination.now())
  }

  #newCall(): ClaimCall | null {
    const now = this.#options.coordination.now()
    return makeCall(this.#queue, this.#options.capacity.room, {
      choose: (job) => this.#choose(job, now),
      newRunId: this.#options.newRunId,
      onBlockTaken: (block, scheduledTime) => {
        block.noteTaken(scheduledTime)
        this.#options.journal.blockTakenElsewhere(block, scheduledTime)
      }
    })
  }

  async #ask(call: ClaimCall): Promise<void> {
    const { coordination, capacity, finisher } = this.#options
    const { asked } = call
    this.#call = call
    const sentAt = coordination.now()
    const stopped = this.#stopped
    capacity.asked(asked.length)
    const answers = await coordination.claim(asked, call.id, call.blocks)
    const silent = answers.some(isUnavailable)
    const received = {
      now: coordination.now(),
      monotonic: this.#options.clock.monotonic(),
      askedAt: call.askedAt
    }
    this.#account.noteAnswer(!silent, sentAt, received.now)
    const again: AskedTick[] = []
    const handedBack: HandingBack[] = []
    const turns = new TimeSlice(this.#options.clock)
    for (let index = 0; index < asked.length; index++) {
      if (turns.isOver) await turns.pass()
      const one = asked[index] as AskedTick
      const answer = answers[index] as ClaimAnswer
      capacity.answered(1)
      if (answer.status !== 'unavailable') this.#answers.take(one.job, one, answer, handedBack, received)
      else if (answer.unreadable) this.#refuse(one.job, one)
      else if (answer.maybe) again.push(one)
      else this.#unanswered(one.job, one)
    }
    this.#unresolved = again.length === 0 ? null : this.#repeated(call, again)
    if (stopped) this.#takeBackUnresolved()
    if (silent) {
      if (!this.#stopped) for (const each of this.#eager) this.#runOverdue(each, coordination.now())
      this.#retryLater()
    } else {
      this.#retryDelay = 0
      if (this.#eager.size > 0) this.#eager.clear()
    }
    this.#call = null
    if (handedBack.length > 0) await finisher.handBack(handedBack)
  }

  /** What is to be asked for of a job, or `null` when there is nothing any more. */
  #choose(job: JobRecord, now: number): AskedTick | null {
    const { pending } = job
    // From here on a later tick of the job is a new one.
    job.pending = null
    if (pending === null || job.removed) return null
    if (job.template.ttl === null) {
      // Changed to run without a claim while it waited.
      this.#options.unlocked.start(job, pending)
      return null
    }
    // Most often it is the only one.
    const isOnly = job.firstLate >= pending.scheduledTime
    const choice = isOnly ? null : (chooseOverdue(job, pending, now) ?? chooseTick(job, pending, now))
    return new AskedTick(job, choice, pending, this.#options.newRunId(), now)
  }

  /** That part of a call which is to be repeated: as it is, so that it gets the answers it had. */
  #repeated(call: ClaimCall, asked: readonly AskedTick[]): ClaimCall {
    const now = this.#options.coordination.now()
    for (const one of asked) {
      const { job, tick } = one
      this.#noteSilence(job, tick)
      if (!this.#stopped && one.isCurrent && one.isMissed(now)) this.#runUnclaimed(job, tick)
    }
    return asked.length === call.asked.length ? call : { ...call, asked, blocks: undefined }
  }

  /** Asks again for a tick that waits for the lock of its job. */
  #wait(job: JobRecord): void {
    if (this.#stopped || job.queued) return
    this.#waiting.add(job)
    this.#waitTimer ??= this.#options.clock.setTimeout(() => {
      this.#waitTimer = null
      for (const each of [...this.#waiting]) this.#push(each)
      this.pump()
    }, LOCK_POLL)
  }

  /** What the store has of the job cannot be read: its ticks wait until that is mended, to be run or counted then. */
  #refuse(job: JobRecord, asked: AskedTick): void {
    this.#noteSilence(job, asked.tick)
    if (!asked.isCurrent || this.#stopped) return
    job.firstLate = job.pending === null ? asked.firstLate : Math.min(job.firstLate, asked.firstLate)
    job.pending ??= asked.latest
    if (job.queued) return
    this.#refused.add(job)
    this.#refusedTimer ??= this.#options.clock.setTimeout(() => {
      this.#refusedTimer = null
      for (const each of [...this.#refused]) this.#push(each)
      this.pump()
    }, RECORD_POLL)
  }

  /** The tick was certainly not claimed: it is asked for again, to be run within its grace, later to be counted once. */
  #unanswered(job: JobRecord, asked: AskedTick): void {
    const { tick, latest } = asked
    this.#noteSilence(job, tick)
    if (this.#stopped && !job.removed) this.#options.journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
    if (this.#stopped && asked.isCurrent) bringAgain(job, latest, this.#options.wakeAt)
    if (!asked.isCurrent || this.#stopped) return
    const hasRun = isMissed(job, tick, this.#options.coordination.now()) && this.#runUnclaimed(job, tick)
    if (job.pending === null && !hasRun) {
      job.pending = latest
      job.firstLate = asked.firstLate
    } else if (!hasRun) {
      job.firstLate = Math.min(job.firstLate, asked.firstLate)
    }
    if (job.pending !== null) this.#push(job)
  }

  /** Redis did not answer for a tick; that is told once a tick, however often it is tried. */
  #noteSilence(job: JobRecord, { scheduledTime }: DueTick): void {
    if (job.lastUnanswered === scheduledTime || job.removed) return
    job.lastUnanswered = scheduledTime
    this.#options.journal.lockFailed(job, scheduledTime, 'error')
  }

  /** Redis does not answer: runs the first due tick of a job without a claim when it is beyond its grace, and the job says so. */
  #runOverdue(job: JobRecord, now: number): void {
    const { pending, trigger } = job
    if (job.removed || job.definition.onRedisError !== 'run') {
      this.#eager.delete(job)
      return
    }
    if (pending === null || job.stats.running > 0 || trigger.afterCompletion !== null) return
    const scheduledTime = job.nextTick(Math.max(job.firstLate - 1, job.accountedUntil))
    if (scheduledTime === null || scheduledTime > pending.scheduledTime) return
    const isLatest = scheduledTime === pending.scheduledTime
    const tick = isLatest ? pending : lateTick(job, scheduledTime, job.firstLate, pending.caughtUp)
    if (isMissed(job, tick, now)) this.#runUnclaimed(job, tick)
  }

  /** Runs a tick without claim or lock, when its job says so. Whether it does. */
  #runUnclaimed(job: JobRecord, tick: DueTick): boolean {
    if (job.definition.onRedisError !== 'run' || tick.scheduledTime <= job.accountedUntil) return false
    job.accountedUntil = tick.scheduledTime
    this.#options.unlocked.startUnclaimed(job, tick)
    return true
  }

  /** What may have been executed is free again for the other replicas. */
  #takeBackUnresolved(): void {
    const call = this.#unresolved
    if (call === null) return
    this.#unresolved = null
    const { finisher, clock, wakeAt } = this.#options
    const claims = call.asked.map((asked) => {
      const { job, tick, latest, trigger, runId, ttl } = asked
      // It may have run without a claim.
      const hasRun = asked.isCurrent && tick.scheduledTime <= job.accountedUntil
      if (!hasRun) this.#options.journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      const lock = jobLock(job, runId, ttl, clock.monotonic())
      const onHandedBack = (outcome: HandBackAnswer): void => {
        if (hasRun) return
        if (outcome === 'wasted') this.#options.journal.tickMissed(job, tick.scheduledTime, 'shutdown')
        else if (asked.isCurrent) bringAgain(job, latest, wakeAt)
      }
      const afterCompletion = trigger.afterCompletion ?? 0
      return { lock, scheduledTime: tick.scheduledTime, afterCompletion, tell: true, onHandedBack }
    })
    void finisher.handBack(claims)
  }

  #retryLater(): void {
    if (this.#unresolved === null && this.#stopped) return
    this.#retryDelay = Math.min(LAST_RETRY, Math.max(FIRST_RETRY, this.#retryDelay * 2))
    this.#retryTimer ??= this.#options.clock.setTimeout(() => {
      this.#retryTimer = null
      this.pump()
    }, this.#retryDelay)
  }
}

function isUnavailable(answer: ClaimAnswer): boolean {
  return answer.status === 'unavailable' && !answer.unreadable
}
