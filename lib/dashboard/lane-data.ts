// What became of the ticks of lanes, read for the time and the jobs that are seen, and a little around.
import { type Signal, signal } from '@preact/signals'
import type { AdminTick, AdminTicks } from '../../types/admin.js'
import { get } from './api.js'
import { Loader } from './loader.js'

/** Of how many jobs ticks are asked for at once. */
const AT_ONCE = 100
/** What is read on each side beyond what is seen, as a share of it: moving a little shows it at once. */
const MARGIN = 0.3
/** How many lanes are kept at most. */
const KEPT = 600

export interface Lane {
  readonly from: number
  readonly to: number
  readonly ticks: readonly AdminTick[]
  readonly coming: readonly number[]
  readonly forgottenUntil: number | null
}

const lanes = new Map<string, Signal<Lane | null>>()

let wanted: { readonly ids: readonly string[]; readonly from: number; readonly to: number } = {
  ids: [],
  from: 0,
  to: 0
}

/** The lane of a job; `null` until it was read. */
export function laneOf(id: string): Signal<Lane | null> {
  const known = lanes.get(id)
  if (known !== undefined) return known
  const made = signal<Lane | null>(null)
  lanes.set(id, made)
  return made
}

/** Those of what is wanted that are not known for the time. */
function missing(): readonly string[] {
  const { ids, from, to } = wanted
  return ids.filter((id) => {
    const lane = laneOf(id).peek()
    return lane === null || lane.from > from || lane.to < to
  })
}

export const laneLoader = new Loader(async (stop) => {
  const { from, to } = wanted
  const margin = (to - from) * MARGIN
  const ids = missing()
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    const job = ids.slice(start, start + AT_ONCE)
    const query = { job, from: Math.floor(from - margin), to: Math.ceil(to + margin) }
    const answer = await get<AdminTicks>('ticks', query, stop)
    if (stop.aborted) return
    for (const { job: id, ticks, coming, forgottenUntil } of answer.lanes) {
      laneOf(id).value = { from: answer.from, to: answer.to, ticks, coming, forgottenUntil }
    }
  }
})

/** Says which lanes are seen, and for what time: what is missing is read. */
export function seeLanes(ids: readonly string[], from: number, to: number, wait: number): void {
  wanted = { ids, from, to }
  if (lanes.size > KEPT) for (const id of lanes.keys()) if (!ids.includes(id)) lanes.delete(id)
  if (missing().length > 0) laneLoader.loadSoon(wait)
}

/** Reads all lanes anew: something may have been missed. */
export function forgetLanes(): void {
  for (const lane of lanes.values()) {
    const known = lane.peek()
    // It stays on the page until the answer comes.
    if (known !== null) lane.value = { ...known, from: Number.POSITIVE_INFINITY }
  }
  if (wanted.ids.length > 0) laneLoader.loadSoon(0)
}
