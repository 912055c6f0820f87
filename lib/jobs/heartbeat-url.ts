import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'

/** The longest URL. */
const MAX_URL = 500

/** What a URL is told: that a run begins, or how it has ended. */
export type PingSignal = 'start' | 'success' | 'fail'

/**
 * Refuses what is no URL to be pinged. It is a secret, as whoever knows it can ping it: the error shows its origin at most.
 *
 * @throws OptionInvalidError
 */
export function checkHeartbeat(value: unknown): asserts value is string {
  if (typeof value === 'string' && value.length <= MAX_URL && !/[\s\p{Cc}#]/u.test(value)) {
    if (/^https?:$/.test(parsed(value)?.protocol ?? '')) return
  }
  throw new OptionInvalidError(
    'heartbeat',
    `an http or https URL of at most ${MAX_URL} characters, without spaces or #`,
    showHeartbeat(value)
  )
}

/** A value that may be a heartbeat's URL as text for an error's message: what is secret of it is left out. */
export function showHeartbeat(value: unknown): string {
  if (typeof value !== 'string') return typeof value === 'object' && value !== null ? 'an object' : show(value)
  if (value === '') return show(value)
  const url = parsed(value)
  const where = url === null || url.host === '' ? '' : ` that begins with ${url.protocol}//${url.host}`
  return `a string of ${value.length} characters${where}`
}

/** Where a heartbeat goes, without what is secret of it. */
export function originOf(heartbeat: string): string {
  return new URL(heartbeat).origin
}

/**
 * The URL for a signal, as healthchecks.io has it: `/start` and `/fail` at the end of the path, before the query.
 *
 * @param runUuid the same for all signals of a run, by which what has begun is told from what has ended
 * @see https://healthchecks.io/docs/http_api/
 */
export function signalUrl(heartbeat: string, signal: PingSignal, runUuid: string): URL {
  const url = new URL(heartbeat)
  if (signal !== 'success') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${signal}`
  url.searchParams.set('rid', runUuid)
  return url
}

function parsed(value: string): URL | null {
  return URL.canParse(value) ? new URL(value) : null
}
