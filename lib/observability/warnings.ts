import type { Logger } from '../../types/logger.js'
import { SECOND } from '../base/duration.js'
import { otherProcessZone } from '../triggers/index.js'
import { logSafely } from './log.js'

/** How many different warnings are given about a store. */
const MAX_STORE_WARNINGS = 20

/** What warnings at the start are about. */
export interface Setup {
  /** Where replicas meet. */
  readonly kind: 'memory' | 'redis'
  /** Whether the app has a name in Redis, which it needs with Redis alone. */
  readonly isPrefixGiven: boolean
  /** The time zone of triggers that do not say theirs. */
  readonly timezone: string
  readonly isTimezoneGiven: boolean
  /** The fleet's time. */
  readonly now: number
}

/**
 * What operators and authors should put right: settings, stores and clocks. It is for the log alone, and what lasts is said once.
 * Of what happens to jobs and runs the journal is told.
 */
export class Warnings {
  readonly #log: Logger
  readonly #storeWarnings = new Set<string>()
  /** The intervals that were warned of: whole numbers below 1,000. */
  readonly #bareIntervals = new Set<number>()
  #isSetupTold = false
  #isSkewTold = false

  constructor(log: Logger) {
    this.#log = log
  }

  /** Ticks begin. */
  onStart({ kind, isPrefixGiven, timezone, isTimezoneGiven, now }: Setup): void {
    if (this.#isSetupTold) return
    this.#isSetupTold = true
    if (kind === 'memory') {
      const level = process.env.NODE_ENV === 'production' || isPrefixGiven ? 'warn' : 'info'
      // Such as an `app.redis` that was read before its plugin was loaded.
      const hint = isPrefixGiven ? '`prefix` is given, and `redis` is undefined' : 'set `redis` to share them'
      const message = `jobs are coordinated in memory: every replica runs every tick; ${hint}`
      logSafely(this.#log, level, {}, message)
    }
    const processTimezone = otherProcessZone(timezone, now)
    if (processTimezone === null) return
    // Other schedulers read expressions in the zone of the process.
    const hint = isTimezoneGiven ? '' : ': set `timezone` to have them in another'
    const message = `triggers without a time zone are in ${timezone}, and this process is in ${processTimezone}${hint}`
    logSafely(this.#log, isTimezoneGiven ? 'info' : 'warn', { timezone, processTimezone }, message)
  }

  /** What `redact` has been called with is left out of the history. */
  redactFailed(err: unknown): void {
    logSafely(this.#log, 'warn', { err }, '`history.redact` failed: the texts that it is called with are left out')
  }

  /** The store has not answered for so long that some of what became of ticks was not told. */
  historyLeftOut(entries: number): void {
    logSafely(this.#log, 'warn', { entries }, 'the history lacks ticks without a run, as Redis did not answer for long')
  }

  /** What a job's `heartbeat` says to its pings is no success. The URL is a secret: only its origin is logged. */
  heartbeatRefused(jobId: string, origin: string, status: number): void {
    const what = `${origin} refuses the heartbeat of the job '${jobId}' with status ${status}: is its URL right?`
    logSafely(this.#log, 'warn', { jobId, origin, status }, what)
  }

  /** Pings have had no answer, though they were tried again. */
  heartbeatUnanswered(jobId: string, origin: string, reason: string): void {
    const what = `heartbeats do not reach ${origin}: whoever watches it may hear of no run`
    logSafely(this.#log, 'warn', { jobId, origin, reason }, what)
  }

  /** After one of these two. */
  heartbeatTakenAgain(jobId: string, origin: string): void {
    logSafely(this.#log, 'info', { jobId, origin }, `heartbeats reach ${origin} again`)
  }

  /** More pings wait than are kept. */
  heartbeatsLeftOut(): void {
    logSafely(this.#log, 'warn', {}, 'heartbeats are left out, as there are more than can be sent: the oldest first')
  }

  /** This process ends. */
  heartbeatsUnsent(count: number): void {
    logSafely(this.#log, 'warn', { heartbeats: count }, 'closing does not wait for the last heartbeats')
  }

  /** An interval was given as a number so small that seconds may be meant. */
  bareInterval(jobId: string, interval: number): void {
    if (this.#bareIntervals.has(interval)) return
    this.#bareIntervals.add(interval)
    const message = `the interval of the job '${jobId}' is ${interval} ms, as numbers are milliseconds: write '${interval}s' if seconds are meant, else '${interval}ms'`
    logSafely(this.#log, 'warn', { jobId, interval }, message)
  }

  /** Something about the store endangers claims and locks. */
  storeUnsafe(reason: string): void {
    if (this.#storeWarnings.has(reason) || this.#storeWarnings.size >= MAX_STORE_WARNINGS) return
    this.#storeWarnings.add(reason)
    logSafely(this.#log, 'warn', {}, reason)
  }

  /** Something has happened to the store; said each time. */
  storeNotice(level: 'info' | 'warn', message: string): void {
    logSafely(this.#log, level, {}, message)
  }

  /** This machine's clock differs from that of Redis. @param skew in milliseconds */
  clockSkewed(skew: number): void {
    if (this.#isSkewTold) return
    this.#isSkewTold = true
    logSafely(this.#log, 'warn', { skew }, `this machine's clock is ${skew} ms off Redis' clock, by which jobs are run`)
  }

  /** In memory: the clock was set back, and jobs wait until it has caught up. @param step in milliseconds */
  clockSetBack(until: number, step: number): void {
    const message = `the clock was set back by ${inSeconds(step)}: what was due until ${new Date(until).toISOString()} has been and is not due again, jobs go on then`
    logSafely(this.#log, 'warn', { step: -step }, message)
  }

  /** In memory: the clock was set back so far that it must have been wrong before. @param step in milliseconds */
  clockCorrected(step: number): void {
    const message = `the clock was set back by ${inSeconds(step)}, which is a correction: jobs go on by it at once`
    logSafely(this.#log, 'warn', { step: -step }, message)
  }

  /** Ticks up to a time of the future are taken. @param wait how long until then, in milliseconds */
  ticksTakenAhead(until: number, wait: number): void {
    const when = new Date(until).toISOString()
    const message = `Redis' clock has gone back: jobs have no ticks until ${when}, as those are taken`
    logSafely(this.#log, 'warn', { until: when, wait }, message)
  }
}

function inSeconds(ms: number): string {
  return `${Math.round(ms / SECOND)} s`
}
