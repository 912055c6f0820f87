import type { Job } from './job.js'
import type { FleetChange } from './levers.js'
import type { Run, SkipReason } from './run.js'

/** Why a job was removed. */
export type RemovalReason = 'manual' | 'finished'

/** The payload of each event. An error thrown by a listener is logged and has no other effect. */
export interface SchedulerEvents {
  /** A run is about to start: its tick is claimed and its lock held. */
  submitted: { readonly job: Job; readonly run: Run }
  /** A run ended with outcome `success`. */
  executed: { readonly job: Job; readonly run: Run }
  /** A run ended with any other outcome, or has passed its `timeout`; then its handler may still be running. */
  error: { readonly job: Job; readonly run: Run; readonly error: unknown }
  /**
   * An attempt of a run failed, and the handler will be called again in `delay` milliseconds. `run.attempt` is the
   * attempt that failed.
   */
  retried: { readonly job: Job; readonly run: Run; readonly error: unknown; readonly delay: number }
  /** A tick was missed: its grace was over before it could run, or Redis did not answer in time. */
  missed: { readonly job: Job; readonly scheduledTime: number; readonly reason: SkipReason }
  /** A tick has no run on this replica. */
  skipped: { readonly job: Job; readonly scheduledTime: number; readonly reason: SkipReason }
  lockAcquired: { readonly job: Job; readonly run: Run }
  /** A run did not get its lock. `held`: another run holds it; `error`: Redis did not answer. */
  lockFailed: { readonly job: Job; readonly scheduledTime: number; readonly reason: 'held' | 'error' }
  lockLost: { readonly job: Job; readonly run: Run }
  paused: { readonly job: Job }
  resumed: { readonly job: Job }
  /**
   * Somebody has done something at run time by this process: each pause, resumption, skip, override, reset, cancellation and release, and
   * each run by hand that was asked for with `by` or `note`.
   */
  changed: { readonly change: FleetChange }
  added: { readonly job: Job }
  modified: { readonly job: Job }
  /**
   * `manual`: removed by `remove`; `finished`: its trigger has no further tick, and its last run was five minutes ago.
   */
  removed: { readonly job: Job; readonly reason: RemovalReason }
}

export type SchedulerEventName = keyof SchedulerEvents
/** A listener. Its return value is ignored, except that a rejection is logged like a thrown error. */
export type SchedulerListener<Name extends SchedulerEventName> = (event: SchedulerEvents[Name]) => unknown
