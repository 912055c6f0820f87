import type { Clock } from '../../types/clock.js'
import type { Coordination, HeldLock, ReleaseAnswer } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import type { RunOutcome, RunTrigger } from '../../types/run.js'
import { detached } from '../base/async-context.js'
import { Bag } from '../base/bag.js'
import { Idle } from '../base/idle.js'
import { LockLostError, RunTimeoutError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import { ActiveRun, type ActiveRunOwner, type RunEnd } from './active-run.js'
import { callHandler } from './call-handler.js'
import type { Capacity } from './capacity.js'
import type { Deadlines } from './deadlines.js'
import type { Finisher } from './finisher.js'
import type { LockTools } from './lock-hold.js'
import { Retries } from './retries.js'
import { retryDelay } from './retry-delay.js'
import { RunRecord } from './run-record.js'

const SUCCESS: RunEnd = Object.freeze({ outcome: 'success' })

export interface RunnerOptions {
  readonly replicaId: string
  readonly clock: Clock
  /** The clock as it was given. */
  readonly givenClock: Clock
  readonly coordination: Coordination
  readonly deadlines: Deadlines
  readonly finisher: Finisher
  readonly journal: Journal
  /** What the loggers of handlers are children of. */
  readonly log: Logger
  readonly capacity: Capacity
  /** Called when a run has ended that another replica is to take over, or this one. */
  readonly onUnfinished: (job: JobRecord) => void
  /** Called when a run has ended of a job whose trigger has no further tick. */
  readonly onLast: (job: JobRecord) => void
}

/** Calls handlers, and sees each run through to its outcome and the release of its lock. */
export class Runner implements ActiveRunOwner {
  readonly #options: RunnerOptions
  readonly #active = new Bag<ActiveRun>()
  /** How many runs without a lock go on, by the id of their job, which may have been removed and added again meanwhile. */
  readonly #unlocked = new Map<string, number>()
  readonly #idle = new Idle(() => this.#active.size > 0)
  #closed = false
  /** How many locks were lost so far. */
  locksLost = 0

  constructor(options: RunnerOptions) {
    this.#options = options
    options.deadlines.watchAlso(this.#active)
  }

  /** Whether nothing is to start any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** What keeping a run's lock takes. */
  get lockTools(): LockTools {
    return this.#options
  }

  get journal(): Journal {
    return this.#options.journal
  }

  get log(): Logger {
    return this.#options.log
  }

  get givenClock(): Clock {
    return this.#options.givenClock
  }

  /** The jobs whose handlers run now. */
  get jobIds(): string[] {
    return [...new Set([...this.#active].map(({ job }) => job.id))]
  }

  /** The ids of the runs that go on under a lock. */
  get runIds(): string[] {
    return [...this.#active].flatMap(({ held }) => (held === null ? [] : [held.token]))
  }

  /** Whether a run of a job goes on here without a lock, so that the store knows nothing of it. */
  runsUnlocked(jobId: string): boolean {
    return this.#unlocked.size > 0 && this.#unlocked.has(jobId)
  }

  /** How many handlers run now. */
  get size(): number {
    return this.#active.size
  }

  /**
   * A run as it is told of, which begins now.
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
  start(
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

  /** Who asks for a run has a context, which is its handler's alone. */
  #beginDetached(active: ActiveRun): void {
    detached(() => this.#begin(active))
  }

  #begin(active: ActiveRun): void {
    const { job, held } = active
    this.#active.add(active)
    this.#options.capacity.runStarted()
    if (this.#active.size === 1) this.#options.deadlines.keepAlive()
    if (held === null) this.#unlocked.set(job.id, (this.#unlocked.get(job.id) ?? 0) + 1)
    active.watch(job.definition.timeout)
    this.#options.journal.runStarted(active)
    this.#call(active)
  }

  /** Resolves when no handler runs. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Aborts a run; its handler is still waited for. */
  abort(active: ActiveRun, outcome: RunOutcome, error: Error): void {
    if (active.abort(outcome, error)) this.#endWait(active, error)
  }

  /** Between two attempts there is no handler to wait for. */
  #endWait(active: ActiveRun, error: Error): void {
    if (active.retries?.endWait()) this.#settle(active, false, error)
  }

  /** Aborts all runs that go on, and starts nothing more. */
  abortAll(error: (job: JobRecord) => Error): void {
    this.#closed = true
    for (const active of this.#active) this.abort(active, 'cancelled', error(active.job))
  }

  /** Starts nothing more, and stops waiting for handlers that do not settle. Their locks are left to their TTL, as the work may still go on. */
  close(): void {
    this.#closed = true
    for (const active of this.#active) {
      const now = this.#options.clock.monotonic()
      active.noticeEndOfLock(now)
      if (active.settled) continue
      active.state = 'settled'
      active.duration = now - active.monotonicStart
      active.leaveLock()
      this.#leave(active)
      this.#tellEarly(active, { outcome: 'abandoned', error: active.aborted?.error })
      this.#end(active)
    }
  }

  /** The handler may never end: what is known of the run is told now, and not again when it does. */
  onTimeout(active: ActiveRun): void {
    const { id, definition } = active.job
    const error = new RunTimeoutError(id, definition.timeout)
    const now = this.#options.clock.monotonic()
    active.noticeEndOfLock(now)
    if (active.settled) return
    active.abort('timeout', error)
    if (active.retries?.isWaiting) {
      this.#endWait(active, error)
      return
    }
    active.duration = now - active.monotonicStart
    this.#tellEarly(active, active.aborted as RunEnd)
  }

  onLockLost(active: ActiveRun, reason: string): void {
    this.locksLost++
    this.abort(active, 'lock_lost', new LockLostError(active.job.id, reason))
    // Nobody is to hold it to be abandoned: what becomes of it is told here, as the handler ends or before.
    if (active.held !== null) this.#options.finisher.noteOutcome(active.held)
    this.#options.journal.lockLost(active, reason)
  }

  /** A run whose lock was lost without its noticing is no success, whatever its handler returned. */
  onReleased(active: ActiveRun, answer: ReleaseAnswer, inTime: boolean): void {
    let end = active.end as RunEnd
    if (answer === 'released') this.#options.journal.lockReleased(active)
    if ((answer === 'lost' || answer === 'abandoned') && inTime) active.lockFoundLost()
    if (active.state === 'completed') {
      if (answer === 'abandoned') this.onRecorded(active, answer)
      return
    }
    if (active.lockLost && end.outcome === 'success') end = active.aborted as RunEnd
    // Until the store has heard of it others may hold the run to be abandoned: who asked is told, the rest waits.
    this.#complete(active, end, answer !== 'unavailable' && answer !== 'abandoned')
    if (answer === 'abandoned') this.onRecorded(active, answer)
  }

  /** The store has heard of an end that it did not answer for at first. */
  onRecorded(active: ActiveRun, answer: ReleaseAnswer): void {
    // It is counted and told by who has recorded it, and not again.
    if (answer !== 'abandoned') {
      if (active.reportedBy === 'nobody') this.#tell(active)
    } else if (active.reportedBy !== 'others') {
      active.reportedBy = 'others'
      this.#options.journal.abandonedRunEnded(active)
    }
  }

  #call(active: ActiveRun): void {
    let result: unknown
    try {
      const { retries } = active
      const scope = retries === null || retries.count === 0 ? active : retries.newScope()
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

  #settle(active: ActiveRun, fulfilled: boolean, value: unknown): void {
    if (active.settled) return
    if (!fulfilled && this.#retry(active, value)) return
    active.state = 'settled'
    const { run } = active
    // Before the release, which takes time of its own.
    const now = this.#options.clock.monotonic()
    active.duration = now - active.monotonicStart
    active.endLock(now)
    this.#leave(active)
    if (fulfilled) run.result = value
    active.end = active.aborted ?? (fulfilled ? SUCCESS : { outcome: 'error', error: value })
    if (run.outcome !== null) this.#options.journal.runEndedLate(active, fulfilled ? undefined : value)
    if (active.held === null) this.#complete(active, active.end)
    else this.#options.finisher.push(active)
    this.#options.capacity.announceRoom()
  }

  /** @param isRecorded whether the outcome is told now */
  #complete(active: ActiveRun, end: RunEnd, isRecorded = true): void {
    if (active.run.outcome === null) {
      this.#know(active, end)
      if (isRecorded) this.#tell(active)
    }
    this.#end(active)
  }

  #end(active: ActiveRun): void {
    active.completed()
    if (!active.finished) this.#options.onUnfinished(active.job)
    if (active.job.isFinished) this.#options.onLast(active.job)
  }

  /** Tells an outcome that is known while the handler goes on. Who has lost its lock may have been recorded as abandoned. */
  #tellEarly(active: ActiveRun, end: RunEnd): void {
    if (active.run.outcome !== null) return
    const { held } = active
    this.#know(active, end)
    if (!active.lockLost) this.#tell(active)
    if (held === null) return
    this.#options.finisher.noteOutcome(held, (answer) => this.onRecorded(active, answer))
  }

  /** A run's outcome is known. */
  #know(active: ActiveRun, { outcome, error }: RunEnd): void {
    const { run } = active
    run.outcome = outcome
    run.finishedAt = run.startedAt + Math.round(active.duration)
    if (outcome !== 'success') run.error = error
    active.known()
  }

  /** Tells everybody a run's outcome, once. */
  #tell(active: ActiveRun): void {
    active.reportedBy = 'us'
    this.#options.journal.runEnded(active)
  }

  /** Calls the handler again later, when the job says so. Whether it does. */
  #retry(active: ActiveRun, error: unknown): boolean {
    const { clock, journal } = this.#options
    const { job, run } = active
    const { retry } = job.definition
    const count = active.retries?.count ?? 0
    if (retry === null || count >= retry.limit || active.aborted !== null) return false
    const delay = retryDelay(retry, run.id, count + 1)
    const retries = active.retries ?? new Retries(null)
    active.retries = retries
    retries.wait(clock, delay, () => {
      if (!active.mayGoOn(clock.monotonic())) {
        this.#settle(active, false, active.aborted?.error)
        return
      }
      retries.count++
      run.attempt++
      journal.retryStarted(active)
      this.#call(active)
    })
    journal.attemptFailed(active, error, delay)
    return true
  }

  #leave(active: ActiveRun): void {
    this.#active.delete(active)
    this.#options.capacity.runEnded()
    if (active.held === null) this.#leaveUnlocked(active.job.id)
    this.#options.journal.handlerSettled(active)
    if (this.#active.size > 0) return
    this.#options.deadlines.keepAlive()
    this.#idle.announce()
  }

  #leaveUnlocked(jobId: string): void {
    const others = (this.#unlocked.get(jobId) ?? 1) - 1
    if (others > 0) this.#unlocked.set(jobId, others)
    else this.#unlocked.delete(jobId)
  }
}
