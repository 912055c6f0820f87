import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, Coordination, HeldLock } from '../../types/coordination.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Finisher } from '../runs/finisher.js'
import type { HandingBack } from '../runs/retried-releases.js'
import type { Runner } from '../runs/runner.js'
import { isFromCompletion } from '../triggers/index.js'
import type { AskedTick } from './asked-tick.js'
import { isMissed } from './claim-request.js'
import type { Completion } from './completion.js'
import type { DueJobs } from './due-jobs.js'
import { ClaimReturns } from './hand-back.js'
import { decide, grantedTick, type Outcome, type Situation, type TickAnswer } from './outcome.js'
import { PassedTicks } from './passed-ticks.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import type { UnclaimedRuns } from './unclaimed.js'

export interface AnswersOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly due: DueJobs
  readonly runner: Runner
  readonly recovery: Recovery
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly journal: Journal
  readonly completion: Completion
  readonly unclaimed: UnclaimedRuns
}

/** When the answers to a call came, on both clocks, and when it was first made. */
export interface Received {
  /** By the fleet's clock. */
  readonly now: number
  readonly monotonic: number
  /** In this process' sequence. */
  readonly askedAt: number
}

type Granted = Extract<ClaimAnswer, { status: 'granted' }>
type Elsewhere = Extract<ClaimAnswer, { status: 'claimed_elsewhere' }>
type Overlap = Extract<ClaimAnswer, { status: 'overlap' }>

