// What the page of a job shows beside what its row does.
import { signal } from '@preact/signals'
import type { AdminChange, AdminJobDetail, AdminRuns } from '../../types/admin.js'
import type { HistoryEntry } from '../../types/history.js'
import { ApiError, get } from './api.js'
import { Loader } from './loader.js'
import { route } from './route.js'
import { putJob } from './store.js'

/** How many entries of the history are read at once. */
const ENTRIES = 100

/** How long changes of a job are gathered before it is read again, in milliseconds. */
export const GATHERED = 1000

/** What is known of a job's history. */
export interface History {
  readonly job: string
  readonly entries: readonly HistoryEntry[]
  readonly changes: readonly AdminChange[]
  readonly next: number | null
  readonly kept: AdminRuns['kept']
}

export const detail = signal<AdminJobDetail | null>(null)
export const past = signal<History | null>(null)
/** Whether there is no such job. */
export const isUnknown = signal(false)
/** Whether older entries are being read; or why they could not be. */
export const older = signal<'loading' | 'failed' | null>(null)

/** Reads the job of the route. */
export const details = new Loader(async (stop) => {
  const { id } = route.peek()
  try {
    const answer = await get<AdminJobDetail>('job', { id }, stop)
    if (stop.aborted) return
    putJob(answer.job)
    detail.value = answer
    isUnknown.value = false
  } catch (error) {
    if (error instanceof ApiError && error.status === 404 && !stop.aborted) isUnknown.value = true
    throw error
  }
})

/** Reads the newest part of its history; what is older stays. */
export const history = new Loader(async (stop) => {
  const { id } = route.peek()
  const answer = await get<AdminRuns>('runs', { job: id, limit: ENTRIES }, stop)
  if (stop.aborted) return
  const before = past.peek()
  past.value = before?.job === id ? joined(before, answer) : of(answer)
})

const of = ({ job, entries, changes, next, kept }: AdminRuns): History => ({ job, entries, changes, next, kept })

const timeOf = (entry: HistoryEntry): number => (entry.kind === 'run' ? entry.scheduledTime : entry.first)

/** The newest part, with those older entries that had been read already. */
function joined(before: History, answer: AdminRuns): History {
  const end = answer.next
  if (end === null) return of(answer)
  const rest = before.entries.filter((entry) => timeOf(entry) < end)
  if (rest.length === 0) return of(answer)
  return {
    ...of(answer),
    entries: [...answer.entries, ...rest],
    changes: withOlder(answer.changes, before.changes),
    next: before.next
  }
}

function withOlder(changes: readonly AdminChange[], more: readonly AdminChange[]): readonly AdminChange[] {
  const end = changes.at(-1)?.at ?? Number.POSITIVE_INFINITY
  return [...changes, ...more.filter(({ at }) => at < end)]
}

/** Reads what comes before the oldest entry. */
export async function readOlder(): Promise<void> {
  const known = past.peek()
  if (known === null || known.next === null || older.peek() === 'loading') return
  older.value = 'loading'
  try {
    const answer = await get<AdminRuns>('runs', { job: known.job, limit: ENTRIES, before: known.next })
    const now = past.peek()
    older.value = null
    if (now === null || now.job !== answer.job) return
    const entries = [...now.entries, ...answer.entries]
    past.value = { ...now, entries, changes: withOlder(now.changes, answer.changes), next: answer.next }
  } catch {
    older.value = 'failed'
  }
}
