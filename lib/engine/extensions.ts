import type { Executor } from '../../types/executor.js'
import type { JournalListener } from '../observability/journal-listener.js'

/** What the scheduler is given besides its options, by those who extend it from within: no public API. */
export interface EngineExtensions {
  /** Who hears from the journal what happened. */
  readonly listeners?: readonly JournalListener[]
  /** What runs the handlers `{ kind: work }`, by kind. */
  readonly executors?: Readonly<Record<string, Executor>>
}
