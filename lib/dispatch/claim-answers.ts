import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, Coordination, HandBackAnswer, HeldLock } from '../../types/coordination.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Finisher, HandingBack } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import type { DueTick } from '../timetable/timetable.js'
import type { AskedTick } from './asked-tick.js'
import type { Recovery } from './recovery.js'
import type { TickAccount } from './tick-account.js'
import { bringAgain } from './tick-choice.js'

export interface ClaimAnswersOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly runner: Runner
  readonly recovery: Recovery
  readonly finisher: Finisher
  readonly account: TickAccount
  readonly journal: Journal
  /** Makes a job due again at a time, without its trigger. */
  readonly wakeAt: (job: JobRecord, at: number, tick?: DueTick) => void
  /** Asks for what is pending of a job. */
  readonly push: (job: JobRecord) => void
  /** Asks for what is pending of a job later, as another run holds its lock. */
  readonly wait: (job: JobRecord) => void
  /** Whether ticks are left to other replicas now. */
  readonly stopped: () => boolean
}

/** When an answer came, on both clocks, and when it was asked for. */
export interface Received {
  /** By the fleet's clock. */
  readonly now: number
  readonly monotonic: number
  /** In this process' sequence. */
  readonly askedAt: number
}

type Answered<Status> = Extract<ClaimAnswer, { status: Status }>

/** What was taken before the tick that an answer is about. */
type Taken = Pick<Answered<'granted'>, 'previous' | 'resumedAt'>

/**
 * Turns the store's answers into runs and counted reasons.
 *
 * Who takes a tick accounts for all ticks since the one taken before it: the store says which that was. So each tick is
 * accounted for once in the fleet, also those that nobody was there for.
 */
export class ClaimAnswers {
  readonly #options: ClaimAnswersOptions

  constructor(options: ClaimAnswersOptions) {
    this.#options = options
  }

  /**
   * Does what an answer asks for.
   *
   * @param handedBack where claims go that will have no run here
   * @param received when the answer came
   */
  take(
    job: JobRecord,
    asked: AskedTick,
    answer: Exclude<ClaimAnswer, Answered<'unavailable'>>,
    handedBack: HandingBack[],
    received: Received
  ): void {
    const { tick, coversUntil } = asked
    const { scheduledTime } = tick
    const { recovery, wakeAt } = this.#options
    if (answer.status !== 'early') job.learnPaused(answer.status === 'paused', received.askedAt)
    switch (answer.status) {
      case 'granted':
        this.#granted(job, asked, answer, handedBack, received)
        return
      case 'early':
        if (!asked.isCurrent) return
        recovery.expect(job)
        wakeAt(job, answer.due, job.trigger.afterCompletion === null ? tick : undefined)
        return
      case 'overlap':
        // A tick that waits is told of once, however often it is asked for.
        if (answer.taken || job.lastHeld !== scheduledTime) this.#options.journal.lockFailed(job, scheduledTime, 'held')
        job.lastHeld = scheduledTime
        if (answer.isLeft) recovery.lookNow(job)
        else recovery.expect(job)
        if (!answer.taken) {
          this.#rest(job, asked, scheduledTime - 1)
          this.#options.wait(job)
          return
        }
        this.#passed(job, asked, answer)
        this.#noteOwn(job, asked)
        this.#options.journal.tickSkipped(job, scheduledTime, 'overlap')
        this.#goOn(job, asked, coversUntil)
        return
      case 'paused':
        if (answer.first) {
          const after = this.#accounted(job, asked, answer.previous)
          this.#account(asked, 'paused', after, scheduledTime)
          this.#options.journal.tickSkipped(job, scheduledTime, 'paused')
          this.#account(asked, 'paused', scheduledTime, coversUntil + 1)
          this.#noteOwn(job, asked)
        }
        this.#goOn(job, asked, coversUntil)
        return
      case 'claimed_elsewhere':
        this.#options.journal.tickSkipped(job, scheduledTime, 'claimed_elsewhere')
        recovery.expect(job)
        if (job.isFreeSince(scheduledTime, received.askedAt)) {
          // Handed back since: it is asked for once more.
          this.#goOn(job, asked, scheduledTime - 1)
          return
        }
        this.#noteTaken(job, asked, scheduledTime)
        this.#goOn(job, asked, Math.max(coversUntil, answer.last ?? coversUntil))
    }
  }

