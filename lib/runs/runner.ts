import type { HeldLock } from '../../types/coordination.js'
import type { RunOutcome, RunTrigger } from '../../types/run.js'
import { detached } from '../base/async-context.js'
import { show } from '../base/show.js'
import { LockLostError, OptionInvalidError, RunCancelledError, RunReplacedError, RunTimeoutError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import { MAX_KEPT_ATTEMPTS } from '../observability/history/run-entries.js'
import { runChannel } from '../observability/traces.js'
import { ActiveRun } from './active-run.js'
import { ActiveRuns } from './active-runs.js'
import { callCondition, callHandler } from './call-handler.js'
import type { Capacity } from './capacity.js'
import { Outcomes, type OutcomesOptions } from './outcomes.js'
import { Retries } from './retries.js'
import { retryDelay } from './retry-delay.js'
import type { RunOwner, RunTools } from './run-owner.js'
import { type RunEnd, RunRecord } from './run-record.js'
import { traceRun } from './traced-run.js'

/** Runs that begin only where the job's `when` says so. */
const ASKING: ReadonlySet<RunTrigger> = new Set(['schedule', 'catch-up', 'start'])

const SUCCESS: RunEnd = Object.freeze({ outcome: 'success' })

export interface RunnerOptions extends RunTools, OutcomesOptions {
  readonly replicaId: string
  readonly capacity: Capacity
  /** Called when a run begins that another may replace. */
  readonly onReplaceable: () => void
}

/** Starts runs, has their handlers called until an attempt is the last, and ends them: the states of `ActiveRun`. */
export class Runner implements RunOwner<ActiveRun> {
  readonly outcomes: Outcomes
  readonly #options: RunnerOptions
  readonly #active: ActiveRuns
  #closed = false
  /** How many locks were lost so far. */
  locksLost = 0

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#active = new ActiveRuns(options.deadlines, options.capacity)
    this.outcomes = new Outcomes(options)
  }

  /** Whether nothing is to start any more. */
  get closed(): boolean {
    return this.#closed
  }

  get tools(): RunTools {
    return this.#options
  }

  /** The jobs whose handlers run now. */
  get jobIds(): string[] {
    return this.#active.jobIds
  }

  /** The ids of the runs that go on under a lock. */
  get runIds(): string[] {
    return this.#active.lockedRunIds
  }

  /** Whether a run goes on here that another may replace. */
  get hasReplaceable(): boolean {
    return [...this.#active].some(({ job }) => job.definition.overlap === 'replace')
  }

  /** Whether a run of a job goes on here without a lock, so that the store knows nothing of it. */
  runsUnlocked(jobId: string): boolean {
    return this.#active.hasUnlocked(jobId)
  }

  /** How many handlers run now. */
  get size(): number {
    return this.#active.size
  }

  /**
   * Makes the record of a run that begins now.
   *
   * @param now the fleet's time
   */
  newRun(
    job: JobRecord,
    runId: string,
    scheduledTime: number,
    trigger: RunTrigger,
    fencingToken: number | null,
    now: number = this.#options.coordination.now()
  ): RunRecord {
    const { replicaId } = this.#options
    return new RunRecord(runId, job.id, scheduledTime, Math.round(now), trigger, replicaId, fencingToken)
  }

  /**
   * Calls the handler of a job.
   *
   * @param lock `null` for a run without one
   * @param monotonic now, on the monotonic clock
   */
  startRun(
    job: JobRecord,
    run: RunRecord,
    lock: HeldLock | null,
    data: unknown = job.definition.data,
    monotonic: number = this.#options.clock.monotonic()
  ): ActiveRun {
    const active = new ActiveRun(job, run, data, lock, monotonic, this)
    if (run.trigger === 'manual') this.#beginDetached(active)
    else this.#begin(active)
    return active
  }

  /**
   * Another run is to replace a run, if it is one of these: its signal aborts, and it has its lock until its handler has ended,
   * and until the lock's TTL at the longest.
   */
  replace(runId: string): void {
    const active = [...this.#active].find(({ held }) => held?.token === runId)
    if (active === undefined || active.replaced) return
    this.#beginAsked(active)
    active.letLockEnd()
    this.#abort(active, 'cancelled', new RunReplacedError(active.job.id))
  }

  /**
   * Somebody cancels a run, if it is one of these: its signal aborts. A handler that does not listen goes on, and keeps its lock.
   *
   * @returns the id of its job; `null` where it is none of these
   */
  cancel(runId: string, by: string): string | null {
    const active = [...this.#active].find(({ run }) => run.id === runId)
    if (active === undefined) return null
    if (active.aborted === null) {
      this.#beginAsked(active)
      active.isCancelled = true
      this.#abort(
        active,
        'cancelled',
        new RunCancelledError(`A run of the job '${active.job.id}'`, `'${by}' asked for it`)
      )
    }
    return active.job.id
  }

  /** Somebody has freed the lock of a run, which may be one of these. */
  release(runId: string, by: string): void {
    const active = [...this.#active].find(({ held }) => held?.token === runId)
    active?.lockReleased(`'${by}' has released it`)
  }

  /** Resolves when no handler runs. */
  settled(): Promise<void> {
    return this.#active.settled()
  }

  /** Aborts all runs that go on, and starts nothing more. Their handlers are still waited for. */
  abortAll(error: (job: JobRecord) => Error): void {
    this.#closed = true
    for (const active of this.#active) this.#abort(active, 'cancelled', error(active.job))
  }

  /**
   * Starts nothing more, and stops waiting for handlers that do not settle. Their locks are left to their TTL, as the work may
   * still go on.
   */
  close(): void {
    this.#closed = true
    for (const active of this.#active) {
      const now = this.#options.clock.monotonic()
      active.noticeEndOfLock(now)
      if (active.settled) continue
      this.#beginAsked(active)
      active.settle(now)
      active.leaveLock()
      this.#leave(active)
      this.outcomes.abandon(active, { outcome: 'abandoned', error: active.aborted?.error })
    }
  }

  /** The handler may never end: what is known of the run is reported now, and not again when it does. */
  onTimeout(active: ActiveRun): void {
    const { id, definition } = active.job
    const error = new RunTimeoutError(id, definition.timeout)
    const now = this.#options.clock.monotonic()
    active.noticeEndOfLock(now)
    if (active.settled) return
    this.#beginAsked(active)
    active.abort('timeout', error)
    if (active.retries?.isWaiting) {
      this.#endWait(active, error)
      return
    }
    active.duration = now - active.monotonicStart
    this.outcomes.decideEarly(active, active.aborted as RunEnd)
  }

  onLockLost(active: ActiveRun, reason: string): void {
    if (active.replaced) {
      // Its handler ignores the signal: what is known of the run is reported now, and its lock is over by intent.
      this.outcomes.endReplaced(active, active.aborted as RunEnd)
      return
    }
    this.#beginAsked(active)
    this.locksLost++
    this.#abort(active, 'lock_lost', new LockLostError(active.job.id, reason))
    if (active.held !== null) {
      // No other replica is to record it as abandoned: the history has its outcome, though its handler may go on for long.
      if (!active.settled) active.duration = this.#options.clock.monotonic() - active.monotonicStart
      const report = active.settled ? null : active.reportNow(active.aborted as RunEnd)
      this.#options.finisher.noteOutcome(active.held, report)
    }
    this.#options.journal.lockLost(active, reason)
  }

  /** Who asks for a run has a context, which is its handler's alone. */
  #beginDetached(active: ActiveRun): void {
    detached(() => this.#begin(active))
  }

  #begin(active: ActiveRun): void {
    const { condition, definition } = active.job
    this.#active.add(active)
    if (definition.overlap === 'replace') this.#options.onReplaceable()
    if (condition !== null && ASKING.has(active.run.trigger)) {
      this.#askWhether(active)
      return
    }
    active.watch(definition.timeout)
    this.#beginRun(active)
    this.#attempt(active)
  }

  /** Asks the job's `when` whether a tick runs, under the tick's lock. */
  #askWhether(active: ActiveRun): void {
    active.state = 'asking'
    active.watch(0)
    let answer: unknown
    try {
      answer = active.runInAsyncScope(callCondition, active)
    } catch (error) {
      this.#onConditionFailed(active, error)
      return
    }
    if (answer instanceof Promise) {
      answer.then(
        (value) => this.#onCondition(active, value),
        (error: unknown) => this.#onConditionFailed(active, error)
      )
    } else {
      this.#onCondition(active, answer)
    }
  }

  #onCondition(active: ActiveRun, answer: unknown): void {
    if (active.state !== 'asking') return
    if (answer === false && active.aborted === null) {
      this.#leaveUnbegun(active)
    } else if (typeof answer !== 'boolean') {
      this.#onConditionFailed(
        active,
        new OptionInvalidError('when', 'a function that returns true or false', show(answer))
      )
    } else {
      this.#beginAsked(active)
      if (active.aborted === null) this.#attempt(active)
      else this.#settle(active, false, active.aborted.error)
    }
  }

  /** What `when` throws is a failed run. */
  #onConditionFailed(active: ActiveRun, error: unknown): void {
    if (active.state !== 'asking') return
    this.#beginAsked(active)
    this.#settle(active, false, error)
  }

  /** The run begins after all, or counts as begun, as it is aborted or no longer waited for. */
  #beginAsked(active: ActiveRun): void {
    if (active.state !== 'asking') return
    const { timeout } = active.job.definition
    active.state = 'started'
    if (timeout > 0) active.watch(timeout)
    this.#beginRun(active)
  }

  #beginRun(active: ActiveRun): void {
    if (runChannel.hasSubscribers) traceRun(active)
    this.#options.journal.runStarted(active)
  }

  /** The tick has no run. */
  #leaveUnbegun(active: ActiveRun): void {
    const { capacity, clock, finisher, journal } = this.#options
    const { job, run, held } = active
    active.settle(clock.monotonic())
    active.leaveLock()
    this.#active.delete(active)
    this.#active.announceIdle()
    if (run.trigger !== 'start') journal.tickSkipped(job, run.scheduledTime, 'condition')
    const complete = (): void => active.complete()
    if (held === null) complete()
    else finisher.push({ lock: held, finished: true, unbegun: true, onReleased: complete })
    capacity.announceRoom()
  }

  #attempt(active: ActiveRun): void {
    let result: unknown
    try {
      const { retries } = active
      const scope = retries === null ? active : retries.newScope()
      result = scope.runInAsyncScope(callHandler, active)
      if (result instanceof Promise) {
        result.then(
          (value) => this.#settle(active, true, value),
          (error: unknown) => this.#settle(active, false, error)
        )
        return
      }
    } catch (error) {
      this.#settle(active, false, error)
      return
    }
    this.#settle(active, true, result)
  }

  /** An attempt has settled, or the wait for the next one was aborted. */
  #settle(active: ActiveRun, fulfilled: boolean, value: unknown): void {
    if (active.settled) return
    if (!fulfilled && this.#retry(active, value)) return
    const { run } = active
    // Before the release, which takes time of its own.
    const now = this.#options.clock.monotonic()
    active.settle(now)
    active.endLock(now)
    this.#leave(active)
    if (fulfilled) run.result = value
    active.end = active.aborted ?? (fulfilled ? SUCCESS : { outcome: 'error', error: value })
    if (run.outcome !== null) this.#options.journal.runEndedLate(active, fulfilled ? undefined : value)
    if (active.held === null) this.outcomes.complete(active, active.end)
    else this.#options.finisher.push(active)
    this.#options.capacity.announceRoom()
  }

  /** Has the handler called again later, when the job says so. Whether it does. */
  #retry(active: ActiveRun, error: unknown): boolean {
    const { retry } = active.job.definition
    const count = active.retries?.count ?? 0
    if (retry === null || count >= retry.limit || active.aborted !== null) return false
    const { clock, coordination, entries, journal } = this.#options
    const delay = retryDelay(retry, active.run.id, count + 1)
    const retries = active.retries ?? new Retries(null)
    active.retries = retries
    if (entries.isOn) retries.failed.push(entries.attempt(active.run.attempt, coordination.now(), error))
    if (retries.failed.length > MAX_KEPT_ATTEMPTS) retries.failed.shift()
    retries.wait(clock, delay, () => this.#attemptAgain(active, retries))
    journal.attemptFailed(active, error, delay)
    return true
  }

  #attemptAgain(active: ActiveRun, retries: Retries): void {
    if (!active.mayGoOn(this.#options.clock.monotonic())) {
      this.#settle(active, false, active.aborted?.error)
      return
    }
    retries.count++
    active.run.attempt++
    this.#options.journal.retryStarted(active)
    this.#attempt(active)
  }

  #abort(active: ActiveRun, outcome: RunOutcome, error: Error): void {
    if (active.abort(outcome, error)) this.#endWait(active, error)
  }

  /** Between two attempts there is no handler to wait for. */
  #endWait(active: ActiveRun, error: Error): void {
    if (active.retries?.endWait()) this.#settle(active, false, error)
  }

  #leave(active: ActiveRun): void {
    this.#active.delete(active)
    this.#options.journal.handlerSettled(active)
    this.#active.announceIdle()
  }
}
