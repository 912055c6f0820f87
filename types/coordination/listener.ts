import type { Change } from './changes.js'
import type { Fingerprint } from './fingerprint.js'

/** What a coordination tells the scheduler on its own account. */
export interface CoordinationListener {
  /** Claims can be had (again). */
  onUp(): void
  /**
   * No claim can be had. Called once per outage, with the reason, and once more when a store that did not answer begins to
   * refuse what it is asked.
   */
  onDown(error: Error, refuses?: boolean): void
  /**
   * `now()` has moved by a step.
   *
   * @param measured by how many milliseconds, where it was this process' own time until now
   */
  onClockStep(measured?: number): void
  /**
   * Something in the store is older than what was known of it, or one of several stores has come back.
   *
   * @param isAll whether that is true of all that the store knows, as there is no other that knows more
   */
  onPast(isAll?: boolean): void
  /**
   * Another replica will not run a tick it had claimed, so that it is to be asked for again. May come more than once.
   *
   * @param by the request whose claim it was: it tells a second hand-back of a tick from the first
   */
  onHandedBack(jobId: string, scheduledTime: number, by: string): void
  /** Something waits for a slot of a job, and there may be one. */
  onWaiting(jobId: string): void
  /** Another is to replace a run, which may be this process' own. May come more than once. */
  onReplaced(runId: string): void
  /**
   * What was changed for the whole fleet, by this replica or another: in the order in which it was changed, each at least once.
   *
   * @param isComplete `false` where nobody can say any more what was missed: all that is in force is to be read anew
   */
  onChanges(changes: readonly Change[], isComplete: boolean): void
  /** The job's last claimed tick, `tick`, was claimed by a replica that defines the job otherwise. */
  onDefinitionDiffers(jobId: string, tick: number, other: OtherDefinition): void
  /** Something is wrong with the store that its operators should know, such as a setting by which it may lose data. */
  onUnsafe(reason: string): void
  /** Something has happened to the store that its operators should know; called each time that it does. */
  onNotice(level: 'info' | 'warn', message: string): void
}

/** A definition of a job that is not this process' own. */
export interface OtherDefinition {
  readonly fingerprint: Fingerprint
  /** The replica that has it; `null` when that is not known. */
  readonly replicaId: string | null
}
