import type { HistoryRedact, RedactKind } from '../../../types/history.js'
import { isThenable } from '../../base/check.js'
import { show } from '../../base/show.js'
import { OptionInvalidError } from '../../errors.js'

const FAILED = '[redact failed]'

/**
 * A user's `redact` that never throws. Where it throws, or returns anything but a string, the text is `[redact failed]`,
 * and the first time `warn` is called with the error. Without a `redact` texts are as they are.
 */
export function createRedactor(redact: HistoryRedact | undefined, warn: (error: unknown) => void): HistoryRedact {
  if (redact === undefined) return (text) => text
  let isTold = false
  const fail = (error: unknown): string => {
    if (!isTold) {
      isTold = true
      tell(warn, error)
    }
    return FAILED
  }
  return (text: string, kind: RedactKind): string => {
    try {
      const redacted: unknown = redact(text, kind)
      if (typeof redacted === 'string') return redacted
      // An `async` one that rejects must not end the process.
      if (isThenable(redacted)) Promise.resolve(redacted).catch(() => {})
      throw new OptionInvalidError('history.redact', 'a function that returns a string', show(redacted))
    } catch (error) {
      return fail(error)
    }
  }
}

function tell(warn: (error: unknown) => void, error: unknown): void {
  try {
    warn(error)
  } catch {
    // There is nobody left to tell.
  }
}
