import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JobRecord } from '../../jobs/job.js'
import type { JobRegistry } from '../../jobs/registry.js'
import type { CountedStats } from '../../jobs/stats.js'
import { type FleetJob, type FleetNumbers, NOTHING } from './fleet-numbers.js'

export type Labels = Readonly<Record<string, string | number>>

/** What a series is about: one job, or all jobs together. */
export interface Subject {
  readonly labels: Labels
  readonly stats: CountedStats
  /** How many jobs are paused. */
  readonly paused: number
  /** Since when a job is paused, the earliest of those, in milliseconds since the Unix epoch; `null` where nobody has paused one. */
  readonly pausedSince: number | null
  /** The earliest next tick, in milliseconds since the Unix epoch, or `null` for none. */
  readonly nextRun: number | null
  /** How it stands in the whole fleet. */
  inFleet(fleet: FleetNumbers): FleetJob
}

/** With up to this many jobs all metrics are written in one turn of the event loop, which takes some milliseconds. */
const JOBS_OF_ONE_TURN = 50

/** One scrape: the jobs that all of its metrics show, and the turns of the event loop in which it is written. */
export class Scrape {
  readonly subjects: readonly Subject[]
  #asked = 0

  /** @param total all jobs' numbers, where only they are shown */
  constructor(jobs: JobRegistry, total: CountedStats | null) {
    this.subjects = total === null ? Array.from(jobs.values(), (job) => new OneJob(job)) : [new AllJobs(jobs, total)]
  }

  /**
   * Resolves when it is the next metric's turn. With many jobs each metric has a turn of the event loop of its own, in which the
   * registry writes it, so that runs and requests come in between. These turns are the process' own: a scrape ends whatever
   * clock the scheduler has.
   */
  async turn(): Promise<void> {
    if (this.subjects.length <= JOBS_OF_ONE_TURN) return
    for (let turns = this.#asked++; turns > 0; turns--) await nextTurn()
  }
}

class OneJob implements Subject {
  readonly labels: Labels
  readonly stats: CountedStats
  readonly #job: JobRecord

  constructor(job: JobRecord) {
    this.labels = { job_id: job.id, job_name: job.definition.name }
    this.stats = job.stats as CountedStats
    this.#job = job
  }

  get paused(): number {
    return this.#job.paused ? 1 : 0
  }

  get pausedSince(): number | null {
    return pausedSince(this.#job)
  }

  get nextRun(): number | null {
    return this.#job.view.nextRun
  }

  inFleet(fleet: FleetNumbers): FleetJob {
    return fleet.of(this.#job)
  }
}

class AllJobs implements Subject {
  readonly labels: Labels = {}
  readonly stats: CountedStats
  readonly #jobs: JobRegistry

  constructor(jobs: JobRegistry, total: CountedStats) {
    this.stats = total
    this.#jobs = jobs
  }

  get paused(): number {
    let paused = 0
    for (const job of this.#jobs.values()) if (job.paused) paused++
    return paused
  }

  get pausedSince(): number | null {
    let earliest: number | null = null
    for (const job of this.#jobs.values()) earliest = earlier(earliest, pausedSince(job))
    return earliest
  }

  get nextRun(): number | null {
    let earliest: number | null = null
    for (const job of this.#jobs.values()) earliest = earlier(earliest, job.view.nextRun)
    return earliest
  }

  /** The job that is due first, the last success of any, the most failures in a row, and the oldest run, with what is usual of its job. */
  inFleet(fleet: FleetNumbers): FleetJob {
    let all: FleetJob = { ...NOTHING, lastSuccess: this.stats.lastSuccess || null }
    for (const job of this.#jobs.values()) {
      const each = fleet.of(job)
      const oldestStart = earlier(all.oldestStart, each.oldestStart)
      all = {
        expectedSuccess: earlier(all.expectedSuccess, each.expectedSuccess),
        lastSuccess: Math.max(all.lastSuccess ?? 0, each.lastSuccess ?? 0) || null,
        failures: Math.max(all.failures, each.failures),
        oldestStart,
        usualDuration: oldestStart === all.oldestStart ? all.usualDuration : each.usualDuration
      }
    }
    return all
  }
}

/** Since when the pauses of a job are in force; its code says no time. */
function pausedSince({ pauses }: JobRecord): number | null {
  return pauses.reduce<number | null>((earliest, { at }) => earlier(earliest, at), null)
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}
