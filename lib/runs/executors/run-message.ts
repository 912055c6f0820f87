import type { RunMessage } from '../../../types/executor.js'
import type { RunContext } from '../../../types/run.js'

/** A context as a value, for a handler that runs elsewhere. */
export function toRunMessage({ job, run, data, fencingToken }: RunContext): RunMessage {
  const { id, jobId, scheduledTime, startedAt, attempt, trigger, by, replicaId } = run
  return {
    job: { id: job.id, name: job.name },
    run: { id, jobId, scheduledTime, startedAt, attempt, trigger, by, replicaId, fencingToken: run.fencingToken },
    data,
    fencingToken
  }
}
