import type { FastifyBaseLogger } from 'fastify'
import type { TimerHandle } from '../../types/clock.js'
import type { Job } from '../../types/job.js'
import type { Run, RunContext, RunOutcome, RunTrigger } from '../../types/run.js'
import type { JobRecord } from '../job-record.js'
import type { LockHold } from './lock-hold.js'
import type { Watched } from './watch.js'

/** A run as users see it; the runner writes to it as it goes on. */
export class RunRecord implements Run {
  readonly id: string
  readonly jobId: string
  readonly scheduledTime: number
  readonly startedAt: number
  readonly trigger: RunTrigger
  readonly replicaId: string
  readonly fencingToken: number | null
  attempt = 1
  outcome: RunOutcome | null = null
  finishedAt: number | null = null
  error?: unknown
  result?: unknown

  constructor(
    id: string,
    jobId: string,
    scheduledTime: number,
    startedAt: number,
    trigger: RunTrigger,
    replicaId: string,
    fencingToken: number | null
  ) {
    this.id = id
    this.jobId = jobId
    this.scheduledTime = scheduledTime
    this.startedAt = startedAt
    this.trigger = trigger
    this.replicaId = replicaId
    this.fencingToken = fencingToken
  }
}

/**
 * A run under way. It goes from started to settled (the handler is done, or is not waited for any more) to completed
 * (its lock is released and its outcome known), once each.
 */
export class ActiveRun implements Watched {
  readonly job: JobRecord
  readonly run: RunRecord
  readonly data: unknown
  /** The monotonic time of the handler's call. */
  readonly begunAt: number
  /** How long the handler took, in milliseconds; set when it has settled. */
  duration = 0
  /** `null` for a job with `lock: false`. */
  hold: LockHold | null = null
  /** When the timeout has passed, on the monotonic clock. */
  checkAt = Number.POSITIVE_INFINITY
  settled = false
  /** Why the signal was aborted, and the outcome that follows; `null` when it was not. */
  aborted: { readonly outcome: RunOutcome; readonly error: Error } | null = null
  /** The wait for the next attempt. */
  retryTimer: TimerHandle | null = null
  onTimeout: (() => void) | null = null
  readonly #completed: ((run: Run) => void)[] = []
  #controller: AbortController | null = null

  constructor(job: JobRecord, run: RunRecord, data: unknown, begunAt: number) {
    this.job = job
    this.run = run
    this.data = data
    this.begunAt = begunAt
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
    this.#controller?.abort(error)
    return true
  }

  check(): void {
    this.checkAt = Number.POSITIVE_INFINITY
    this.onTimeout?.()
  }

  onCompleted(callback: (run: Run) => void): void {
    this.#completed.push(callback)
  }

  completed(): void {
    for (const callback of this.#completed) callback(this.run)
  }
}

/**
 * What a handler is called with. `log` and `signal` are made when they are first read, on the prototype: they are
 * there for destructuring, and a spread (`{ ...context }`) does not copy them.
 */
export class HandlerContext implements RunContext {
  readonly app: unknown
  readonly job: Job
  readonly run: Run
  readonly data: unknown
  readonly fencingToken: number | null
  readonly #active: ActiveRun
  readonly #parentLog: FastifyBaseLogger
  #log: FastifyBaseLogger | null = null

  constructor(app: unknown, active: ActiveRun, parentLog: FastifyBaseLogger) {
    this.app = app
    this.job = active.job.view
    this.run = active.run
    this.data = active.data
    this.fencingToken = active.run.fencingToken
    this.#active = active
    this.#parentLog = parentLog
  }

  get log(): FastifyBaseLogger {
    this.#log ??= this.#parentLog.child({ jobId: this.run.jobId, runId: this.run.id })
    return this.#log
  }

  get signal(): AbortSignal {
    return this.#active.signal
  }
}
