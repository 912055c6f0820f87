import type { Executor } from '../../types/executor.js'
import type { CompilerOf } from '../jobs/schema.js'
import type { JournalListener } from '../observability/journal-listener.js'
import type { SendPing } from '../observability/pings/http-ping.js'

/** What the scheduler is given besides its options, by those who extend it from within: no public API. */
export interface EngineExtensions {
  /** Who hears from the journal what happened. */
  readonly listeners?: readonly JournalListener[]
  /** What runs the handlers `{ kind: work }`, by kind. */
  readonly executors?: Readonly<Record<string, Executor>>
  /** Finds what compiles the JSON Schemas of an app's jobs; by default an ajv of our own does. */
  readonly compilerOf?: CompilerOf
  /** Sends the pings of heartbeats, under whichever clock; by default that is HTTP, and nothing under simulated time. */
  readonly sendPing?: SendPing
}
