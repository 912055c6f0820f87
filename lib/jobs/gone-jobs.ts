import { isFromCompletion } from '../triggers/index.js'
import type { JobRecord } from './job.js'

/** The most absences remembered of a job; the oldest are forgotten first. */
const MAX_ABSENCES = 8

/** The most jobs remembered; those that left first are forgotten first. */
const MAX_GONE = 10_000

/** The most triggers remembered of a job; those that it lost first are forgotten first. */
const MAX_TRIGGERS = 8

/** What was known of a job when it left. */
interface Gone extends Pick<JobRecord, 'absences' | 'accountedUntil'> {
  readonly triggerKey: string
  readonly from: number
  readonly firstPresentSince: number
}

/**
 * Remembers jobs that were removed from this replica or given another trigger. When one comes back, the ticks of its
 * absence are not caught up on, but those due before it left are still accounted for.
 */
export class GoneJobs {
  /** By the job's id: what was known of it with each trigger that it had. */
  readonly #gone = new Map<string, Gone[]>()

  /**
   * Remembers a job that leaves.
   *
   * @param now the time by which ticks are due
   */
  leave(job: JobRecord, now: number): void {
    const { id, isOnce, trigger, presentSince, absences, accountedUntil } = job
    if (isOnce || isFromCompletion(trigger) || !Number.isFinite(presentSince)) return
    // The store may have forgotten the job's claims by the time it comes back, so its last taken tick is remembered
    // here.
    const firstPresentSince = Math.max(job.firstPresentSince ?? presentSince, job.takenUntil)
    const gone = { triggerKey: trigger.key, from: now, absences, accountedUntil, firstPresentSince }
    const others = this.#gone.get(id)
    if (others !== undefined) this.#gone.delete(id)
    this.#gone.set(id, others === undefined ? [gone] : [...others, gone].slice(-MAX_TRIGGERS))
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.keys().next().value as string)
  }

  /** Forgets all jobs, as the clock by which their times were noted was wrong. */
  clear(): void {
    this.#gone.clear()
  }

  /**
   * Resets what a job that has begun knows of its ticks, or restores it if the job was here before.
   *
   * @param givenAt when the whole fleet was given its trigger; `null` where this replica alone has it so
   */
  enter(job: JobRecord, givenAt: number | null = null): void {
    job.forget()
    if (givenAt !== null) job.noteGiven(givenAt)
    const gone = this.#gone.size === 0 ? null : this.#take(job)
    if (gone === null) return
    const absence = { from: gone.from, until: Math.floor(job.knownSince) }
    job.remember(gone.firstPresentSince, gone.accountedUntil, [...gone.absences, absence].slice(-MAX_ABSENCES))
  }

  /** What is remembered of a job with its trigger; it is remembered no longer. */
  #take({ id, trigger }: JobRecord): Gone | null {
    const all = this.#gone.get(id)
    const gone = all?.find(({ triggerKey }) => triggerKey === trigger.key)
    if (all === undefined || gone === undefined) return null
    if (all.length === 1) this.#gone.delete(id)
    else all.splice(all.indexOf(gone), 1)
    return gone
  }
}
