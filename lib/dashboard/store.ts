// What the whole page knows of the fleet, as signals.
import { batch, computed, type Signal, signal } from '@preact/signals'
import type { AdminAction, AdminCounts, AdminFleet, AdminJob, AdminStore } from '../../types/admin.js'
import { ApiError } from './api.js'
import { mergeTicks, percentiles } from './ticks.js'

/** From what age on, in seconds, what is shown is told as of its time. */
export const STALE = 5

/** The fleet, and who reads; `null` until it is known. */
export const fleet = signal<AdminFleet | null>(null)
/** How many jobs there are of each state. */
export const counts = signal<AdminCounts | null>(null)
/** All groups there are. */
export const groups = signal<readonly string[]>([])
/** The store, as it was last told. */
export const store = signal<AdminStore | null>(null)
/** How many replicas there are, and how many take ticks. */
export const replicas = signal<{ readonly all: number; readonly takeTicks: number } | null>(null)
/** Why nothing may be seen; `null` where it may. */
export const refusal = signal<'forbidden' | 'signed_out' | null>(null)
/** The connection that keeps the page up to date. `heardAt` and `retryAt` are by the clock of `performance`. */
export const connection = signal<{ readonly heardAt: number; readonly retryAt: number | null }>({
  heardAt: 0,
  retryAt: null
})
/** Counts up whenever all that is shown is to be read anew. */
export const epoch = signal(0)
/** What was done last, for the status line. */
export const said = signal<string | null>(null)
/** Of the jobs that are shown, what is known. */
const jobs = new Map<string, Signal<AdminJob>>()
/** Counts up when a job that is not shown has changed its place. */
export const moved = signal(0)

export const isAway = computed(() => store.value !== null && !store.value.isUp)
export const title = computed(() => fleet.value?.app.title || 'Scheduler')
/** Whether nothing may be changed at all. */
export const isReadOnly = computed(() => fleet.value !== null && fleet.value.you.can.length === 0)

/** Why an action is off; `null` where it is not. */
export function whyOff(action: AdminAction): string | null {
  if (isAway.value) return 'Nothing can be changed while Redis is away.'
  if (fleet.value === null) return 'It is not known yet what you may do.'
  if (isReadOnly.value) return 'You may look, not act.'
  return fleet.value.you.can.includes(action) ? null : 'You may not do this.'
}

/** The signal of a job that was read before. */
export function jobSignal(id: string): Signal<AdminJob> | undefined {
  return jobs.get(id)
}

/** Takes note of a job as an answer has it. */
export function putJob(job: AdminJob): Signal<AdminJob> {
  const known = jobs.get(job.id)
  if (known === undefined) {
    const made = signal(withPercentiles(job))
    jobs.set(job.id, made)
    return made
  }
  known.value = withPercentiles(job)
  return known
}

/** Forgets the jobs that are not shown any more. */
export function keepJobs(shown: ReadonlySet<string>): void {
  for (const id of jobs.keys()) if (!shown.has(id)) jobs.delete(id)
}

const withPercentiles = (job: AdminJob): AdminJob => ({ ...job, ...percentiles(job.ticks) })

/** Takes note of jobs as the stream has them: their newest ticks alone. */
export function mergeJobs(changed: readonly AdminJob[], removed: readonly string[]): void {
  let hasMoved = removed.length > 0
  batch(() => {
    for (const job of changed) {
      const known = jobs.get(job.id)
      if (known === undefined) {
        hasMoved = true
        continue
      }
      const before = known.peek()
      if (before.rank !== job.rank || before.state !== job.state || before.group !== job.group) hasMoved = true
      known.value = withPercentiles({ ...job, ticks: mergeTicks(before.ticks, job.ticks).slice(-2 * 60) })
    }
    if (hasMoved) moved.value++
  })
}

/** Takes note of why a request failed, where that is about the whole page. */
export function noteRefusal(error: unknown): void {
  if (!(error instanceof ApiError)) return
  if (error.status === 401) refusal.value = 'signed_out'
  if (error.status === 403) refusal.value = 'forbidden'
}
