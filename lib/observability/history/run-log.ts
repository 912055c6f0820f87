import type { Logger } from '../../../types/logger.js'
import { KeptLines } from './kept-lines.js'
import { teePino } from './tee-stream.js'
import { saysNothing, wrapLogger } from './wrapped-logger.js'

/** The logger of a run, and the last lines that were written through it or its children. */
export interface RunLog {
  readonly log: Logger

  /** As pino wrote them, without newlines, the oldest first, each cut at 1,000 characters. Of other loggers the messages. */
  lines(): string[]
}

/**
 * Makes a child of a logger that keeps the last lines it writes. Whatever the logger is, each call reaches it; where
 * its lines cannot be kept, there are none. Never throws.
 *
 * @param keep how many lines
 */
export function captureLog(parent: Logger, bindings: Record<string, unknown>, keep = 20): RunLog {
  const child = childOf(parent, bindings)
  if (keep < 1) return { log: child, lines: () => [] }
  const lines = new KeptLines(keep)
  return { log: keepLines(child, child === parent, lines), lines: () => lines.lines() }
}

function keepLines<Log extends object>(log: Log, isShared: boolean, lines: KeptLines): Log {
  // What is made from a function with methods could not be called.
  if (typeof log === 'function') return log
  const teed = attempt(() => teePino(log, isShared, lines))
  if (teed !== null) return teed
  if (attempt(() => saysNothing(log)) === true) return log
  return attempt(() => wrapLogger(log, lines, (child) => keepLines(child, false, lines))) ?? log
}

/** A logger whose `child` fails logs what a run tells it, without the run's bindings. */
function childOf(parent: Logger, bindings: Record<string, unknown>): Logger {
  const child = attempt(() => parent.child(bindings))
  return (typeof child === 'object' && child !== null) || typeof child === 'function' ? child : parent
}

function attempt<Result>(make: () => Result): Result | null {
  try {
    return make()
  } catch {
    return null
  }
}
