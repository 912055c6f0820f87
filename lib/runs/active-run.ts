import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../../types/clock.js'
import type { HeldLock, ReleaseAnswer } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import type { RunOutcome } from '../../types/run.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { Deadline } from './deadlines.js'
import type { Finishing } from './finisher.js'
import { extensionOf, LockHold, type LockOwner, type LockTools } from './lock-hold.js'
import { Retries } from './retries.js'
import type { RunRecord } from './run-record.js'

/** What an active run tells the runner, and needs of it. */
export interface ActiveRunOwner {
  readonly lockTools: LockTools
  readonly journal: Journal
  readonly log: Logger
  readonly givenClock: Clock
  onTimeout(active: ActiveRun): void
  onLockLost(active: ActiveRun, reason: string): void
  onReleased(active: ActiveRun, answer: ReleaseAnswer, inTime: boolean): void
  onRecorded(active: ActiveRun, answer: ReleaseAnswer): void
}

/** How a run ended, and why when it was no success. */
export interface RunEnd {
  readonly outcome: RunOutcome
  readonly error?: unknown
}

/**
 * A run under way. It goes from started to settled (the handler is done, or is not waited for any more) to completed
 * (its lock is released and its outcome known), once each.
 *
 * It is the async context of its handler, which begins as that in which the run was made: none for a scheduled run, that of
 * the caller for one by hand.
 */
export class ActiveRun extends AsyncResource implements Deadline, LockOwner, Finishing {
  readonly job: JobRecord
  readonly run: RunRecord
  readonly data: unknown
  /** The monotonic time of the handler's call. */
  readonly monotonicStart: number
  /** How long the handler took, in milliseconds; set when it has settled. */
  duration = 0
  /** The lock to be released; `null` for a run without one. */
  readonly held: HeldLock | null
  /** When the timeout has passed, or before the lock's hold is made, when the lock is first to be extended. */
  checkAt = Number.POSITIVE_INFINITY
  /** Its place among the runner's runs. */
  place = -1
  state: 'started' | 'settled' | 'completed' = 'started'
  /** Whether its outcome was counted, and told to who listens; `others` have where they recorded it as abandoned. */
  reportedBy: 'nobody' | 'us' | 'others' = 'nobody'
  /** How the handler ended, as far as is known before the release; `null` until it has settled. */
  end: RunEnd | null = null
  /** Why the signal was aborted, and the outcome that follows; `null` when it was not. */
  aborted: RunEnd | null = null
  /** `null` until it is known to need further attempts. */
  retries: Retries | null = null
  readonly #owner: ActiveRunOwner
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
    owner: ActiveRunOwner
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

  /** What handlers' loggers are children of. */
  get parentLog(): Logger {
    return this.#owner.log
  }

  /** The clock as it was given to its scheduler. */
  get givenClock(): Clock {
    return this.#owner.givenClock
  }

  /** The run's lock; to be asked for only when it has one. */
  get lock(): HeldLock {
    return this.held as HeldLock
  }

  /** Whether it had a lock that is known to be lost. */
  get lockLost(): boolean {
    return this.#hold?.lost === true
  }

  /** Whether the run's tick is done with; if not, another replica is to take it over. */
  get finished(): boolean {
    if (this.job.definition.recovery === 'none' || this.held === null || this.run.trigger === 'manual') return true
    const outcome = this.end?.outcome
    return outcome !== 'lock_lost' && outcome !== 'cancelled' && outcome !== 'abandoned'
  }

  /** Whether its handler is done, or is not waited for any more. */
  get settled(): boolean {
    return this.state !== 'started'
  }

  get signal(): AbortSignal {
    // Made when it is first asked for: most handlers never do.
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.aborted !== null) this.#controller.abort(this.aborted.error)
    }
    return this.#controller.signal
  }

  /** Aborts the signal; only the first reason counts. Whether it was the first. */
  abort(outcome: RunOutcome, error: Error): boolean {
    if (this.aborted !== null) return false
    this.aborted = { outcome, error }
    const controller = this.#controller
    // Its listeners are the handler's.
    if (controller !== null) this.runInAsyncScope(() => controller.abort(error))
    return true
  }

  /** @param timeout in milliseconds; 0 for none */
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
    this.#owner.lockTools.deadlines.touch(this)
  }

  check(now: number): void {
    this.checkAt = Number.POSITIVE_INFINITY
    if (this.held !== null && this.#hold === null) this.#holdLock().check(now)
    else this.#owner.onTimeout(this)
  }

  /** The handler is done: the lock is not kept any more, and is looked at a last time, whether it was held until `now`. */
  endLock(now: number): void {
    if (this.#hold !== null || (this.held !== null && isOver(this.held, now))) this.#holdLock().end(now)
  }

  /** Looks whether the lock is over, as it may be before anything has noticed. */
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

  /** The lock is left to its TTL. */
  leaveLock(): void {
    this.#hold?.leave()
  }

  onExtended(): void {
    this.#owner.journal.lockExtended(this)
  }

  onLost(reason: string): void {
    this.#owner.onLockLost(this, reason)
  }

  onReleased(answer: ReleaseAnswer, inTime: boolean): void {
    this.#owner.onReleased(this, answer, inTime)
  }

  onRecorded(answer: ReleaseAnswer): void {
    this.#owner.onRecorded(this, answer)
  }

  /** Calls back once the outcome is known; at once when it is. That of a handler that hangs is known before its end. */
  onOutcome(callback: () => void): void {
    if (this.run.outcome !== null) callback()
    else this.#called.outcome.push(callback)
  }

  /** Calls back once the run has completed; at once when it has. */
  onCompleted(callback: () => void): void {
    if (this.state === 'completed') callback()
    else this.#called.completed.push(callback)
  }

  /** The outcome is known. */
  known(): void {
    if (this.#callbacks !== null) for (const callback of this.#callbacks.outcome.splice(0)) callback()
  }

  completed(): void {
    this.state = 'completed'
    if (this.#callbacks !== null) for (const callback of this.#callbacks.completed.splice(0)) callback()
  }

  get #called(): { readonly outcome: (() => void)[]; readonly completed: (() => void)[] } {
    this.#callbacks ??= { outcome: [], completed: [] }
    return this.#callbacks
  }

  #holdLock(): LockHold {
    this.#hold ??= new LockHold(this.lock, this.#owner.lockTools, this)
    return this.#hold
  }
}
