import type { Clock, TimerHandle } from '../../types/clock.js'
import type { ClaimAnswer, ClaimRequest, Coordination } from '../../types/coordination.js'
import { SECOND } from '../duration.js'
import type { AskedTick, JobRecord } from '../job-record.js'
import type { DueTick } from '../timetable.js'
import { isMissed, jobLock, toRequest } from './claim-request.js'
import { DueQueue } from './due-queue.js'
import type { Finisher } from './finisher.js'
import type { Runner } from './runner.js'
import type { TickAccount } from './tick-account.js'
import type { UnlockedRuns } from './unlocked-runs.js'

/** The first and the longest wait before ticks that Redis did not answer for are asked for again. */
const FIRST_RETRY = SECOND / 10
const LAST_RETRY = 2 * SECOND

export interface DispatcherOptions {
  readonly concurrency: number
  readonly clock: Clock
  readonly coordination: Coordination
  readonly runner: Runner
  readonly unlocked: UnlockedRuns
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly newRunId: () => string
  /** Puts jobs into an order of this replica's own; `null` where it shares with nobody. */
  readonly shuffle: ((jobs: JobRecord[]) => void) | null
  /** Makes a job due again at a time, without its trigger. */
  readonly wakeAt: (job: JobRecord, at: number, tick?: DueTick) => void
}

