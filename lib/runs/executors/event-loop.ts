import type { Executor } from '../../../types/executor.js'
import type { JobHandler, RunContext } from '../../../types/run.js'

/** Calls functions, on the app's own event loop. */
export const eventLoop: Executor = Object.freeze({
  run: (context: RunContext, work: unknown) => (work as JobHandler)(context)
})
