import type { Executor } from '../../types/executor.js'

/** A handler, and the executor that runs it. */
export interface ResolvedHandler {
  readonly executor: Executor
  /** What the executor runs: the job's function, or the value that its kind of executor takes. */
  readonly work: unknown
}

/**
 * Finds the executor for the `handler` of a job's options.
 *
 * @throws OptionInvalidError when there is none
 */
export type HandlerResolver = (handler: unknown) => ResolvedHandler