/**
 * Brings due ticks to their runs: keeps one due tick a job, asks the coordination for as many as there is room to run,
 * and hands what is granted to the runner. Every tick it is given ends as a run or is counted with one reason.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #queue: DueQueue
  readonly #account: TickAccount
  #asking = 0
  #draining = false
  #stopped = false
  #retryDelay = 0
  #retryTimer: TimerHandle | null = null
  #idle: (() => void)[] = []

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#queue = new DueQueue(options.shuffle)
    this.#account = options.account
  }

  /** How many due ticks wait for a claim. */
  get backlog(): number {
    return this.#queue.size
  }

  /** Takes a due tick; `pump` is to follow. */
  enqueue(job: JobRecord, tick: DueTick): void {
    if (this.#stopped || job.removed) return
    if (job.trigger.afterCompletion !== null && !this.#isAllowed(job, job.trigger.afterCompletion, tick)) return
    if (job.definition.lockTtl === null) {
      this.#options.unlocked.start(job, tick)
      return
    }
    const { pending } = job
    const { unanswered } = job
    job.pending = tick
    job.unanswered = null
    if (pending === null) {
      if (unanswered !== null) this.#abandon(job, unanswered)
      job.firstLate = tick.firstLate
      this.#queue.push(job)
    } else if (tick.scheduledTime < pending.scheduledTime) {
      // After a clock was set back: what waited was a tick of the future, which will come again.
      if (unanswered !== null) this.#abandon(job, unanswered)
      job.firstLate = tick.firstLate
    } else if (unanswered !== null) {
      this.#giveUp(job, unanswered)
      job.firstLate = tick.firstLate
    }
    // Else a later tick stands for the one that waited, which is in the queue already.
  }

  /** Whether an interval from the last end may be due now by its `startDate` and `endDate`; if not yet, it comes again. */
  #isAllowed(job: JobRecord, interval: number, { scheduledTime }: DueTick): boolean {
    const allowed = job.trigger.next(scheduledTime - interval)
    if (allowed !== null && allowed > scheduledTime) this.#options.wakeAt(job, allowed)
    return allowed !== null && allowed <= scheduledTime
  }

  /** Asks for what is due, as far as there is room. */
  pump(): void {
    if (!this.#draining && this.#retryTimer === null && this.#ready()) void this.#drain()
  }

  /** The coordination answers again: asks at once for what waits. */
  wakeUp(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    this.#retryDelay = 0
    this.pump()
  }

  /** Takes no more ticks, and leaves those not yet claimed to the other replicas. */
  stop(): void {
    this.#stopped = true
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    for (const job of this.#queue.clear()) {
      const { pending, unanswered } = job
      job.pending = null
      job.unanswered = null
      if (unanswered !== null) this.#abandon(job, unanswered)
      if (pending !== null && !job.removed) this.#account.skipped(job, pending.scheduledTime, 'shutdown')
    }
  }

  /** Resolves when no claim is under way. */
  async settled(): Promise<void> {
    if (this.#draining) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #ready(): boolean {
    return !this.#stopped && this.#queue.size > 0 && this.#room() > 0
  }

  #room(): number {
    return this.#options.concurrency - this.#options.runner.size - this.#asking
  }

  async #drain(): Promise<void> {
    const { clock } = this.#options
    this.#draining = true
    try {
      while (this.#ready() && this.#retryTimer === null) {
        await this.#ask(this.#queue.take(this.#room()))
        await new Promise<void>((resolve) => clock.setImmediate(resolve))
      }
    } finally {
      this.#draining = false
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  async #ask(taken: JobRecord[]): Promise<void> {
    const { coordination, newRunId } = this.#options
    const now = coordination.now()
    const jobs: JobRecord[] = []
    const asked: AskedTick[] = []
    const requests: ClaimRequest[] = []
    for (const job of taken) {
      const { pending, unanswered, firstLate, trigger } = job
      const ttl = job.definition.lockTtl
      // From here on a later tick of the job is a new one.
      job.pending = null
      job.unanswered = null
      if (pending !== null && ttl !== null && !job.removed) {
        const one = unanswered ?? { tick: pending, trigger, runId: newRunId(), ttl, firstLate }
        jobs.push(job)
        asked.push(one)
        requests.push(toRequest(job, one, isMissed(job, pending, now)))
        continue
      }
      // Removed, rescheduled, or changed to run without a claim, while it waited.
      if (unanswered !== null) this.#abandon(job, unanswered)
      if (pending !== null && !job.removed) this.#options.unlocked.start(job, pending)
    }
    if (jobs.length === 0) return
    this.#asking += jobs.length
    const answers = await coordination.claim(requests)
    this.#asking -= jobs.length
    let unanswered = false
    for (let index = 0; index < jobs.length; index++) {
      const job = jobs[index] as JobRecord
      const one = asked[index] as AskedTick
      const answer = answers[index] as ClaimAnswer
      if (answer.status === 'unavailable') {
        unanswered = true
        this.#unanswered(job, one)
      } else {
        this.#answered(job, one, answer)
      }
    }
    if (unanswered) this.#retryLater()
    else this.#retryDelay = 0
  }

  #answered(job: JobRecord, asked: AskedTick, answer: Exclude<ClaimAnswer, { status: 'unavailable' }>): void {
    const { tick } = asked
    if (answer.status !== 'early') job.paused = answer.status === 'paused'
    switch (answer.status) {
      case 'granted':
        this.#granted(job, asked, answer)
        return
      case 'early':
        if (isCurrent(job, asked)) {
          this.#options.wakeAt(job, answer.due, job.trigger.afterCompletion === null ? tick : undefined)
        }
        return
      case 'overlap':
        this.#coalesced(job, asked, answer.previous)
        this.#account.lockFailed(job, tick.scheduledTime, 'held')
        this.#account.skipped(job, tick.scheduledTime, 'overlap')
        break
      case 'paused':
        if (answer.first) {
          this.#coalesced(job, asked, answer.previous)
          this.#account.skipped(job, tick.scheduledTime, 'paused')
        }
        break
      case 'claimed_elsewhere':
        this.#account.skipped(job, tick.scheduledTime, 'claimed_elsewhere')
        break
    }
    this.#again(job, asked)
  }

  #granted(job: JobRecord, asked: AskedTick, answer: Extract<ClaimAnswer, { status: 'granted' }>): void {
    const { coordination, finisher, runner } = this.#options
    const { scheduledTime, lock, previous, fencingToken } = answer
    const { tick, runId } = asked
    this.#coalesced(job, asked, previous)
    if (lock === null || job.removed || runner.closed || isMissed(job, tick, coordination.now())) {
      // Taken, so that it is counted once for the fleet; or too late only now, or nobody wants it any more.
      if (lock !== null) finisher.push({ lock, onReleased() {} })
      if (!job.removed) this.#account.missed(job, scheduledTime, runner.closed ? 'shutdown' : 'misfire')
      return
    }
    const { data } = job.definition
    const active = runner.start(job, { runId, scheduledTime, trigger: 'schedule', lock, fencingToken, data })
    if (asked.trigger.afterCompletion !== null) active.onCompleted(() => this.#again(job, asked))
  }

  /** An interval from the last end has no ticks of its own: it comes again from here. */
  #again(job: JobRecord, asked: AskedTick): void {
    const { afterCompletion } = asked.trigger
    if (afterCompletion === null || !isCurrent(job, asked)) return
    this.#options.wakeAt(job, this.#options.coordination.now() + afterCompletion)
  }

  /** Redis did not answer: the tick is asked for again until its grace is over. */
  #unanswered(job: JobRecord, asked: AskedTick): void {
    const { scheduledTime } = asked.tick
    this.#account.lockFailed(job, scheduledTime, 'error')
    if (!isCurrent(job, asked)) {
      this.#abandon(job, asked)
    } else if (this.#stopped) {
      this.#abandon(job, asked)
      this.#account.skipped(job, scheduledTime, 'shutdown')
    } else if (job.pending !== null || isMissed(job, asked.tick, this.#options.coordination.now())) {
      this.#giveUp(job, asked)
    } else {
      // Asked for again with the identity it had, should it have been granted.
      job.pending = asked.tick
      job.firstLate = asked.firstLate
      job.unanswered = asked
      this.#queue.push(job)
    }
  }

  /** The replica that takes a tick counts the late ones it stands for. */
  #coalesced(job: JobRecord, { tick, firstLate }: AskedTick, previous: number | null): void {
    if (firstLate < tick.scheduledTime) this.#account.coalesced(job, tick, firstLate, previous)
  }

  #giveUp(job: JobRecord, asked: AskedTick): void {
    this.#abandon(job, asked)
    this.#coalesced(job, asked, null)
    this.#account.missed(job, asked.tick.scheduledTime, 'redis_error')
  }

  /** The request may have been executed, and its reply lost: then its lock must not stay until its TTL ends. */
  #abandon(job: JobRecord, { runId, ttl }: AskedTick): void {
    const { clock, finisher } = this.#options
    finisher.giveUp(jobLock(job, runId, ttl, clock.monotonic()))
  }

  #retryLater(): void {
    if (this.#stopped) return
    this.#retryDelay = Math.min(LAST_RETRY, Math.max(FIRST_RETRY, this.#retryDelay * 2))
    this.#retryTimer ??= this.#options.clock.setTimeout(() => {
      this.#retryTimer = null
      this.pump()
    }, this.#retryDelay)
  }
}

/** Whether a job still is what was asked for: not removed, and with the trigger it had then. */
function isCurrent(job: JobRecord, { trigger }: AskedTick): boolean {
  return !job.removed && job.trigger === trigger
}
