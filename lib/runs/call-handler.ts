import type { AttemptTrace } from '../../types/traces.js'
import { isThenable } from '../base/check.js'
import { attemptChannel, RUN_CLOCK } from '../observability/traces.js'
import type { ActiveRun } from './active-run.js'
import { HandlerContext } from './handler-context.js'

/**
 * Has a run's handler called by the executor that its job has for it. It is called as a function of the run (`this`), within
 * the async context of the attempt, so that no function is made for it.
 *
 * @returns what the handler returns; a promise when that is thenable, of whichever realm
 */
export function callHandler(this: ActiveRun): unknown {
  const result = attemptChannel.hasSubscribers ? callTraced(this) : callNow(this)
  return isThenable(result) ? Promise.resolve(result) : result
}

/** Calls a job's `when`, as `callHandler` does the handler. */
export function callCondition(this: ActiveRun): unknown {
  const answer = this.job.condition?.(new HandlerContext(this))
  return isThenable(answer) ? Promise.resolve(answer) : answer
}

function callNow(active: ActiveRun): unknown {
  const { executor, work } = active.job
  return executor.run(new HandlerContext(active), work)
}

function callTraced(active: ActiveRun): unknown {
  const { job, run, givenClock } = active
  const message: AttemptTrace & { readonly [RUN_CLOCK]: unknown } = {
    job: job.view,
    run,
    attempt: run.attempt,
    [RUN_CLOCK]: givenClock
  }
  return attemptChannel.tracePromise(async () => callNow(active), message)
}
