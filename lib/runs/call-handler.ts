import { tracingChannel } from 'node:diagnostics_channel'
import { isThenable } from '../base/check.js'
import type { ActiveRun } from './active-run.js'
import { HandlerContext } from './handler-context.js'

/** Wraps each call of a handler, so that OpenTelemetry and its like can hook in. The message is `{ job, run }`. */
export const RUN_CHANNEL = 'fastify-redlock-scheduler:run'

/** Where the message has its scheduler's clock, by which the testing kit knows whose run it is. */
export const RUN_CLOCK = Symbol.for('fastify-redlock-scheduler:clock')

const channel = tracingChannel(RUN_CHANNEL)

/**
 * Has a run's handler called by the executor that its job has for it. It is called as a function of the run (`this`), within
 * the async context of the attempt, so that no function is made for it.
 *
 * @returns what the handler returns; a promise when that is thenable, of whichever realm
 */
export function callHandler(this: ActiveRun): unknown {
  const result = channel.hasSubscribers ? callTraced(this) : callNow(this)
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
  const message = { job: job.view, run, [RUN_CLOCK]: givenClock }
  return channel.tracePromise(async () => callNow(active), message)
}
