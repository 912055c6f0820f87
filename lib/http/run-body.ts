import type { QueuedRunBody, RunBody } from '../../types/plugin.js'
import type { QueuedRun, Run, RunOutcome } from '../../types/run.js'
import { show } from '../base/show.js'

/** The status with which a route answers that has waited for a run. */
export const STATUS_OF: Readonly<Record<RunOutcome, number>> = Object.freeze({
  success: 200,
  error: 500,
  timeout: 504,
  cancelled: 503,
  lock_lost: 500,
  abandoned: 503
})

/** What waits, in a route's response. */
export function toQueuedBody({ id, jobId, trigger, startedAt, outcome, scheduledTime }: QueuedRun): QueuedRunBody {
  return { id, jobId, trigger, startedAt, outcome, scheduledTime: toIso(scheduledTime) }
}

/** A run in a route's response, with its result or a message that says why there is none. */
export function toBody(run: Run): RunBody {
  const { id, jobId, attempt, trigger, replicaId, fencingToken, outcome, scheduledTime, startedAt, finishedAt } = run
  return {
    id,
    jobId,
    attempt,
    trigger,
    replicaId,
    fencingToken,
    outcome,
    scheduledTime: toIso(scheduledTime),
    startedAt: toIso(startedAt),
    finishedAt: finishedAt === null ? null : toIso(finishedAt),
    ...(outcome === 'success' ? ofSuccess(run) : outcome !== null && { message: messageOf(run.error, outcome) })
  }
}

/** The result of a successful run, or a message that it cannot be sent; that does not make the run a failure. */
function ofSuccess({ result }: Run): Pick<RunBody, 'result' | 'message'> {
  try {
    return JSON.stringify(result) === undefined ? {} : { result }
  } catch (error) {
    return { message: `The result cannot be sent as JSON: ${messageOf(error, 'error')}` }
  }
}

/** The message of a thrown value, which may be anything, from any realm. */
function messageOf(error: unknown, outcome: RunOutcome): string {
  try {
    const message = typeof error === 'object' && error !== null ? (error as { message?: unknown }).message : error
    if (typeof message === 'string' && message !== '') return message
  } catch {
    return show(error)
  }
  return error === undefined || typeof error === 'object' ? `The run ended with outcome ${outcome}` : show(error)
}

function toIso(time: number): string {
  return new Date(time).toISOString()
}
