import type { Job } from './job.js'
import type { Run } from './run.js'

/** What is asked for in a claim. */
export interface ClaimTraceRequest {
  readonly jobId: string
  /** The id that the run has if it is granted. */
  readonly runId: string
  /**
   * What is asked for: a tick (`tick`, or `miss` for one that is too late to run), a run by hand (`manual`) or at a replica's start
   * (`start`), a run of a replica that died (`recover`), or what has waited longest for a slot (`waiting`).
   */
  readonly kind: 'tick' | 'miss' | 'manual' | 'start' | 'recover' | 'waiting'
  /** The nominal time, in milliseconds since the Unix epoch; `null` where the store says which. */
  readonly scheduledTime: number | null
}

/** The message of the tracing channel `fastify-redlock-scheduler:claim`: one call to the store, for any number of jobs. */
export interface ClaimTrace {
  readonly replicaId: string
  readonly requests: readonly ClaimTraceRequest[]
  /** The ids of the runs that were granted; before the answer, none. */
  readonly granted: readonly string[]
  /** Why the store did not answer, or not all of it. */
  readonly error?: unknown
}

/** The message of the tracing channel `fastify-redlock-scheduler:run`: from its beginning until its outcome is known. */
export interface RunTrace {
  readonly job: Job
  /** With its outcome, its attempts and its error, as they are at the moment. */
  readonly run: Run
  /** The message of the claim that has granted it; `null` for a run without a claim, or if that was not traced. */
  readonly claim: ClaimTrace | null
  /** Why it was no success. */
  readonly error?: unknown
}

/** The message of the tracing channel `fastify-redlock-scheduler:attempt`: one call of the handler. */
export interface AttemptTrace {
  readonly job: Job
  /** The same object as in the message of its run. */
  readonly run: Run
  /** Which attempt this is; `run.attempt` goes on with the next. */
  readonly attempt: number
  /** What the handler has returned. */
  readonly result?: unknown
  /** What it has thrown. */
  readonly error?: unknown
}
