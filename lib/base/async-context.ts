import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../../types/clock.js'

/** Made when this module is loaded, in the context of no request and no run. */
const own = new AsyncResource('Scheduler')

/**
 * Calls a function of ours outside of the async context in which somebody has called in: with it, whatever the function
 * arms, sends or starts. Functions of users are called by `isolated`, or within their run.
 */
export function detached<Value>(fn: () => Value): Value {
  return own.runInAsyncScope(fn)
}

/** Calls a function of a user's in no context; what it enters (`AsyncLocalStorage.enterWith`) ends with it. */
export function isolated<Value>(fn: () => Value): Value {
  // A resource of its own, as what is entered stays with the resource in which it was.
  return detached(() => new AsyncResource('SchedulerListener')).runInAsyncScope(fn)
}

/** A clock whose timers and callbacks have no context of who sets them. */
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

/** An object whose methods are called in no context. */
export function detachedMethods<Methods extends object>(methods: Methods): Methods {
  const wrapped = Object.entries(methods).map(([name, method]) => {
    return [name, (...args: unknown[]) => detached(() => (method as (...args: unknown[]) => unknown)(...args))]
  })
  return Object.fromEntries(wrapped) as Methods
}
