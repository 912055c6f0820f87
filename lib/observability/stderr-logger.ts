import { inspect } from 'node:util'
import type { Logger } from '../../types/logger.js'

/**
 * Where nobody gives a logger: warnings and errors go to stderr, one line each and the stack of an error after it, so that no
 * failure is without a word.
 */
export function stderrLogger(bindings: Record<string, unknown> = {}): Logger {
  const write = (level: string) => (given: unknown, text?: unknown) => {
    const isError = given instanceof Error
    const isText = typeof given === 'string'
    const { err, ...fields } = { ...bindings, ...(isError ? { err: given } : isText ? {} : (given as object)) } as {
      err?: unknown
    }
    const message = String(isText ? given : (text ?? (isError ? given.message : '')))
    const rest = Object.keys(fields).length > 0 ? ` ${inspect(fields, { breakLength: Infinity, depth: 3 })}` : ''
    const error = err === undefined ? '' : `\n${inspect(err)}`
    process.stderr.write(`fastify-redlock-scheduler ${level}: ${message}${rest}${error}\n`)
  }
  const warn = write('warning')
  const error = write('error')
  const nothing = (): void => {}
  return Object.freeze({
    level: 'warn',
    fatal: error,
    error,
    warn,
    info: nothing,
    debug: nothing,
    trace: nothing,
    silent: nothing,
    child: (more: Record<string, unknown>) => stderrLogger({ ...bindings, ...more })
  }) as unknown as Logger
}
