// Lines of a log as people read them: those of pino as time, level and message, any other as it is.
import { hmsMillis } from './time.js'

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL'
}

/** What pino writes with each line, and what stands around the line anyway. */
const USUAL: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'jobId', 'runId', 'reqId', 'v'])

function parsed(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    // It was cut, or is no JSON at all.
    return null
  }
}

function timeOf(value: unknown): number {
  return typeof value === 'number' ? value : typeof value === 'string' ? Date.parse(value) : Number.NaN
}

/** A line of the log. */
export function logLine(line: string, zone: string): string {
  const fields = parsed(line)
  const time = timeOf(fields?.time)
  if (fields === null || Number.isNaN(time)) return line
  const level = typeof fields.level === 'string' ? fields.level.toUpperCase() : (LEVELS[Number(fields.level)] ?? '')
  const rest = Object.entries(fields).filter(([key]) => !USUAL.has(key))
  const message = typeof fields.msg === 'string' ? fields.msg : ''
  const more = rest.map(([key, value]) => `${key}=${shown(value)}`)
  return [hmsMillis(time, zone), level.padEnd(5), [message, ...more].filter((part) => part !== '').join(' ')].join(' ')
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string') {
    return value.message
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}
