import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Logger } from '../../types/logger.js'
import type { SkipReason } from '../../types/run.js'
import { SECOND } from '../base/duration.js'
import { logSafely } from './log.js'

/** How long missed ticks are collected before they are logged together. */
const COLLECT = SECOND

/** How many jobs are named in one line. */
const MAX_NAMED = 10

interface Group {
  readonly jobs: Set<string>
  missed: number
  first: number
  last: number
}

/**
 * Logs missed ticks: those of about a second in one line for each reason, as an outage makes all jobs miss ticks at once.
 */
export class MissedLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #groups = new Map<SkipReason, Group>()
  #timer: TimerHandle | null = null

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** `count` ticks of a job from `first` to `last` will have no run. */
  note(jobId: string, reason: SkipReason, first: number, last = first, count = 1): void {
    const group = this.#groups.get(reason)
    if (group === undefined) {
      this.#groups.set(reason, { jobs: new Set([jobId]), missed: count, first, last })
    } else {
      group.jobs.add(jobId)
      group.missed += count
      group.first = Math.min(group.first, first)
      group.last = Math.max(group.last, last)
    }
    this.#timer ??= this.#clock.setTimeout(() => this.flush(), COLLECT)
  }

  /** Logs at once what was collected. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = null
    for (const [reason, { jobs, missed, first, last }] of this.#groups) {
      const jobIds = [...jobs].slice(0, MAX_NAMED)
      const fields = {
        reason,
        missed,
        jobs: jobs.size,
        jobIds,
        first: new Date(first).toISOString(),
        last: new Date(last).toISOString()
      }
      const whose = jobs.size === 1 ? `the job '${jobIds[0]}'` : `${jobs.size} jobs`
      const message = `${missed} ${missed === 1 ? 'tick' : 'ticks'} of ${whose} missed (${reason})`
      logSafely(this.#log, 'warn', fields, message)
    }
    this.#groups.clear()
  }
}
