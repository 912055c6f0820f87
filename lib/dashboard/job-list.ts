// The jobs that match the filters, in pages: only those that are seen are read.
import { signal } from '@preact/signals'
import type { AdminJobs, AdminRank } from '../../types/admin.js'
import { get } from './api.js'
import { Loader } from './loader.js'
import { type Route, route } from './route.js'
import { counts, groups, keepJobs, putJob } from './store.js'

/** How many jobs a page has. */
export const PAGE = 100

/** What is known of the list. */
export interface Listing {
  /** The filters and the order that it is of. */
  readonly key: string
  readonly total: number
  readonly matching: Readonly<Record<AdminRank, number>>
  /** The ids of those that were read, by their place in the list. */
  readonly ids: ReadonlyMap<number, string>
}

export interface ListQuery {
  readonly search: string
  readonly state: string
  readonly group: string
  readonly sort: string
}

/** What the route asks for. */
export function listQueryOf({ params }: Route): ListQuery {
  const { q = '', state = '', group = '', sort = '' } = params
  return { search: q, state, group, sort }
}

export const listing = signal<Listing | null>(null)

let seen = { from: 0, to: 30 }
/** Pages that are being read. */
const underWay = new Map<number, AbortController>()

const keyOf = (query: ListQuery): string => JSON.stringify(query)

const pageOf = (index: number): number => Math.floor(Math.max(0, index) / PAGE)

function pagesSeen(): readonly number[] {
  const [first, last] = [pageOf(seen.from), pageOf(seen.to)]
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

async function readPage(query: ListQuery, page: number, stop: AbortSignal): Promise<AdminJobs> {
  return await get<AdminJobs>('jobs', { ...query, limit: PAGE, offset: page * PAGE }, stop)
}

function take(key: string, answers: readonly AdminJobs[], isAnew: boolean): void {
  const newest = answers.at(-1)
  if (newest === undefined) return
  const before = listing.peek()
  const isSame = !isAnew && before?.key === key && before.total === newest.total
  const ids = new Map(isSame ? before.ids : [])
  for (const { offset, jobs } of answers) {
    for (const [index, job] of jobs.entries()) {
      ids.set(offset + index, job.id)
      putJob(job)
    }
  }
  keepJobs(new Set([...ids.values(), route.peek().id]))
  counts.value = newest.counts
  groups.value = newest.groups
  listing.value = { key, total: newest.total, matching: newest.matching, ids }
}

/** Reads anew what is seen of the list. */
export const list = new Loader(async (stop) => {
  const query = listQueryOf(route.peek())
  for (const each of underWay.values()) each.abort()
  underWay.clear()
  const answers = await Promise.all(pagesSeen().map((page) => readPage(query, page, stop)))
  if (stop.aborted) return
  take(keyOf(query), answers, true)
})

/** Says which of the jobs are seen, from one to another: pages that are missing are read. */
export function see(from: number, to: number): void {
  seen = { from, to }
  const known = listing.peek()
  const query = listQueryOf(route.peek())
  if (known === null || known.key !== keyOf(query) || list.isLoading) return
  const last = Math.max(0, known.total - 1)
  const pages = pagesSeen().filter((page) => {
    const [first, end] = [page * PAGE, Math.min((page + 1) * PAGE - 1, last)]
    return first <= last && !(known.ids.has(first) && known.ids.has(end))
  })
  for (const [page, controller] of underWay) {
    if (pages.includes(page)) continue
    controller.abort()
    underWay.delete(page)
  }
  for (const page of pages) if (!underWay.has(page)) void readMore(query, page)
}

async function readMore(query: ListQuery, page: number): Promise<void> {
  const controller = new AbortController()
  underWay.set(page, controller)
  try {
    const answer = await readPage(query, page, controller.signal)
    if (controller.signal.aborted) return
    take(keyOf(query), [answer], false)
  } catch {
    // What is seen is asked for again below.
    if (!controller.signal.aborted) list.loadSoon(2000)
  } finally {
    if (underWay.get(page) === controller) underWay.delete(page)
  }
}

/** Whether the list that is known is the one that the route asks for. */
export function isCurrent(known: Listing | null, query: ListQuery): known is Listing {
  return known !== null && known.key === keyOf(query)
}
