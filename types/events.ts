import type { Job } from './job.js'
import type { Run, SkipReason } from './run.js'

/** Why a job was removed. */
export type RemovalReason = 'manual' | 'finished'

/** What each event carries. A listener that throws is logged, and stops nothing. */
export interface SchedulerEvents {
  /** A run is about to start: its tick is claimed and its lock held. */
  submitted: { readonly job: Job; readonly run: Run }
  /** A run ended with outcome `success`. */
  executed: { readonly job: Job; readonly run: Run }
  /** A run ended with any other outcome, or has passed its `timeout`: its handler may go on. */
  error: { readonly job: Job; readonly run: Run; readonly error: unknown }
  /**
   * An attempt of a run failed, and its handler is called again. `run.attempt` is the attempt that failed.
   *
   * `delay` is how long from now, in milliseconds.
   */
  retried: { readonly job: Job; readonly run: Run; readonly error: unknown; readonly delay: number }
  /** A tick was given up: it came too late to run, or Redis did not answer in time. */
  missed: { readonly job: Job; readonly scheduledTime: number; readonly reason: SkipReason }
  /** A tick has no run on this replica. */
  skipped: { readonly job: Job; readonly scheduledTime: number; readonly reason: SkipReason }
  lockAcquired: { readonly job: Job; readonly run: Run }
  /** `held`: by another run; `error`: Redis did not answer. */
  lockFailed: { readonly job: Job; readonly scheduledTime: number; readonly reason: 'held' | 'error' }
  lockLost: { readonly job: Job; readonly run: Run }
  paused: { readonly job: Job }
  resumed: { readonly job: Job }
  added: { readonly job: Job }
  modified: { readonly job: Job }
  /** `manual`: by `remove`; `finished`: its trigger has no further tick, and its last run was five minutes ago. */
  removed: { readonly job: Job; readonly reason: RemovalReason }
}

export type SchedulerEventName = keyof SchedulerEvents
/** What it returns is left alone; a promise of it that rejects is logged, as what it throws is. */
export type SchedulerListener<Name extends SchedulerEventName> = (event: SchedulerEvents[Name]) => unknown