  #noteTaken(job: JobRecord, asked: AskedTick, coversUntil = asked.coversUntil): void {
    // Of another trigger's ticks it says nothing.
    if (asked.isCurrent) job.takenUntil = coversUntil
  }

  /** What this replica has taken: it runs it, or has accounted for it. */
  #noteOwn(job: JobRecord, asked: AskedTick): void {
    this.#noteTaken(job, asked)
    if (asked.isCurrent) job.claimedUntil = asked.coversUntil
  }

  #granted(
    job: JobRecord,
    asked: AskedTick,
    answer: Answered<'granted'>,
    handedBack: HandingBack[],
    received: Received
  ): void {
    const { finisher, runner, clock } = this.#options
    const { lock, fencingToken, resumedAt } = answer
    const { tick, coversUntil, runId, trigger } = asked
    const { afterCompletion } = trigger
    // Only the store knows the tick of an interval from the last end.
    const scheduledTime = afterCompletion === null ? tick.scheduledTime : answer.scheduledTime
    const hasRun = asked.isCurrent && scheduledTime <= job.accountedUntil
    // Its answer may have come so late that the lock is over.
    const monotonic = clock.monotonic()
    const now = received.now + (monotonic - received.monotonic)
    const isLate = lock !== null && isOver(lock, monotonic)
    if (lock !== null && !hasRun && (this.#options.stopped() || job.removed || runner.closed || isLate)) {
      handedBack.push(this.#handBack(job, asked, answer, lock, scheduledTime, isLate))
      if (!job.removed && !isLate) this.#options.journal.tickSkipped(job, scheduledTime, 'shutdown')
      if (isLate) this.#goOn(job, asked, coversUntil)
      return
    }
    this.#passed(job, asked, answer)
    this.#noteOwn(job, asked)
    const isMissed = lock === null || asked.isMissed(now)
    if (hasRun || isMissed || runner.runsUnlocked(job.id)) {
      // Taken, so that it is counted once for the fleet: too late only now, or beside a run that the store knows nothing of.
      const { account, journal } = this.#options
      if (lock !== null) finisher.push({ lock, finished: true, onReleased() {} })
      if (hasRun) {
        if (resumedAt !== null && scheduledTime <= resumedAt) journal.tickSkipped(job, scheduledTime, 'paused')
      } else if (isMissed) {
        journal.tickMissed(job, scheduledTime, account.reasonOf(asked, scheduledTime))
      } else {
        journal.lockFailed(job, scheduledTime, 'held')
        journal.tickSkipped(job, scheduledTime, 'overlap')
      }
      this.#goOn(job, asked, coversUntil)
      return
    }
    const startedBy = tick.caughtUp ? 'catch-up' : 'schedule'
    const run = runner.newRun(job, runId, scheduledTime, startedBy, fencingToken, now)
    const active = runner.start(job, run, lock, job.definition.data, monotonic)
    job.lastHeld = null
    if (afterCompletion !== null || this.#rest(job, asked, coversUntil)) this.#goOnAfter(active, job, asked)
  }

  // What is made for few runs stands apart: a function that makes functions keeps what they refer to in a scope of its own.

  /** @param isLate whether its lock ended before its answer came */
  #handBack(
    job: JobRecord,
    asked: AskedTick,
    answer: Taken,
    lock: HeldLock,
    scheduledTime: number,
    isLate: boolean
  ): HandingBack {
    // That it is free again is no news here.
    job.noteHandedBack(scheduledTime, lock.token, 0)
    const onHandedBack = (outcome: HandBackAnswer): void => {
      if (outcome === 'free') {
        // It is accounted for by who takes it next, which may be this replica.
        if (isLate) this.#askOnceMore(job, asked)
        else if (asked.isCurrent) bringAgain(job, asked.latest, this.#options.wakeAt)
        return
      }
      this.#passed(job, asked, answer)
      const isTakenOver = outcome === 'not_ours' && job.definition.recovery === 'rerun'
      if (!isTakenOver) this.#options.journal.tickMissed(job, scheduledTime, isLate ? 'redis_error' : 'shutdown')
    }
    return { lock, scheduledTime, afterCompletion: asked.afterCompletion, tell: true, onHandedBack }
  }

  /** Goes on once a run has completed. */
  #goOnAfter(active: ActiveRun, job: JobRecord, asked: AskedTick): void {
    if (asked.waits) {
      // What waits for this run is counted when its grace is over, which may be before the run is.
      job.lastHeld = job.firstLate
      this.#options.wait(job)
    }
    active.onCompleted(() => {
      if (asked.trigger.afterCompletion !== null) this.#again(job, asked)
      else this.#pushRest(job)
    })
  }

  /** Accounts for the ticks that were taken with the one that is answered. */
  #passed(job: JobRecord, asked: AskedTick, { previous, resumedAt }: Taken): void {
    const { tick, coversUntil, firstLate } = asked
    const { scheduledTime, preceding } = tick
    // Most often there is none.
    const isSingle = Math.min(firstLate, tick.firstLate) >= scheduledTime
    const isKnown =
      previous === null ? job.since === null || preceding !== null : preceding !== null && previous >= preceding
    const isNext = isSingle && isKnown
    if ((isNext && coversUntil <= scheduledTime) || asked.trigger.afterCompletion !== null) return
    let after = this.#accounted(job, asked, previous)
    if (resumedAt !== null && resumedAt > after) {
      this.#account(asked, 'paused', after, Math.min(scheduledTime, Math.floor(resumedAt) + 1))
      after = Math.floor(resumedAt)
    }
    this.#account(asked, 'passed', after, scheduledTime)
    this.#account(asked, 'passed', scheduledTime, coversUntil + 1)
  }

  /** Accounts for the ticks between two times, neither included, but for those of a time in which the job was not here. */
  #account(asked: AskedTick, as: 'passed' | 'paused', after: number, before: number): void {
    if (before <= after + 1) return
    const { account, coordination } = this.#options
    const now = coordination.now()
    let from = after
    for (const absence of asked.isCurrent ? asked.job.absences : []) {
      const until = Math.min(before, Math.floor(absence.from) + 1)
      if (until > from + 1) account[as](asked, from, until, now)
      from = Math.max(from, absence.until)
    }
    if (before > from + 1) account[as](asked, from, before, now)
  }

  /** Up to when there is nothing to account for, by the tick that was taken before and what this replica knows. */
  #accounted(job: JobRecord, asked: AskedTick, previous: number | null): number {
    const { firstLate, tick } = asked
    if (!asked.isCurrent) return previous ?? firstLate - 1
    const { since, accountedUntil, takenUntil } = job
    let known = Math.max(previous ?? Number.NEGATIVE_INFINITY, since ?? Number.NEGATIVE_INFINITY)
    if (previous === null) {
      // Nothing is on record, or a tick of another trigger, of replicas that are there as well: only of the first tick it
      // follows that those before it had no run.
      const isFirst = since !== null && tick.preceding === null
      known = isFirst ? Math.max(since, Math.min(takenUntil, firstLate - 1)) : firstLate - 1
    }
    return Math.max(known, accountedUntil)
  }

  /** Asks again for a tick that is free again. */
  #askOnceMore(job: JobRecord, { tick, latest, trigger }: AskedTick): void {
    if (job.removed || job.trigger !== trigger || this.#options.stopped()) return
    if (trigger.afterCompletion !== null) {
      this.#options.wakeAt(job, this.#options.coordination.now())
      return
    }
    job.firstLate = job.pending === null ? tick.scheduledTime : Math.min(job.firstLate, tick.scheduledTime)
    job.pending ??= latest
    this.#options.push(job)
  }

  /** Goes on with what is due later than `coversUntil`. */
  #goOn(job: JobRecord, asked: AskedTick, coversUntil: number): void {
    if (asked.trigger.afterCompletion !== null) this.#again(job, asked)
    else if (this.#rest(job, asked, coversUntil)) this.#pushRest(job)
  }

  /** Keeps what is due later than `coversUntil` and not taken yet. Whether there is any. */
  #rest(job: JobRecord, { latest, trigger }: AskedTick, coversUntil: number): boolean {
    const { pending } = job
    // What waits of another trigger is asked for by itself.
    if (job.trigger !== trigger || job.removed) return pending !== null
    if (pending !== null && pending.scheduledTime <= coversUntil) job.pending = null
    if (latest.scheduledTime <= coversUntil || this.#options.stopped()) return job.pending !== null
    if (job.pending === null) job.pending = latest
    job.firstLate = job.nextTick(coversUntil) ?? latest.scheduledTime
    return true
  }

  #pushRest(job: JobRecord): void {
    if (job.pending !== null && !job.removed) this.#options.push(job)
  }

  /** An interval from the last end has no ticks of its own: it comes again from here. */
  #again(job: JobRecord, asked: AskedTick): void {
    const { afterCompletion } = asked.trigger
    if (afterCompletion === null || !asked.isCurrent) return
    this.#options.wakeAt(job, this.#options.coordination.now() + afterCompletion)
  }
}
