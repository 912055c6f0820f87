import type { Job } from '../../types/job.js'
import type { Logger } from '../../types/logger.js'
import type { Run, RunContext } from '../../types/run.js'
import type { ActiveRun } from './active-run.js'

/**
 * What a handler is called with. `log` and `signal` are made when they are first read, on the prototype: they are
 * there for destructuring, and a spread (`{ ...context }`) does not copy them.
 */
export class HandlerContext implements RunContext {
  readonly app: unknown
  readonly job: Job
  readonly run: Run
  readonly data: unknown
  readonly fencingToken: number | null
  readonly #active: ActiveRun
  #log: Logger | null = null
  #progress: RunContext['progress'] | null = null

  /** @throws what the job's schema throws for the run's data, which is then the error of this attempt */
  constructor(active: ActiveRun) {
    this.app = active.job.app
    this.job = active.job.view
    this.run = active.run
    this.data = active.job.schema === null ? active.data : active.job.parse(active.data)
    this.fencingToken = active.run.fencingToken
    this.#active = active
  }

  get log(): Logger {
    this.#log ??= this.#active.logger
    return this.#log
  }

  get progress(): RunContext['progress'] {
    this.#progress ??= (share, note) => this.#active.noteProgress(share, note)
    return this.#progress
  }

  get signal(): AbortSignal {
    return this.#active.signal
  }
}
