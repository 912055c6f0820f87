import type { Clock } from '../../types/clock.js'
import type { ReleaseAnswer } from '../../types/coordination.js'
import type { Logger } from '../../types/logger.js'
import type { RunEntries } from '../observability/history/run-entries.js'
import type { Journal } from '../observability/journal.js'
import type { LockTools } from './lock-hold.js'
import type { ProgressReports } from './progress.js'

/** What a run needs; the same for all runs of a scheduler. */
export interface RunTools extends LockTools {
  readonly journal: Journal
  /** What the loggers of handlers are children of. */
  readonly log: Logger
  /** Makes of runs what the history keeps of them. */
  readonly entries: RunEntries
  readonly progress: ProgressReports
  /** The clock as it was given to the scheduler. */
  readonly givenClock: Clock
}

/** Who has started a run, and hears of it. */
export interface RunOwner<Active> {
  readonly tools: RunTools
  /** Who hears what the store has answered for the run's end. */
  readonly outcomes: {
    onReleased(active: Active, answer: ReleaseAnswer, inTime: boolean): void
    onRecorded(active: Active, answer: ReleaseAnswer): void
  }
  onTimeout(active: Active): void
  onLockLost(active: Active, reason: string): void
}
