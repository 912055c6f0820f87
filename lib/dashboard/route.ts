// Where one is: view, job and filters, all in the hash, so that it can be shared.
import { signal } from '@preact/signals'

export type View = 'jobs' | 'timeline' | 'job' | 'fleet'

export interface Route {
  readonly view: View
  /** The job's id, of its page. */
  readonly id: string
  readonly params: Readonly<Record<string, string>>
}

/** What the list is filtered and ordered by: it goes along from view to view. */
const FILTERS = ['q', 'state', 'group', 'sort'] as const

/** The route that a hash says; the list of jobs for one that says none. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, '')
  const mark = text.indexOf('?')
  const path = mark < 0 ? text : text.slice(0, mark)
  const params: Record<string, string> = Object.create(null)
  if (mark >= 0) for (const [key, value] of new URLSearchParams(text.slice(mark + 1))) params[key] = value
  const [, view = '', ...rest] = path.split('/')
  if (view === 'timeline' || view === 'fleet') return { view, id: '', params }
  if (view === 'job' && rest.length > 0) return { view, id: decoded(rest.join('/')), params }
  return { view: 'jobs', id: '', params }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The hash of a route; what is empty is left out. */
export function hashOf(view: View, id = '', params: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== '')).toString()
  const path = view === 'job' ? `/job/${encodeURIComponent(id).replaceAll('.', '%2E')}` : `/${view}`
  return `#${path}${query === '' ? '' : `?${query}`}`
}

/** Those parameters of a route that filter the list. */
export function filtersOf({ params }: Route): Record<string, string> {
  return Object.fromEntries(FILTERS.flatMap((key) => (params[key] ? [[key, params[key]]] : [])))
}

export const route = signal<Route>(parseRoute(location.hash))

/** The view before this one; `null` where the page was opened here. */
let before: View | null = null

/** Follows the address. */
export function followAddress(): void {
  addEventListener('hashchange', () => {
    const { view } = route.peek()
    route.value = parseRoute(location.hash)
    if (view !== route.peek().view) before = view
  })
}

/** Back from a job to where one came from, else to the list. */
export function goBack(): void {
  if (before === 'jobs' || before === 'timeline') history.back()
  else go(hashOf('jobs', '', filtersOf(route.peek())))
}

/** Goes somewhere; `isReplaced` for what is no place to come back to, such as each letter of a filter. */
export function go(hash: string, isReplaced = false): void {
  if (hash === location.hash) return
  if (isReplaced) {
    history.replaceState(history.state, '', hash)
    route.value = parseRoute(hash)
  } else location.hash = hash
}

/** Changes parameters of the route there is. */
export function change(params: Readonly<Record<string, string>>, isReplaced = false): void {
  const { view, id, params: before } = route.peek()
  go(hashOf(view, id, { ...before, ...params }), isReplaced)
}

/** The hash of a job's page, from which one comes back to the same list. */
export function jobHash(id: string): string {
  return hashOf('job', id, filtersOf(route.value))
}
