import type { Clock } from '../../types/clock.js'
import { SECOND } from './duration.js'

/** How long one exchange with Redis may take: a Redis that hangs must not hang us. */
export const EXCHANGE_LIMIT = 2 * SECOND

/**
 * Waits for a promise no longer than `limit` milliseconds. A Redis that hangs answers nothing at all, and ioredis' own
 * retry settings do not end that wait.
 *
 * @throws an `Error` named `DeadlineError` when the time has passed, else what the promise rejects with
 */
export function withDeadline<Value>(promise: Promise<Value>, limit: number, clock: Clock): Promise<Value> {
  return new Promise((resolve, reject) => {
    let over = false
    let answered = false
    const timer = clock.setTimeout(() => {
      // After a turn of the event loop: where it was blocked, the answer may be there, and only not be read.
      clock.setImmediate(() => {
        if (answered) return
        over = true
        const error = new Error(`no answer within ${limit} ms`)
        error.name = 'DeadlineError'
        reject(error)
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
