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
  const context = new HandlerContext(this)
  const { executor, work } = this.job
  const result = channel.hasSubscribers ? callTraced(this, context) : executor.run(context, work)
  return isThenable(result) ? Promise.resolve(result) : result
}

function callTraced({ job, run, givenClock }: ActiveRun, context: HandlerContext): unknown {
  const { executor, work } = job
  const message = { job: job.view, run, [RUN_CLOCK]: givenClock }
  return channel.tracePromise(async () => executor.run(context, work), message)
}
