import type { CoordinationListener, OtherDefinition } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { DefinitionWarnings } from '../observability/definition-warnings.js'
import type { Warnings } from '../observability/warnings.js'
import type { Finisher } from '../runs/finisher.js'
import type { NamedLocks } from '../runs/named-locks.js'
import type { AbandonedRuns } from './abandoned-runs.js'
import type { ClockWatch } from './clock-watch.js'
import type { Dispatcher } from './dispatcher.js'
import type { LateTicks } from './late-ticks.js'
import type { Outages } from './outages.js'
import type { Reconciliation } from './reconciliation.js'
import type { Survey } from './survey.js'

export interface StoreNewsOptions {
  readonly jobs: JobRegistry
  readonly dispatcher: Dispatcher
  readonly survey: Survey
  readonly lateTicks: LateTicks
  readonly abandonedRuns: AbandonedRuns
  readonly reconciliation: Reconciliation
  readonly finisher: Finisher
  readonly namedLocks: NamedLocks
  readonly outages: Outages
  readonly clockWatch: ClockWatch
  readonly warnings: Warnings
  readonly definitionWarnings: DefinitionWarnings
  /** Whether ticks come now. */
  readonly isRunning: () => boolean
  /** Whether the scheduler was opened or started. */
  readonly hasBegun: () => boolean
}

/** Does what is to be done when the store has news, other than to write it to the log. */
export class StoreNews implements Omit<CoordinationListener, 'onUnsafe' | 'onNotice'> {
  readonly #options: StoreNewsOptions

  constructor(options: StoreNewsOptions) {
    this.#options = options
  }

  onUp(): void {
    const { outages, abandonedRuns, clockWatch, survey, finisher, dispatcher, isRunning } = this.#options
    if (outages.end()) {
      // It may have been restarted with data of the past, which it is told before it is asked for anything.
      this.onPast()
      abandonedRuns.postpone()
    }
    clockWatch.restart()
    if (isRunning()) survey.askAbout()
    // What is owned is given back before anything is asked for: an own lock must not look like an overlap.
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

  onDefinitionDiffers(jobId: string, tick: number, other: OtherDefinition): void {
    const job = this.#options.jobs.get(jobId)
    // What was claimed before this replica had the job may have been by an earlier version, which is gone.
    if (job !== undefined && tick > job.presentSince) void this.#options.definitionWarnings.tell(job, other)
  }
}
