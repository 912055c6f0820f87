import type { Executor } from '../../types/executor.js'

/** A handler that can be run. */
export interface ResolvedHandler {
  readonly executor: Executor
  /** What the executor is to run: the job's function, or what else its kind of executor takes. */
  readonly work: unknown
}

/**
 * Finds out what runs the `handler` of a job's options.
 *
 * @throws OptionInvalidError when nothing does
 */
export type HandlerResolver = (handler: unknown) => ResolvedHandler
