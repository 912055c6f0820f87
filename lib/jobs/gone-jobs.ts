import { isFromCompletion } from '../triggers/index.js'
import type { JobRecord } from './job.js'

/** The most absences remembered of a job; the oldest are forgotten first. */
const MAX_ABSENCES = 8

/** The most jobs remembered; those that left first are forgotten first. */
const MAX_GONE = 10_000

/** What was known of a job when it left. */
interface Gone extends Pick<JobRecord, 'absences' | 'accountedUntil'> {
  readonly from: number
  readonly firstPresentSince: number
}

/**
 * Remembers jobs that were removed from this replica or given another trigger. When one comes back, the ticks of its
 * absence are not caught up on, but those due before it left are still accounted for.
 */
export class GoneJobs {
  readonly #gone = new Map<string, Gone>()

  /**
   * Remembers a job that leaves.
   *
   * @param now the time by which ticks are due
   */
  leave(job: JobRecord, now: number): void {
    const { isOnce, trigger, presentSince, absences, accountedUntil } = job
    if (isOnce || isFromCompletion(trigger) || !Number.isFinite(presentSince)) return
    const key = keyOf(job)
    // The store may have forgotten the job's claims by the time it comes back, so its last taken tick is remembered
    // here.
    const firstPresentSince = Math.max(job.firstPresentSince ?? presentSince, job.takenUntil)
    this.#gone.delete(key)
    this.#gone.set(key, { from: now, absences, accountedUntil, firstPresentSince })
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.keys().next().value as string)
  }

  /** Forgets all jobs, as the clock by which their times were noted was wrong. */
  clear(): void {
    this.#gone.clear()
  }

  /** Resets what a job that has begun knows of its ticks, or restores it if the job was here before. */
  enter(job: JobRecord): void {
    job.forget()
    const gone = this.#gone.size === 0 ? undefined : this.#gone.get(keyOf(job))
    if (gone === undefined) return
    this.#gone.delete(keyOf(job))
    const absence = { from: gone.from, until: Math.floor(job.presentSince) }
    job.remember(gone.firstPresentSince, gone.accountedUntil, [...gone.absences, absence].slice(-MAX_ABSENCES))
  }
}

function keyOf({ id, trigger }: JobRecord): string {
  return `${id}\n${trigger.key}`
}
