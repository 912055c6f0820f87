import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, Coordination, HeldLock } from '../../types/coordination.js'
import { standingFrom } from '../jobs/due-state.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Finisher } from '../runs/finisher.js'
import type { HandingBack } from '../runs/retried-releases.js'
import type { Runner } from '../runs/runner.js'
import { isFromCompletion } from '../triggers/index.js'
import { isMissed } from './claim-request.js'
import type { Completion } from './completion.js'
import type { DueJobs } from './due-jobs.js'
import type { EndedJobs } from './ended-jobs.js'
import { ClaimReturns } from './hand-back.js'
import { decide, grantedTick, type Outcome, type Situation, type TickAnswer } from './outcome.js'
import { PassedTicks } from './passed-ticks.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import type { TickRequest } from './tick-request.js'
import type { UnclaimedRuns } from './unclaimed.js'
import type { WaitingRuns } from './waiting-runs.js'

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
  readonly waitingRuns: WaitingRuns
  readonly endedJobs: EndedJobs
}

/** When the answers to a call arrived, on both clocks, and when the call was first made. */
export interface Received {
  /** On the fleet's clock. */
  readonly now: number
  readonly monotonic: number
  /** In this process' sequence. */
  readonly askedAt: number
}

type Granted = Extract<ClaimAnswer, { status: 'granted' }>
type Elsewhere = Extract<ClaimAnswer, { status: 'claimed_elsewhere' }>
type Overlap = Extract<ClaimAnswer, { status: 'overlap' }>
type Ended = Extract<ClaimAnswer, { status: 'ended' }>
type Queued = Extract<ClaimAnswer, { status: 'queued' }>

/**
 * Carries out what `decide` makes of the store's answers: starts runs, counts ticks, and asks again for those still
 * open.
 */