/** Does what the store's answers ask for, as `decide` has it: runs begin, ticks are counted, and what is left is asked for again. */
export class Answers {
  readonly #options: AnswersOptions
  readonly #passed: PassedTicks
  readonly #returns: ClaimReturns
  /** That of the answer at hand: one object for all, as there is one for each tick. */
  readonly #situation: { -readonly [Key in keyof Situation]: Situation[Key] } = {
    now: 0,
    monotonic: 0,
    askedAt: 0,
    takesNone: false,
    runsUnclaimed: false
  }

  constructor(options: AnswersOptions) {
    const { account, coordination, journal } = options
    this.#options = options
    this.#passed = new PassedTicks(account, coordination, journal)
    const askAgain = (asked: AskedTick): void => this.#askAgain(asked)
    this.#returns = new ClaimReturns({ ...options, passed: this.#passed, askAgain })
  }

  /**
   * Does what an answer asks for.
   *
   * @param returned where claims go that will have no run here, to be handed back
   * @param repeated where requests go that may have been executed, and are to be repeated
   */
  apply(
    asked: AskedTick,
    answer: TickAnswer,
    received: Received,
    returned: HandingBack[],
    repeated: AskedTick[]
  ): void {
    const { job, coversUntil } = asked
    const { status } = answer
    if (status !== 'early' && status !== 'unavailable') {
      this.#options.jobs.learnPaused(job, status === 'paused', received.askedAt)
    }
    const outcome = decide(asked, answer, this.#situationOf(job, answer, received))
    switch (status) {
      case 'granted':
        if (outcome === 'run') this.#run(asked, answer)
        else if (outcome === 'not_taken' || outcome === 'lock_over') this.#return(asked, answer, outcome, returned)
        else this.#count(asked, answer, outcome)
        return
      case 'claimed_elsewhere':
        this.#leaveToOthers(asked, answer, outcome)
        return
      case 'overlap':
        this.#overlap(asked, answer, outcome)
        return
      case 'paused':
        if (answer.first) {
          this.#passed.accountPaused(asked, answer.previous)
          this.#noteOwn(asked)
        }
        this.#goOn(asked, coversUntil)
        return
      case 'early':
        if (outcome === 'outdated') return
        this.#options.recovery.expect(job)
        this.#options.completion.askAt(job, answer.due, asked.tick)
        return
      case 'unavailable':
        if (outcome === 'maybe_claimed') repeated.push(asked)
        else this.#unanswered(asked, outcome)
    }
  }

  /** A request may have been executed, and is to be repeated. */
  repeat(asked: AskedTick): void {
    const { coordination, due, unclaimed } = this.#options
    this.#noteUnanswered(asked)
    if (!due.stopped && asked.isCurrent && asked.isMissed(coordination.now())) unclaimed.run(asked.job, asked.tick)
  }

  /** A request may have been executed, and is not repeated any more. */
  giveUp(asked: AskedTick): HandingBack {
    return this.#returns.unresolved(asked)
  }

  #situationOf(job: JobRecord, { status }: TickAnswer, { now, monotonic, askedAt }: Received): Situation {
    const { clock, due, runner } = this.#options
    const situation = this.#situation
    // What is granted begins now, and handlers of this call that began before may have taken a while.
    situation.monotonic = status === 'granted' ? clock.monotonic() : monotonic
    situation.now = now + (situation.monotonic - monotonic)
    situation.askedAt = askedAt
    situation.takesNone = due.stopped || runner.closed
    situation.runsUnclaimed = runner.runsUnlocked(job.id)
    return situation
  }

  #run(asked: AskedTick, answer: Granted): void {
    const { runner } = this.#options
    const { now, monotonic } = this.#situation
    const { job, tick, runId } = asked
    this.#passed.account(asked, answer)
    this.#noteOwn(asked)
    const startedBy = tick.caughtUp ? 'catch-up' : 'schedule'
    const run = runner.newRun(job, runId, grantedTick(asked, answer), startedBy, answer.fencingToken, now)
    const active = runner.startRun(job, run, answer.lock, job.definition.data, monotonic)
    job.noteLocked()
    if (isFromCompletion(asked.trigger) || this.#keepLater(asked, asked.coversUntil)) this.#goOnAfter(active, asked)
  }

  // What is done for few runs stands apart: a function that makes functions keeps what they refer to in a scope of its own.

  /** Goes on once a run has completed. */
  #goOnAfter(active: ActiveRun, asked: AskedTick): void {
    const { completion, due } = this.#options
    const { job } = asked
    if (asked.waits && job.pending !== null) {
      // What waits for this run is counted when its grace is over, which may be before the run is.
      job.noteHeld(job.pending.firstLate)
      due.waitForLock(job)
    }
    active.onCompleted(() => {
      if (!isFromCompletion(asked.trigger)) due.ask(job)
      else if (asked.isCurrent) completion.restart(job)
    })
  }

  /** A tick was granted, and no run begins for it. */
  #return(asked: AskedTick, answer: Granted, outcome: 'not_taken' | 'lock_over', returned: HandingBack[]): void {
    const { journal } = this.#options
    const { job } = asked
    const lock = answer.lock as HeldLock
    if (outcome === 'not_taken') {
      if (!job.removed) journal.tickSkipped(job, grantedTick(asked, answer), 'shutdown')
      returned.push(this.#returns.notTaken(asked, answer, lock))
    } else {
      returned.push(this.#returns.lockOver(asked, answer, lock))
      this.#goOn(asked, asked.coversUntil)
    }
  }

  /** A tick was taken to be counted once for the fleet, and has no run. */
  #count(asked: AskedTick, answer: Granted, outcome: Outcome): void {
    const { account, journal, finisher } = this.#options
    const { job } = asked
    const { lock, resumedAt } = answer
    const scheduledTime = grantedTick(asked, answer)
    this.#passed.account(asked, answer)
    this.#noteOwn(asked)
    if (lock !== null) finisher.push({ lock, finished: true, onReleased() {} })
    if (outcome === 'missed') {
      journal.tickMissed(job, scheduledTime, account.reasonOf(asked, scheduledTime))
    } else if (outcome === 'overlap_unclaimed') {
      journal.lockFailed(job, scheduledTime, 'held')
      journal.tickSkipped(job, scheduledTime, 'overlap')
    } else if (resumedAt !== null && scheduledTime <= resumedAt) {
      journal.tickSkipped(job, scheduledTime, 'paused')
    }
    this.#goOn(asked, asked.coversUntil)
  }

  /** Another run of the job holds the lock. */
  #overlap(asked: AskedTick, answer: Overlap, outcome: Outcome): void {
    const { journal, recovery, due } = this.#options
    const { job } = asked
    const { scheduledTime } = asked.tick
    // A tick that waits is reported once, however often it is asked for.
    if (outcome === 'overlap' || job.lastHeld !== scheduledTime) journal.lockFailed(job, scheduledTime, 'held')
    job.noteHeld(scheduledTime)
    if (answer.isLeft) recovery.lookNow(job)
    else recovery.expect(job)
    if (outcome === 'wait_for_lock') {
      this.#keepLater(asked, scheduledTime - 1)
      due.waitForLock(job)
      return
    }
    this.#passed.account(asked, answer)
    this.#noteOwn(asked)
    journal.tickSkipped(job, scheduledTime, 'overlap')
    this.#goOn(asked, asked.coversUntil)
  }

  /** Another replica has the tick. */
  #leaveToOthers(asked: AskedTick, { last }: Elsewhere, outcome: Outcome): void {
    const { journal, recovery } = this.#options
    const { job, coversUntil } = asked
    const { scheduledTime } = asked.tick
    journal.tickSkipped(job, scheduledTime, 'claimed_elsewhere')
    recovery.expect(job)
    if (outcome === 'free_again') {
      this.#goOn(asked, scheduledTime - 1)
      return
    }
    // Of another trigger's ticks it says nothing.
    if (asked.isCurrent) job.noteTaken(scheduledTime)
    this.#goOn(asked, Math.max(coversUntil, last ?? coversUntil))
  }

  /** A tick was certainly not claimed: it waits, to be run within its grace, and to be counted once later. */
  #unanswered(asked: AskedTick, outcome: Outcome): void {
    const { completion, coordination, due, journal, unclaimed } = this.#options
    const { job, tick, latest } = asked
    this.#noteUnanswered(asked)
    if (due.stopped) {
      if (outcome === 'unreadable') return
      if (!job.removed) journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      if (asked.isCurrent) completion.askLater(job, latest)
    } else if (asked.isCurrent && outcome === 'unreadable') {
      job.putBack(latest)
      due.waitForRecord(job)
    } else if (asked.isCurrent) {
      const hasRun = isMissed(job, tick, coordination.now()) && unclaimed.run(job, tick)
      if (!hasRun) job.putBack(latest)
      if (job.pending !== null) due.push(job)
    }
  }

  /** Redis did not answer for a tick. */
  #noteUnanswered({ job, tick }: AskedTick): void {
    if (job.removed || !job.noteUnanswered(tick.scheduledTime)) return
    this.#options.journal.lockFailed(job, tick.scheduledTime, 'error')
  }

  /** Asks once more for a tick that is free again. */
  #askAgain(asked: AskedTick): void {
    const { completion, coordination, due } = this.#options
    const { job, tick, latest } = asked
    if (!asked.isCurrent || due.stopped) return
    if (isFromCompletion(asked.trigger)) {
      completion.askAt(job, coordination.now(), tick)
      return
    }
    job.putBack({ ...latest, firstLate: tick.scheduledTime })
    due.ask(job)
  }

  /** This replica has taken a tick: it runs it, or has accounted for it. */
  #noteOwn(asked: AskedTick): void {
    if (asked.isCurrent) asked.job.noteOwn(asked.coversUntil)
  }

  /** Goes on with what is due later than `coversUntil`. */
  #goOn(asked: AskedTick, coversUntil: number): void {
    const { completion, due } = this.#options
    if (!isFromCompletion(asked.trigger)) {
      if (this.#keepLater(asked, coversUntil)) due.ask(asked.job)
    } else if (asked.isCurrent) completion.restart(asked.job)
  }

  /** Keeps what is due later than `coversUntil`. Whether a tick of the job waits. */
  #keepLater(asked: AskedTick, coversUntil: number): boolean {
    const { job, latest } = asked
    // What waits of another trigger is asked for by itself.
    if (!asked.isCurrent) return job.pending !== null
    return job.keepLater(latest, this.#options.due.stopped ? Math.max(coversUntil, latest.scheduledTime) : coversUntil)
  }
}
