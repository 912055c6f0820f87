import { isFromCompletion } from '../triggers/index.js'
import type { JobRecord } from './job.js'

/** How many times in which a job was not here are remembered of it, the last ones. */
const MAX_ABSENCES = 8

/** How many jobs are remembered that are not here, the last ones. */
const MAX_GONE = 10_000

/** How a job stood when it left. */
interface Gone extends Pick<JobRecord, 'absences' | 'accountedUntil'> {
  readonly from: number
  readonly firstPresentSince: number
}

/**
 * Jobs that were removed here, or have another trigger. When one comes back nothing is caught up on for the time between;
 * what was due before is accounted for all the same.
 */
export class GoneJobs {
  readonly #gone = new Map<string, Gone>()

  /** @param now the time by which ticks are due */
  leave(job: JobRecord, now: number): void {
    const { isOnce, trigger, presentSince, absences, accountedUntil } = job
    if (isOnce || isFromCompletion(trigger) || !Number.isFinite(presentSince)) return
    const key = keyOf(job)
    // By the time it comes back its claims may be forgotten.
    const firstPresentSince = Math.max(job.firstPresentSince ?? presentSince, job.takenUntil)
    this.#gone.delete(key)
    this.#gone.set(key, { from: now, absences, accountedUntil, firstPresentSince })
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.keys().next().value as string)
  }

  /** The times that were noted were wrong. */
  clear(): void {
    this.#gone.clear()
  }

  /** A job has begun, for the first time or again. */
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
