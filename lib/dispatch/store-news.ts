import type { Change, CoordinationListener, OtherDefinition } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { DefinitionWarnings } from '../observability/definition-warnings.js'
import type { Warnings } from '../observability/warnings.js'
import type { Finisher } from '../runs/finisher.js'
import type { NamedLocks } from '../runs/named-locks.js'
import type { Runner } from '../runs/runner.js'
import type { AbandonedRuns } from './abandoned-runs.js'
import type { ClockWatch } from './clock-watch.js'
import type { Dispatcher } from './dispatcher.js'
import type { FleetChanges } from './fleet-changes.js'
import type { LateTicks } from './late-ticks.js'
import type { Outages } from './outages.js'
import type { Reconciliation } from './reconciliation.js'
import type { Survey } from './survey.js'
import type { WaitingRuns } from './waiting-runs.js'

export interface StoreNewsOptions {
  readonly jobs: JobRegistry
  readonly dispatcher: Dispatcher
  readonly survey: Survey
  readonly fleetChanges: FleetChanges
  readonly runner: Runner
  readonly waitingRuns: WaitingRuns
  readonly lateTicks: LateTicks
  readonly abandonedRuns: AbandonedRuns
  readonly reconciliation: Reconciliation
  readonly finisher: Finisher
  readonly namedLocks: NamedLocks
  readonly outages: Outages
  readonly clockWatch: ClockWatch
  readonly warnings: Warnings
  readonly definitionWarnings: DefinitionWarnings
  /** Whether this replica takes ticks at present. */
  readonly isRunning: () => boolean
  /** Whether the scheduler was opened or started. */
  readonly hasBegun: () => boolean
}

/** Reacts to news from the store, apart from logging it. */
export class StoreNews implements Omit<CoordinationListener, 'onUnsafe' | 'onNotice'> {
  readonly #options: StoreNewsOptions

  constructor(options: StoreNewsOptions) {
    this.#options = options
  }

  onUp(): void {
    const { outages, abandonedRuns, clockWatch, fleetChanges, survey, finisher, dispatcher, isRunning } = this.#options
    if (outages.end()) {
      // The store may have been restarted with old data, so it is reconciled before anything is requested.
      this.onPast()
      abandonedRuns.postpone()
    }
    clockWatch.restart()
    fleetChanges.readOn()
    if (isRunning()) survey.askAbout()
    // Locks to release are released before anything is requested, so that an own lock does not look like an overlap.
    void finisher.retryNow()
    dispatcher.wakeUp()
  }

  onDown(error: Error, refuses = false): void {
    this.#options.outages.begin(error, refuses)
  }

  onClockStep(measured = 0): void {
    this.#options.clockWatch.onStep(measured)
  }

  onPast(isAll = false): void {
    const { namedLocks, reconciliation, hasBegun } = this.#options
    namedLocks.releaseAgain()
    if (hasBegun()) void reconciliation.run(isAll)
  }

  onHandedBack(jobId: string, scheduledTime: number, by: string): void {
    const { jobs, lateTicks, dispatcher, isRunning } = this.#options
    const job = jobs.get(jobId)
    if (job === undefined || !isRunning() || job.definition.lockTtl === null) return
    if (!job.noteHandedBack(scheduledTime, by, nextInSequence())) return
    lateTicks.bring(job, scheduledTime, scheduledTime)
    dispatcher.pump()
  }

  onWaiting(jobId: string): void {
    const { jobs, waitingRuns } = this.#options
    const job = jobs.get(jobId)
    if (job !== undefined) waitingRuns.note(job)
  }

  onReplaced(runId: string): void {
    this.#options.runner.replace(runId)
  }

  onChanges(changes: readonly Change[], isComplete: boolean): void {
    this.#options.fleetChanges.onChanges(changes, isComplete)
  }

  onDefinitionDiffers(jobId: string, tick: number, other: OtherDefinition): void {
    const job = this.#options.jobs.get(jobId)
    // A tick before this replica had the job may have been claimed by an earlier version of the app, which is gone, and one before
    // it was changed here by what it was.
    if (job !== undefined && tick > job.presentSince && tick > job.definedSince)
      void this.#options.definitionWarnings.note(job, other)
  }
}
