import type { AdminRank, AdminSort } from '../../../types/admin.js'
import type { BoardEntry, BoardView } from './board.js'
import { RANK_OF, STATES } from './job-state.js'

export const SORTS = ['rank', 'id', 'lastSuccess', 'nextRun', 'period'] as const satisfies readonly AdminSort[]

/** What is asked of the board. */
export interface BoardQuery {
  readonly search?: string
  /** A state or a rank. */
  readonly state?: string
  readonly group?: string
  /** `-` in front for the other way round. */
  readonly sort: AdminSort | `-${AdminSort}`
}

/** The jobs that match, in the order asked for. */
export function searchBoard(
  { entries }: BoardView,
  { search = '', state, group, sort }: BoardQuery,
  periodOf: (entry: BoardEntry) => number | null
): BoardEntry[] {
  const text = search.toLowerCase()
  const found = [...entries.values()].filter((entry) => {
    if (state !== undefined && entry.state !== state && RANK_OF[entry.state] !== state) return false
    if (group !== undefined && entry.status.group !== group) return false
    return text === '' || textOf(entry).includes(text)
  })
  return found.sort(orderOf(sort, periodOf))
}

/** How many there are of each rank. */
export function ranksOf(entries: readonly BoardEntry[]): Record<AdminRank, number> {
  const ranks: Record<AdminRank, number> = { attention: 0, running: 0, paused: 0, on_time: 0, gone: 0 }
  for (const { state } of entries) ranks[RANK_OF[state]]++
  return ranks
}

function textOf({ status: { id, name, group, description } }: BoardEntry): string {
  return `${id}\n${name}\n${group ?? ''}\n${description ?? ''}`.toLowerCase()
}

type Order = (a: BoardEntry, b: BoardEntry) => number

const PLACE = Object.fromEntries(STATES.map((state, index) => [state, index])) as Record<BoardEntry['state'], number>

const byId: Order = (a, b) => (a.job.id < b.job.id ? -1 : 1)
const byState: Order = (a, b) => PLACE[a.state] - PLACE[b.state] || byId(a, b)

function orderOf(sort: BoardQuery['sort'], periodOf: (entry: BoardEntry) => number | null): Order {
  const isDown = sort.startsWith('-')
  const by = (isDown ? sort.slice(1) : sort) as AdminSort
  if (by === 'rank') return isDown ? (a, b) => byState(b, a) : byState
  if (by === 'id') return isDown ? (a, b) => byId(b, a) : byId
  const given = by === 'period' ? periodOf : ({ status }: BoardEntry): number | null => status[by]
  // What there is none of comes last, in both directions.
  const values = new Map<BoardEntry, number>()
  const keyOf = (entry: BoardEntry): number => {
    let value = values.get(entry)
    if (value === undefined) {
      const known = given(entry)
      value = known === null ? Number.MAX_VALUE : isDown ? -known : known
      values.set(entry, value)
    }
    return value
  }
  return (a, b) => keyOf(a) - keyOf(b) || byState(a, b)
}
