import type { RunBody } from '../../types/plugin.js'
import type { Run, RunOutcome } from '../../types/run.js'
import { show } from '../base/show.js'

/** What a route answers with that waited for a run. */
export const STATUS_OF: Readonly<Record<RunOutcome, number>> = Object.freeze({
  success: 200,
  error: 500,
  timeout: 504,
  cancelled: 503,
  lock_lost: 500,
  abandoned: 503
})

/** A run as routes show it, with its result or why there is none. */
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

/** The run was a success also where what its handler returned cannot be sent. */
function ofSuccess({ result }: Run): Pick<RunBody, 'result' | 'message'> {
  try {
    return JSON.stringify(result) === undefined ? {} : { result }
  } catch (error) {
    return { message: `The result cannot be sent as JSON: ${messageOf(error, 'error')}` }
  }
}

/** What was thrown may be anything, and of any realm. */
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