export class Answers {
  readonly #options: AnswersOptions
  readonly #passed: PassedTicks
  readonly #returns: ClaimReturns
  /** The situation of the answer being applied. One object is reused, to save an allocation per tick. */
  readonly #situation: { -readonly [Key in keyof Situation]: Situation[Key] } = {
    now: 0,
    monotonic: 0,
    askedAt: 0,
    takesNoTicks: false,
    runsUnclaimed: false
  }

  constructor(options: AnswersOptions) {
    const { account, coordination, journal } = options
    this.#options = options
    this.#passed = new PassedTicks(account, coordination, journal)
    const askAgain = (request: TickRequest): void => this.#askAgain(request)
    this.#returns = new ClaimReturns({ ...options, passed: this.#passed, askAgain })
  }

  /**
   * Applies the answer to a request.
   *
   * @param handBacks receives the claims to hand back, as no run begins here for them
   * @param toRepeat receives the requests to repeat, as the store may have executed them
   */
  apply(
    request: TickRequest,
    answer: TickAnswer,
    received: Received,
    handBacks: HandingBack[],
    toRepeat: TickRequest[]
  ): void {
    const { job, coversUntil } = request
    const { status } = answer
    if (status !== 'early' && status !== 'stale' && status !== 'unavailable') {
      this.#options.jobs.learnPaused(job, status === 'paused', received.askedAt)
    }
    const outcome = decide(request, answer, this.#situationOf(job, answer, received))
    switch (status) {
      case 'granted':
        if (outcome === 'run') this.#startRun(request, answer)
        else if (outcome === 'not_taken' || outcome === 'lock_over') this.#handBack(request, answer, outcome, handBacks)
        else this.#countWithoutRun(request, answer, outcome)
        return
      case 'claimed_elsewhere':
        this.#onClaimedElsewhere(request, answer, outcome)
        return
      case 'overlap':
        this.#onOverlap(request, answer, outcome)
        return
      case 'queued':
        this.#onQueued(request, answer)
        return
      case 'ended':
        this.#onEnded(request, answer)
        return
      case 'paused':
        if (answer.first) {
          this.#passed.accountPaused(request, answer.previous)
          this.#noteClaimedHere(request)
        }
        this.#continueLater(request, coversUntil)
        return
      case 'early':
        if (outcome === 'outdated') return
        this.#options.recovery.expect(job)
        this.#options.completion.askAt(job, answer.due, request.tick)
        return
      case 'stale':
        this.#onStale(request, outcome)
        return
      case 'unavailable':
        if (outcome === 'maybe_claimed') toRepeat.push(request)
        else this.#onNotClaimed(request, outcome)
    }
  }

  /** Called for a request that the store may have executed and that is repeated. */
  repeat(request: TickRequest): void {
    const { coordination, due, unclaimed } = this.#options
    this.#noteUnanswered(request)
    if (!due.stopped && request.isCurrent && request.isMissed(coordination.now()))
      unclaimed.run(request.job, request.tick)
  }

  /** Hands back what a request may have claimed that is not repeated any more. */
  giveUp(request: TickRequest): HandingBack {
    return this.#returns.unresolved(request)
  }

  #situationOf(job: JobRecord, { status }: TickAnswer, { now, monotonic, askedAt }: Received): Situation {
    const { clock, due, runner } = this.#options
    const situation = this.#situation
    // A granted run begins now, and handlers started by earlier answers of this call may have taken a while.
    situation.monotonic = status === 'granted' ? clock.monotonic() : monotonic
    situation.now = now + (situation.monotonic - monotonic)
    situation.askedAt = askedAt
    situation.takesNoTicks = due.stopped || runner.closed
    situation.runsUnclaimed = runner.runsUnlocked(job.id)
    return situation
  }

  #startRun(request: TickRequest, answer: Granted): void {
    const { runner } = this.#options
    const { now, monotonic } = this.#situation
    const { job, tick, runId } = request
    this.#passed.account(request, answer)
    this.#noteClaimedHere(request)
    const startedBy = tick.caughtUp ? 'catch-up' : 'schedule'
    const run = runner.newRun(job, runId, grantedTick(request, answer), startedBy, answer.fencingToken, now)
    const active = runner.startRun(job, run, answer.lock, job.definition.data, monotonic)
    job.noteLocked()
    if (answer.isLast) this.#options.endedJobs.note(job)
    if (isFromCompletion(request.trigger) || this.#keepDueAfter(request, request.coversUntil))
      this.#continueOnceCompleted(active, request)
  }

  // Rare paths are functions of their own: a function that contains closures pays for their scope even if it makes
  // none.

  /** Continues with the job once its run has completed. */
  #continueOnceCompleted(active: ActiveRun, request: TickRequest): void {
    const { completion, due } = this.#options
    const { job } = request
    if (request.slots > 1 && !isFromCompletion(request.trigger)) {
      // The next one need not wait for this run.
      due.ask(job)
      return
    }
    if (request.waits && job.pending !== null) {
      // Ticks that wait for this run are counted when their grace is over, which may be before the run ends.
      job.noteHeld(job.pending.firstLate)
      due.waitForLock(job)
    }
    active.onCompleted(() => {
      if (!isFromCompletion(request.trigger)) due.ask(job)
      else if (request.isCurrent) completion.restart(job)
    })
  }

  /** A tick was granted, but no run begins for it: hands it back. */
  #handBack(request: TickRequest, answer: Granted, outcome: 'not_taken' | 'lock_over', handBacks: HandingBack[]): void {
    const { journal } = this.#options
    const { job } = request
    const lock = answer.lock as HeldLock
    if (outcome === 'not_taken') {
      if (!job.removed) journal.tickSkipped(job, grantedTick(request, answer), 'shutdown')
      handBacks.push(this.#returns.notTaken(request, answer, lock))
    } else {
      handBacks.push(this.#returns.lockOver(request, answer, lock))
      this.#continueLater(request, request.coversUntil)
    }
  }

  /** This replica has claimed a tick that has no run, so that the fleet counts it once: counts it. */
  #countWithoutRun(request: TickRequest, answer: Granted, outcome: Outcome): void {
    const { account, journal, finisher } = this.#options
    const { job } = request
    const { lock, resumedAt } = answer
    const scheduledTime = grantedTick(request, answer)
    this.#passed.account(request, answer)
    this.#noteClaimedHere(request)
    if (lock !== null) finisher.push({ lock, finished: true, unbegun: true, onReleased() {} })
    if (outcome === 'missed') {
      journal.tickMissed(job, scheduledTime, account.reasonOf(request, scheduledTime))
    } else if (outcome === 'skipped') {
      journal.tickSkipped(job, scheduledTime, 'operator')
    } else if (outcome === 'overlap_unclaimed') {
      journal.lockFailed(job, scheduledTime, 'held')
      journal.tickSkipped(job, scheduledTime, 'overlap')
    } else if (resumedAt !== null && scheduledTime <= resumedAt) {
      journal.tickSkipped(job, scheduledTime, 'paused')
    }
    this.#continueLater(request, request.coversUntil)
  }

  /** Another run of the job holds the lock. */
  #onOverlap(request: TickRequest, answer: Overlap, outcome: Outcome): void {
    const { journal, recovery, due } = this.#options
    const { job } = request
    const { scheduledTime } = request.tick
    // A waiting tick is reported once, however often it is requested.
    if (outcome === 'overlap' || job.lastHeld !== scheduledTime) journal.lockFailed(job, scheduledTime, 'held')
    job.noteHeld(scheduledTime)
    if (answer.isLeft) recovery.lookNow(job)
    else recovery.expect(job)
    if (outcome === 'wait_for_lock') {
      this.#keepDueAfter(request, scheduledTime - 1)
      due.waitForLock(job)
      return
    }
    this.#passed.account(request, answer)
    this.#noteClaimedHere(request)
    journal.tickSkipped(job, scheduledTime, 'overlap')
    this.#continueLater(request, request.coversUntil)
  }

  /** The tick waits in the store for a slot, and stands for the one that waited before. */
  #onQueued(request: TickRequest, answer: Queued): void {
    const { journal, recovery, runner, waitingRuns } = this.#options
    const { job } = request
    const { scheduledTime } = request.tick
    const { displaced, replaces } = answer
    this.#passed.account(request, answer)
    this.#noteClaimedHere(request)
    journal.lockFailed(job, scheduledTime, 'held')
    job.noteHeld(scheduledTime)
    if (displaced !== null) journal.tickSkipped(job, displaced, 'coalesced')
    // It may be one of this process: no other will tell it.
    if (replaces !== null) runner.replace(replaces)
    recovery.expect(job)
    waitingRuns.expect(job)
    if (answer.isLast) this.#options.endedJobs.note(job)
    this.#continueLater(request, request.coversUntil)
  }

  /** The job has been given all of its runs: there is no such tick, unless the last of them is this tick's. */
  #onEnded(request: TickRequest, { last, isSettled }: Ended): void {
    const { endedJobs, jobs, journal, recovery, waitingRuns } = this.#options
    const { job, tick } = request
    if (tick.scheduledTime <= last) journal.tickSkipped(job, tick.scheduledTime, 'claimed_elsewhere')
    if (isSettled && job.definition.maxRuns === request.maxRuns) {
      jobs.end(job)
      return
    }
    endedJobs.note(job)
    // Its last run goes on, or waits.
    recovery.expect(job)
    if (request.overlap !== 'skip') waitingRuns.suspect(job)
    this.#continueLater(request, request.coversUntil)
  }

  /** Another replica has claimed the tick. */
  #onClaimedElsewhere(request: TickRequest, { last }: Elsewhere, outcome: Outcome): void {
    const { journal, recovery } = this.#options
    const { job, coversUntil } = request
    const { scheduledTime } = request.tick
    journal.tickSkipped(job, scheduledTime, 'claimed_elsewhere')
    recovery.expect(job)
    if (request.overlap !== 'skip') this.#options.waitingRuns.suspect(job)
    if (outcome === 'free_again') {
      this.#continueLater(request, scheduledTime - 1)
      return
    }
    // The answer says nothing about the ticks of a trigger that the job has been given since.
    if (request.isCurrent) job.noteTaken(scheduledTime)
    this.#continueLater(request, Math.max(coversUntil, last ?? coversUntil))
  }

  /** The job is defined otherwise by now: its tick is requested again once that is known, if it still has it. */
  #onStale(request: TickRequest, outcome: Outcome): void {
    const { completion, due, journal } = this.#options
    const { job, tick, latest } = request
    if (due.stopped) {
      if (!job.removed) journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      if (request.isCurrent) completion.rearmFinalTick(job, latest)
    } else if (outcome === 'stale') {
      job.putBack(latest)
      due.waitForChange(job)
    }
  }

  /** A tick was certainly not claimed: it waits, to be run within its grace or counted as missed after it. */
  #onNotClaimed(request: TickRequest, outcome: Outcome): void {
    const { completion, coordination, due, journal, unclaimed } = this.#options
    const { job, tick, latest } = request
    this.#noteUnanswered(request)
    if (due.stopped) {
      if (outcome === 'unreadable') return
      if (!job.removed) journal.tickSkipped(job, tick.scheduledTime, 'shutdown')
      if (request.isCurrent) completion.rearmFinalTick(job, latest)
    } else if (request.isCurrent && outcome === 'unreadable') {
      job.putBack(latest)
      due.waitForRecord(job)
    } else if (request.isCurrent) {
      const hasRun = isMissed(job, tick, coordination.now()) && unclaimed.run(job, tick)
      if (!hasRun) job.putBack(latest)
      if (job.pending !== null) due.push(job)
    }
  }

  /** Reports, once per tick, that Redis did not answer. */
  #noteUnanswered({ job, tick }: TickRequest): void {
    if (job.removed || !job.noteUnanswered(tick.scheduledTime)) return
    this.#options.journal.lockFailed(job, tick.scheduledTime, 'error')
  }

  /** Requests a tick once more that is free again. */
  #askAgain(request: TickRequest): void {
    const { completion, coordination, due } = this.#options
    const { job, tick, latest } = request
    if (!request.isCurrent || due.stopped) return
    if (isFromCompletion(request.trigger)) {
      completion.askAt(job, coordination.now(), tick)
      return
    }
    job.putBack(standingFrom(latest, tick.scheduledTime))
    due.ask(job)
  }

  /** Notes that this replica has claimed the tick, and runs it or has accounted for it. */
  #noteClaimedHere(request: TickRequest): void {
    if (request.isCurrent) request.job.noteClaimedHere(request.coversUntil)
  }

  /** Continues with the ticks due later than `coversUntil`. */
  #continueLater(request: TickRequest, coversUntil: number): void {
    const { completion, due } = this.#options
    if (!isFromCompletion(request.trigger)) {
      if (this.#keepDueAfter(request, coversUntil)) due.ask(request.job)
    } else if (request.isCurrent) completion.restart(request.job)
  }

  /**
   * Keeps the ticks due later than `coversUntil` waiting.
   *
   * @returns whether a tick of the job waits
   */
  #keepDueAfter(request: TickRequest, coversUntil: number): boolean {
    const { job, latest } = request
    // Ticks of a newer trigger are requested on their own.
    if (!request.isCurrent) return job.pending !== null
    return job.keepDueAfter(
      latest,
      this.#options.due.stopped ? Math.max(coversUntil, latest.scheduledTime) : coversUntil
    )
  }
}
