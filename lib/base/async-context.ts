import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../../types/clock.js'

/** Made when this module is loaded, in the context of no request and no run. */
const own = new AsyncResource('Scheduler')

/**
 * Calls a function of the scheduler's own outside of its caller's async context, so that nothing that the function arms, sends
 * or starts inherits that. Functions of users are called by `isolated`, or within their run.
 */
export function detached<Value>(fn: () => Value): Value {
  return own.runInAsyncScope(fn)
}

/** Calls a user's function in no async context. A context that it enters (`AsyncLocalStorage.enterWith`) ends with it. */
export function isolated<Value>(fn: () => Value): Value {
  // A resource of its own, as a context that is entered stays with the resource.
  return detached(() => new AsyncResource('SchedulerListener')).runInAsyncScope(fn)
}

/** A clock whose timers and callbacks do not inherit the async context of whoever sets them. */
export function detachedClock(clock: Clock): Clock {
  return Object.freeze({
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimeout: (callback: () => void, delay: number) => {
      return detached(() => clock.setTimeout(() => detached(callback), delay))
    },
    setImmediate: (callback: () => void) => detached(() => clock.setImmediate(() => detached(callback)))
  })
}

/** An object whose methods are called in no async context. */
export function detachedMethods<Methods extends object>(methods: Methods): Methods {
  const wrapped = Object.entries(methods).map(([name, method]) => {
    return [name, (...args: unknown[]) => detached(() => (method as (...args: unknown[]) => unknown)(...args))]
  })
  return Object.fromEntries(wrapped) as Methods
}
