import type { FastifyBaseLogger } from 'fastify'
import type { ActiveRun, RunEnd } from '../execution/active-run.js'
import { show } from '../show.js'
import { isEnabled, type LogLevel, logSafely } from './log.js'

/**
 * What people on call want to know, one line each. The fields' names stay as they are: docs/log.md lists them.
 *
 * What is told of each run is made only where its level is on.
 */
export class Logbook {
  readonly #log: FastifyBaseLogger

  constructor(log: FastifyBaseLogger) {
    this.#log = log
  }

  /** A run has ended with outcome `success`. */
  runSucceeded(active: ActiveRun): void {
    if (isEnabled(this.#log, 'debug')) this.#write('debug', fieldsOf(active, 'success'), 'a run has ended')
  }

  /** A run has any other outcome. @param goesOn whether its handler has not ended */
  runFailed(active: ActiveRun, { outcome, error }: RunEnd, goesOn: boolean): void {
    const fields = { err: error ?? show(error), ...fieldsOf(active, outcome), ...(goesOn ? { goesOn } : {}) }
    const more = goesOn ? ': its handler goes on, and it keeps its lock until that has ended' : ''
    this.#write('error', fields, `a run failed${more}`)
  }

  /** The handler of a run that was told to have failed has ended. @param error what it has thrown */
  runEndedLate(active: ActiveRun, error: unknown): void {
    const fields = { ...(error === undefined ? {} : { err: error }), ...fieldsOf(active, active.run.outcome) }
    this.#write('info', fields, 'the handler of a run that had failed has ended')
  }

  /** A handler has failed, and is called again. @param delay in milliseconds */
  attemptFailed({ run }: ActiveRun, error: unknown, delay: number): void {
    const { jobId, id: runId, attempt } = run
    const fields = { err: error ?? show(error), jobId, runId, attempt, delay }
    this.#write('warn', fields, `an attempt failed, the next begins in ${delay} ms`)
  }

  lockLost({ run }: ActiveRun, reason: string): void {
    this.#write('warn', { jobId: run.jobId, runId: run.id, reason }, 'a run has lost its lock')
  }

  #write(level: LogLevel, fields: Record<string, unknown>, message: string): void {
    logSafely(this.#log, level, fields, message)
  }
}

function fieldsOf({ run, duration }: ActiveRun, outcome: string | null): Record<string, unknown> {
  const { jobId, id: runId, trigger, attempt } = run
  const scheduledTime = new Date(run.scheduledTime).toISOString()
  return { jobId, runId, outcome, trigger, attempt, scheduledTime, duration: Math.round(duration) }
}
