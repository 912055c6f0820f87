import type { RunContext } from './run.js'

/**
 * Runs the handlers of one kind: functions on the app's own event loop, or what is written as `{ kind: work }` in a job's
 * `handler`, which may run in a thread, in another process, or on another machine.
 *
 * Everything else is the scheduler's: claim and lock, timeout, further attempts, the outcome, metrics, events and log.
 */
export interface Executor {
  /**
   * Called once, before the first run, by a scheduler that is started or used before (`trigger`, `withLock`, `pause`). When it
   * rejects, so does what the scheduler was asked for.
   */
  start?(): unknown
  /**
   * Makes one attempt of a run; each further attempt is a call of its own. It is called in the run's async context.
   *
   * When `context.signal` aborts (the timeout has passed, the lock is lost, the scheduler is closing), the work must end. The
   * run's lock is held until the attempt has settled, so the attempt must not settle while its work still goes on.
   *
   * @param work the job's function, or the value beside the kind in the job's `handler`
   * @returns what the handler returns, or a promise of it; what it throws, or rejects with, is the error of the attempt
   */
  run(context: RunContext, work: unknown): unknown
  /** Called once if `start` was called, when no run is under way or waited for any longer. A rejection is logged. */
  close?(): unknown
}

/**
 * What an executor sends to a handler that runs elsewhere: its context without the parts that live in this process (`app`,
 * `log`, `signal`). It is a plain object, so that `structuredClone` and JSON can carry it, as far as they can carry `data`.
 */
export interface RunMessage {
  readonly job: { readonly id: string; readonly name: string }
  readonly run: {
    readonly id: string
    readonly jobId: string
    readonly scheduledTime: number
    readonly startedAt: number
    readonly attempt: number
    readonly trigger: RunContext['run']['trigger']
    readonly by: string | null
    readonly replicaId: string
    readonly fencingToken: number | null
  }
  /** As it is in the context. */
  readonly data: unknown
  readonly fencingToken: number | null
}
