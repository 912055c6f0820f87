import { callLine } from './call-line.js'
import type { KeptLines } from './kept-lines.js'

/** The levels from the least important one, as pino and bunyan number them: from 10 in steps of 10. */
const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

type Method = (...args: unknown[]) => unknown

/** A part of any logger that may be there. */
interface AnyLogger {
  readonly [name: string]: unknown
  readonly level?: unknown
  readonly isLevelEnabled?: unknown
}

/** Whether a logger that is not pino's says nothing: as Fastify's without `logger`, one function for all levels. */
export function saysNothing(log: object): boolean {
  const { level, info, fatal } = log as AnyLogger
  return level === 'silent' || (level === undefined && typeof info === 'function' && info === fatal)
}

/**
 * A logger of any kind whose lines are kept as `callLine` makes them. Everything is read from and called on the logger
 * itself: its private members, its own `this` and what is set on it work as without this.
 *
 * @param wrapChild makes a child of it keep its lines too
 */
export function wrapLogger<Log extends object>(log: Log, lines: KeptLines, wrapChild: (child: object) => object): Log {
  const wrapped = new Map<string | symbol, { readonly value: unknown; readonly method: Method }>()
  // The target is no more than the prototype: a frozen logger as the target would allow no other methods than its own.
  const proxy: Log = new Proxy(Object.create(log), {
    get(_target, name) {
      const value: unknown = Reflect.get(log, name)
      if (typeof value !== 'function' || name === 'constructor') return value
      const known = wrapped.get(name)
      if (known?.value === value) return known.method
      const method = wrap(value as Method, name)
      wrapped.set(name, { value, method })
      return method
    },
    set: (_target, name, value) => Reflect.set(log, name, value)
  })
  const wrap = (value: Method, name: string | symbol): Method => {
    const level = typeof name === 'string' && LEVELS.includes(name) && name !== 'silent' ? name : null
    return (...args) => {
      if (level !== null) keep(level, args)
      const result = Reflect.apply(value, log, args)
      if (result === log) return proxy
      return name === 'child' && typeof result === 'object' && result !== null ? wrapChild(result) : result
    }
  }
  const keep = (level: string, args: unknown[]): void => {
    if (isWritten(log as AnyLogger, level)) lines.add(callLine(level, args))
  }
  return proxy
}

/** Whether a logger writes a level. One that does not say so does. */
function isWritten(log: AnyLogger, level: string): boolean {
  try {
    if (typeof log.isLevelEnabled === 'function') return log.isLevelEnabled(level) !== false
    // A method as bunyan has it, which is called without an argument.
    const least: unknown = typeof log.level === 'function' ? log.level() : log.level
    const own = LEVELS.indexOf(level)
    return typeof least === 'number' ? 10 * (own + 1) >= least : own >= LEVELS.indexOf(String(least))
  } catch {
    return true
  }
}
