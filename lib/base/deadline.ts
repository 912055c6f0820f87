import type { Clock } from '../../types/clock.js'
import { SECOND } from './duration.js'

/** How long one exchange with Redis may take, so that a Redis that hangs does not hang the scheduler. */
export const EXCHANGE_LIMIT = 2 * SECOND

/**
 * Waits for a promise no longer than `limit` milliseconds. ioredis' own retry settings do not end the wait for a Redis that
 * hangs, as that answers nothing at all.
 *
 * @throws an `Error` named `DeadlineError` when the time has passed, else what the promise rejects with
 */
export function withDeadline<Value>(promise: Promise<Value>, limit: number, clock: Clock): Promise<Value> {
  return new Promise((resolve, reject) => {
    let over = false
    let answered = false
    const timer = clock.setTimeout(() => {
      // After a turn of the event loop: if the loop was blocked, the answer may have come and not been read yet.
      clock.setImmediate(() => {
        if (answered) return
        over = true
        reject(deadlineError(limit))
      })
    }, limit)
    promise.then(
      (value) => {
        if (over) return
        answered = true
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        if (over) return
        answered = true
        timer.cancel()
        reject(error)
      }
    )
  })
}

/** What an exchange that took longer than `limit` milliseconds rejects with. */
export function deadlineError(limit: number): Error {
  const error = new Error(`no answer within ${limit} ms`)
  error.name = 'DeadlineError'
  return error
}

/** Whether a promise is fulfilled by a time on the monotonic clock; answered at that time at the latest. */
export function isSettledBy(promise: Promise<void>, time: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve(false), Math.max(0, time - clock.monotonic()))
    void promise.then(() => {
      timer.cancel()
      resolve(true)
    })
  })
}
