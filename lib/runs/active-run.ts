import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../../types/clock.js'
import type { HeldLock, ReleaseAnswer, RunReport } from '../../types/coordination.js'
import type { FailedAttempt, HistoryRun, RunProgress } from '../../types/history.js'
import type { Logger } from '../../types/logger.js'
import type { Run, RunOutcome } from '../../types/run.js'
import { isOver } from '../coordination/lock-validity.js'
import { RunReplacedError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import { captureLog, type RunLog } from '../observability/history/run-log.js'
import type { Deadline } from './deadlines.js'
import type { Finishing } from './finisher.js'
import { extensionOf, LockHold, type LockOwner } from './lock-hold.js'
import { Retries } from './retries.js'
import type { RunOwner } from './run-owner.js'
import type { RunEnd, RunRecord } from './run-record.js'

/**
 * A run under way. Each of these goes from left to right, once:
 *
 * ```text
 * state       asking ────> started ───> settled ───────> completed
 *                │            │            │ the store has answered for its end, or it holds no lock
 *                │            │ the last attempt has settled, or is no longer waited for, as the scheduler closes
 *                │ the job's `when` says that it runs: only ticks of jobs that have one begin here
 *
 * outcome     null ──────> known: on completion; earlier at the timeout, and when it is no longer waited for
 *
 * reportedBy  nobody ────> us ────────────> others: they had recorded it as abandoned before the store heard of its end
 *                │          │ with the outcome; if the store does not answer, or the lock was lost, once it has answered
 *                └────────────────────────> others: as above, before anything was reported here
 * ```
 *
 * `abort` ends nothing by itself: it says what the outcome will be, however the handler settles.
 *
 * A run is the async context of its handler, which begins as that in which the run was made: none for a scheduled run, that of
 * the caller for one by hand.
 */
export class ActiveRun extends AsyncResource implements Deadline, LockOwner, Finishing, RunReport {
  readonly job: JobRecord
  readonly run: RunRecord
  readonly data: unknown
  /** When the handler was first called, on the monotonic clock; the fleet's time is `run.startedAt`. */
  readonly monotonicStart: number
  /** How long the handler took until it settled, or until the timeout, in milliseconds; 0 before. */
  duration = 0
  /** The lock to be released; `null` for a run without one. */
  readonly held: HeldLock | null
  /** When the timeout passes; until `#hold` is made, when the lock is to be extended first. On the monotonic clock. */
  checkAt = Number.POSITIVE_INFINITY
  /** Its place among the active runs. */
  place = -1
  state: 'asking' | 'started' | 'settled' | 'completed' = 'started'
  /** Who has told their journal of the outcome, so that it counts; other replicas do as they record it as abandoned. */
  reportedBy: 'nobody' | 'us' | 'others' = 'nobody'
  /** How the handler ended, as far as is known before the release; `null` until it has settled. */
  end: RunEnd | null = null
  /** Why the signal was aborted, and the outcome that follows; `null` when it was not. */
  aborted: RunEnd | null = null
  /** Whether it is for a request by hand that has waited in the store. */
  isStored = false
  /** `null` until it is known to need further attempts. */
  retries: Retries | null = null
  /** How far it has come, as its handler has said last. */
  progress: RunProgress | null = null
  /** Whether somebody has cancelled it, so that nobody is to take it over. */
  isCancelled = false
  readonly #owner: RunOwner<ActiveRun>
  /** Whether the store was told of its outcome apart from its end. */
  #isReported = false
  /** What it writes by its logger; `null` where that is not kept, or not used. */
  #capture: RunLog | null = null
  /** Who is called once the outcome is known, and once the run has completed; most runs have nobody to call. */
  #callbacks: { readonly outcome: (() => void)[]; readonly completed: (() => void)[] } | null = null
  #controller: AbortController | null = null
  /** Made when the lock is first to be extended, or is lost, as most runs end before; at once for a run with a timeout. */
  #hold: LockHold | null = null

  /** @param monotonicStart on the monotonic clock */
  constructor(
    job: JobRecord,
    run: RunRecord,
    data: unknown,
    held: HeldLock | null,
    monotonicStart: number,
    owner: RunOwner<ActiveRun>
  ) {
    super('JobRun')
    this.job = job
    this.run = run
    this.data = data
    this.held = held
    this.monotonicStart = monotonicStart
    this.#owner = owner
    // Scheduled runs are made in no context, and so are their further attempts.
    if (run.trigger === 'manual' && job.definition.retry !== null)
      this.retries = new Retries(new AsyncResource('JobRun'))
  }

  /** The handler's logger. */
  get logger(): Logger {
    const { log, entries } = this.#owner.tools
    const bindings = { jobId: this.run.jobId, runId: this.run.id }
    if (!entries.keepsLogs) return log.child(bindings)
    this.#capture ??= captureLog(log, bindings)
    return this.#capture.log
  }

  /** As of `Ending`: `null` before its outcome is known, and where the store has been told of it. */
  get report(): RunReport | null {
    return this.#isReported || this.end === null ? null : this
  }

  /** As of `RunReport`; to be read only once it is known how it has ended. */
  get outcome(): RunOutcome {
    return (this.end as RunEnd).outcome
  }

  /** As of `RunReport`. */
  get entry(): HistoryRun | null {
    const { entries } = this.#owner.tools
    return entries.isOn ? entries.entry(this, this.end as RunEnd, this.duration) : null
  }

  /** As of `RunReport`: most runs succeed, and have nothing to say. */
  get plainRun(): Run | null {
    const { run, held, retries, progress } = this
    if (this.outcome !== 'success' || run.result !== undefined || retries !== null || progress !== null) return null
    const { entries } = this.#owner.tools
    return entries.isOn && !entries.keepsAllLogs && held !== null && (held.slot ?? 1) === 1 ? run : null
  }

  /** What the store is to be told of an outcome. */
  reportOf(end: RunEnd): RunReport {
    return this.#owner.tools.entries.report(this, end, this.duration)
  }

  /** Which of the job's slots it has, from 1 on; `null` without a lock. */
  get slot(): number | null {
    return this.held === null ? null : this.held.slot || 1
  }

  /** The attempts that have failed before the last, where the history keeps them. */
  get attempts(): readonly FailedAttempt[] | null {
    return this.retries?.failed ?? null
  }

  /** What it has written by its logger; `null` where that is not kept. */
  get written(): RunLog | null {
    return this.#capture
  }

  /** The store is told of the run's outcome apart from its end. */
  reportNow(end: RunEnd): RunReport | null {
    if (this.#isReported) return null
    this.#isReported = true
    return this.reportOf(end)
  }

  /** The handler says how far it has come. */
  noteProgress(share: unknown, note: unknown): void {
    const { entries, progress } = this.#owner.tools
    const said = progress.read(share, note)
    if (this.settled || this.run.outcome !== null) return
    this.progress = entries.progress(said)
    if (this.held !== null) progress.note(this.run.id, this.progress)
  }

  /** As of `RunTools`. */
  get givenClock(): Clock {
    return this.#owner.tools.givenClock
  }

  /** The run's lock; to be read only when it has one. */
  get lock(): HeldLock {
    return this.held as HeldLock
  }

  /** Whether it had a lock that is known to be lost. */
  get lockLost(): boolean {
    return this.#hold?.lost === true
  }

  /** Whether another run replaces it. */
  get replaced(): boolean {
    return this.aborted?.error instanceof RunReplacedError
  }

  /** Whether the run's tick is done with; if not, another replica is to take it over. */
  get finished(): boolean {
    if (this.job.definition.recovery === 'none' || this.held === null) return true
    if (this.run.trigger === 'manual' && !this.isStored) return true
    const outcome = this.end?.outcome
    if (this.replaced || this.isCancelled) return true
    return outcome !== 'lock_lost' && outcome !== 'cancelled' && outcome !== 'abandoned'
  }

  /** Whether its handler is done, or is no longer waited for. */
  get settled(): boolean {
    return this.state === 'settled' || this.state === 'completed'
  }

  get signal(): AbortSignal {
    // Made when it is first asked for: most handlers never do.
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.aborted !== null) this.#controller.abort(this.aborted.error)
    }
    return this.#controller.signal
  }

  /**
   * Aborts the signal, which decides the outcome. Only the first reason counts.
   *
   * @returns whether it was the first
   */
  abort(outcome: RunOutcome, error: Error): boolean {
    if (this.aborted !== null) return false
    this.aborted = { outcome, error }
    const controller = this.#controller
    // Its listeners are the handler's.
    if (controller !== null) (this.retries?.origin ?? this).runInAsyncScope(() => controller.abort(error))
    return true
  }

  /**
   * Has the lock extended and the timeout noticed from now on.
   *
   * @param timeout in milliseconds; 0 for none
   */
  watch(timeout: number): void {
    const { held } = this
    if (timeout > 0) {
      if (held !== null) this.#holdLock()
      this.checkAt = this.monotonicStart + timeout
    } else if (held !== null) {
      this.checkAt = extensionOf(held)
    } else {
      return
    }
    this.#owner.tools.deadlines.touch(this)
  }

  check(now: number): void {
    this.checkAt = Number.POSITIVE_INFINITY
    if (this.held !== null && this.#hold === null) this.#holdLock().check(now)
    else this.#owner.onTimeout(this)
  }

  /** The handler is done, or is no longer waited for. @param now on the monotonic clock */
  settle(now: number): void {
    this.state = 'settled'
    this.duration = now - this.monotonicStart
  }

  /** The lock is not extended any more. Notices if it was not held until `now`. */
  endLock(now: number): void {
    if (this.#hold !== null || (this.held !== null && isOver(this.held, now))) this.#holdLock().end(now)
  }

  /** Notices if the lock is over, which may be before any check. */
  noticeEndOfLock(now: number): void {
    if (this.held !== null && isOver(this.held, now)) this.#holdLock().check(now)
  }

  /** Whether a further attempt may begin: not under a lock that is over. */
  mayGoOn(now: number): boolean {
    this.noticeEndOfLock(now)
    return this.aborted === null
  }

  /** The release has found that the lock was not the run's own any more. */
  lockFoundLost(): void {
    this.#holdLock().foundLost()
  }

  /** Somebody has freed the lock. @param reason why, for the error */
  lockReleased(reason: string): void {
    this.#holdLock().released(reason)
  }

  /** Has the lock extended no more, though it is to be noticed when it ends. */
  letLockEnd(): void {
    if (this.held === null) return
    this.#holdLock().isLeft = true
    // With a timeout, `checkAt` is that.
    if (this.job.definition.timeout === 0) this.checkAt = Number.POSITIVE_INFINITY
  }

  /** Leaves the lock to its TTL. */
  leaveLock(): void {
    this.#hold?.leave()
  }

  onExtended(): void {
    this.#owner.tools.journal.lockExtended(this)
  }

  onLost(reason: string): void {
    this.#owner.onLockLost(this, reason)
  }

  onReleased(answer: ReleaseAnswer, inTime: boolean): void {
    this.#owner.outcomes.onReleased(this, answer, inTime)
  }

  onRecorded(answer: ReleaseAnswer): void {
    this.#owner.outcomes.onRecorded(this, answer)
  }

  /** Calls back once the outcome is known; at once when it is. It may be known while the handler goes on. */
  onOutcome(callback: () => void): void {
    if (this.run.outcome !== null) callback()
    else this.#waiting.outcome.push(callback)
  }

  /** Calls back once the run has completed; at once when it has. */
  onCompleted(callback: () => void): void {
    if (this.state === 'completed') callback()
    else this.#waiting.completed.push(callback)
  }

  /** The outcome is known: calls those who wait for it. */
  announceOutcome(): void {
    if (this.#callbacks !== null) for (const callback of this.#callbacks.outcome.splice(0)) callback()
  }

  /** Nothing is left to do for the run: calls those who wait for that. */
  complete(): void {
    this.state = 'completed'
    if (this.progress !== null) this.#owner.tools.progress.end(this.run.id)
    if (this.#callbacks !== null) for (const callback of this.#callbacks.completed.splice(0)) callback()
  }

  get #waiting(): { readonly outcome: (() => void)[]; readonly completed: (() => void)[] } {
    this.#callbacks ??= { outcome: [], completed: [] }
    return this.#callbacks
  }

  #holdLock(): LockHold {
    this.#hold ??= new LockHold(this.lock, this.#owner.tools, this)
    return this.#hold
  }
}
