import { AsyncResource } from 'node:async_hooks'
import type { RunTrace } from '../../types/traces.js'
import { tracedClaimOf } from '../observability/claim-traces.js'
import { runChannel } from '../observability/traces.js'
import type { ActiveRun } from './active-run.js'
import { Retries } from './retries.js'

/**
 * Traces a run that begins. Its attempts begin in what subscribers have bound to it; nothing of the scheduler's own does.
 */
export function traceRun(active: ActiveRun): void {
  const { job, run, held } = active
  const message: RunTrace = { job: job.view, run, claim: tracedClaimOf(held) }
  const whole = (): Promise<void> => {
    active.retries = new Retries(new AsyncResource('JobRun'))
    return new Promise((resolve, reject) => {
      active.onOutcome(() => {
        if (run.outcome === 'success') resolve()
        else reject(run.error)
      })
    })
  }
  const traced = active.runInAsyncScope(() => runChannel.tracePromise(whole, message)) as Promise<void>
  // The error is the run's, which is told of.
  traced.catch(() => {})
}
