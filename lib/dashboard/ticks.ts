// What is known of ticks, put together: what the stream brings is merged into what an answer brought.
import type { AdminTick } from '../../types/admin.js'

/** How many ticks a strip shows. */
export const SHOWN = 60

/** A kind of tick or run; a newer server may know more of them. */
export type Kind = AdminTick['kind']

const RUN_KINDS: ReadonlySet<string> = new Set<Kind>([
  'success',
  'error',
  'timeout',
  'cancelled',
  'lock_lost',
  'abandoned',
  'running'
])

/** Whether something ran. */
export function isRun(tick: AdminTick): boolean {
  return RUN_KINDS.has(tick.kind) || (tick.run !== undefined && tick.kind !== 'waiting')
}

/** Whether it ran and did not succeed, as far as it has ended. */
export function hasFailed(tick: AdminTick): boolean {
  return isRun(tick) && tick.kind !== 'success' && tick.kind !== 'running'
}

/** What it stands for where there is room for one mark: of several replicas the one that did not succeed. */
export function kindOf(tick: AdminTick): Kind {
  if (tick.kind !== 'success') return tick.kind
  return tick.others?.find(({ kind }) => kind !== 'success')?.kind ?? 'success'
}

/** How long its run took, or has taken so far; of several replicas the longest. */
export function lengthOf(tick: AdminTick, now: number): number {
  const own =
    tick.kind === 'running' && tick.started !== undefined ? Math.max(0, now - tick.started) : Math.max(0, tick.ms ?? 0)
  return Math.max(own, ...(tick.others ?? []).map((other) => lengthOf(other, now)))
}

const isOrdered = (a: AdminTick, b: AdminTick): number => a.at - b.at || (a.started ?? 0) - (b.started ?? 0)

/**
 * Ticks with what is newer, the oldest first. A run is known by its id; what had no run, by its time. A tick that waited has
 * its run now, and a range of ticks has grown.
 */
export function mergeTicks(known: readonly AdminTick[], newer: readonly AdminTick[]): readonly AdminTick[] {
  if (newer.length === 0) return known
  const runs = new Set(newer.flatMap(({ run }) => run ?? []))
  const times = new Set(newer.map(({ at }) => at))
  const ranges = newer.filter(({ run, until }) => run === undefined && until !== undefined)
  const kept = known.filter(({ at, run, kind }) => {
    if (run !== undefined) return !runs.has(run)
    return !times.has(at) && !ranges.some((each) => each.kind === kind && each.at <= at && at <= (each.until ?? at))
  })
  return [...kept, ...newer].sort(isOrdered)
}

/** One tick for each place: ranges of ticks are taken apart, and only the newest are kept. `claimed_elsewhere` did run. */
export function inPlaces(ticks: readonly AdminTick[], places = SHOWN): readonly AdminTick[] {
  const found: AdminTick[] = []
  for (let index = ticks.length - 1; index >= 0 && found.length < places; index--) {
    const tick = ticks[index] as AdminTick
    if (tick.kind === 'claimed_elsewhere') continue
    const { count = 1, until, ...one } = tick
    if (!(count > 1) || until === undefined) {
      found.push(tick)
      continue
    }
    const step = (until - one.at) / (count - 1)
    for (let n = count - 1; n >= 0 && found.length < places; n--) found.push({ ...one, at: one.at + n * step })
  }
  return found.reverse()
}

/** Of successful runs, how long half of them and 19 of 20 took at most; `null` without any. */
export function percentiles(ticks: readonly AdminTick[]): { readonly p50: number | null; readonly p95: number | null } {
  const lengths = ticks.flatMap((tick) => (tick.kind === 'success' && tick.ms !== undefined ? tick.ms : []))
  lengths.sort((a, b) => a - b)
  const at = (share: number): number | null => lengths[Math.floor(lengths.length * share)] ?? null
  return { p50: at(0.5), p95: at(0.95) }
}

/** How many ticks of each kind there are, ranges counted in full. */
export function counted(ticks: readonly AdminTick[]): ReadonlyMap<Kind, number> {
  const counts = new Map<Kind, number>()
  for (const tick of ticks) counts.set(kindOf(tick), (counts.get(kindOf(tick)) ?? 0) + (tick.count ?? 1))
  return counts
}
