import type { Logger } from '../../types/logger.js'
import { isThenable } from '../base/check.js'
import { show } from '../base/show.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** Whether a level is on. All are for a logger that does not say which. This allocates nothing. */
export function isEnabled(log: Logger, level: LogLevel): boolean {
  try {
    if (log.level === 'silent') return false
    const pino = log as { isLevelEnabled?: (level: string) => boolean }
    if (typeof pino.isLevelEnabled === 'function') return pino.isLevelEnabled(level)
    // As Fastify's without `logger`: one function that does nothing, for all levels.
    if (log.level === undefined && log[level] === log.fatal) return false
    return LEVELS.indexOf(level) >= LEVELS.indexOf(log.level)
  } catch {
    return false
  }
}

/** A logger that says nothing. */
export const silentLogger: Logger = Object.freeze({
  level: 'silent',
  fatal() {},
  error() {},
  warn() {},
  info() {},
  debug() {},
  trace() {},
  silent() {},
  child: () => silentLogger
}) as unknown as Logger

/**
 * Logs, and never throws: neither a broken logger nor an error whose getters throw can stop a run or the release of a
 * lock.
 */
export function logSafely(log: Logger, level: LogLevel, fields: Record<string, unknown>, message: string): void {
  try {
    const result: unknown = log[level](fields, message)
    if (isThenable(result)) Promise.resolve(result).catch(() => {})
  } catch {
    try {
      log[level]({ ...fields, err: show(fields.err) }, message)
    } catch {
      // There is nobody left to tell.
    }
  }
}
