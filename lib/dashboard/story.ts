// What became of every tick, as lines: sameness is folded, exceptions never are.
import type { AdminChange, AdminTick } from '../../types/admin.js'
import type { HistoryEntry, HistoryRun } from '../../types/history.js'
import { hasFailed, isRun, lengthOf } from './ticks.js'
import { day, HOUR, isSameDay } from './time.js'

/** Which lines are shown. */
export type StoryFilter = 'all' | 'norun' | 'failed'

/** A line of the story, with the times of the first and the last tick that it tells of. */
export type StoryLine =
  | { readonly kind: 'day'; readonly key: string; readonly at: number }
  | { readonly kind: 'tick'; readonly key: string; readonly tick: AdminTick; readonly run: HistoryRun | null }
  | { readonly kind: 'folded'; readonly key: string; readonly ticks: readonly AdminTick[] }
  | { readonly kind: 'change'; readonly key: string; readonly change: AdminChange }
  | { readonly kind: 'forgotten'; readonly key: string; readonly from: number | null; readonly to: number }

/** From how many like successes in a row on they are folded. */
const FOLDED = 4

/** A run as a tick. */
export function tickOfRun(run: HistoryRun): AdminTick {
  const { id, scheduledTime, startedAt, duration, outcome, trigger, by, attempt, replicaId, progress, error } = run
  return {
    at: scheduledTime,
    kind: outcome ?? 'running',
    run: id,
    on: replicaId,
    started: startedAt,
    ...(duration != null && { ms: duration }),
    ...(attempt > 1 && { attempt }),
    ...(trigger != null && trigger !== 'schedule' && { trigger }),
    ...(error != null && { error: `${error.name}: ${error.message}` }),
    ...(by != null && { by }),
    ...(progress != null && { progress })
  }
}

/** An entry of the history as a tick; `null` for one that cannot be read, as of a newer server. */
export function tickOfEntry(entry: HistoryEntry): AdminTick | null {
  if (entry == null || typeof entry !== 'object') return null
  if (entry.kind === 'run') return Number.isFinite(entry.scheduledTime) ? tickOfRun(entry) : null
  if (entry.kind !== 'ticks' || !Number.isFinite(entry.first) || entry.reason === 'claimed_elsewhere') return null
  const { first, last, count, reason, by } = entry
  return {
    at: first,
    kind: reason,
    ...(count > 1 && { until: last, count }),
    ...(reason === 'operator' ? { by } : { on: by })
  }
}

interface Told {
  readonly tick: AdminTick
  readonly run: HistoryRun | null
}

/** The entries as ticks, the newest first; of a job on every replica, runs of one tick are one. */
function told(entries: readonly HistoryEntry[], isOnEvery: boolean): readonly Told[] {
  const found: Told[] = []
  for (const entry of entries) {
    const tick = tickOfEntry(entry)
    if (tick === null) continue
    const before = found.at(-1)
    const run = entry.kind === 'run' ? entry : null
    const isSameTick = isOnEvery && before !== undefined && before.tick.at === tick.at
    if (isSameTick && run !== null && before.run !== null && tick.on !== before.tick.on) {
      const others = [...(before.tick.others ?? []), tick].sort((a, b) => ((a.on ?? '') < (b.on ?? '') ? -1 : 1))
      found[found.length - 1] = { tick: { ...before.tick, others }, run: before.run }
    } else found.push({ tick, run })
  }
  return found
}

/** Whether there is nothing to say of a tick but that it ran. */
export function isDull(tick: AdminTick, p95: number | null): boolean {
  const runs = [tick, ...(tick.others ?? [])]
  return runs.every(
    ({ kind, attempt = 1, trigger = 'schedule', ms = 0 }) =>
      kind === 'success' && attempt === 1 && trigger === 'schedule' && (p95 === null || ms <= 1.3 * p95)
  )
}

/** What of the story is asked for. */
export interface StoryQuery {
  readonly entries: readonly HistoryEntry[]
  readonly changes: readonly AdminChange[]
  readonly filter: StoryFilter
  readonly isOnEvery: boolean
  readonly p95: number | null
  readonly period: number | null
  readonly zone: string
  /** Whether entries older than these can be asked for. */
  readonly hasMore: boolean
  readonly kept: { readonly runs: number; readonly retention: number } | null
}

/** Whether ticks are so rare that a day has few of them: their lines have a date each, and no heading for each day. */
export function isSparse(period: number | null): boolean {
  return period === null || period >= 4 * HOUR
}

/** The lines of the story, the newest first. */
export function storyOf(query: StoryQuery): readonly StoryLine[] {
  const { filter, isOnEvery, p95, period, zone } = query
  const all = told(query.entries, isOnEvery)
  const shown = all.filter(({ tick }) => {
    if (filter === 'all') return true
    return filter === 'failed'
      ? [tick, ...(tick.others ?? [])].some(hasFailed)
      : !isRun(tick) && tick.kind !== 'waiting'
  })
  const changes = filter === 'all' ? [...query.changes] : []
  const forgottenBefore = forgotten(all, query)
  const lines: StoryLine[] = []
  let lastDay = ''
  const dayOf = (at: number): void => {
    if (isSparse(period)) return
    const name = day(at, zone)
    if (name !== lastDay) lines.push({ kind: 'day', key: `day ${at}`, at })
    lastDay = name
  }
  const tellChanges = (since: number): void => {
    while (changes[0] !== undefined && changes[0].at >= since) {
      const change = changes.shift() as AdminChange
      dayOf(change.at)
      lines.push({ kind: 'change', key: `change ${change.at} ${change.action} ${change.by} ${changes.length}`, change })
    }
  }
  for (let index = 0; index < shown.length; ) {
    const { tick, run } = shown[index] as Told
    tellChanges((tick.until ?? tick.at) + 1)
    dayOf(tick.until ?? tick.at)
    let end = index + 1
    if (isDull(tick, p95)) {
      while (end < shown.length && isLike((shown[end] as Told).tick, (shown[end - 1] as Told).tick, query)) {
        if ((changes[0]?.at ?? Number.NEGATIVE_INFINITY) > (shown[end] as Told).tick.at) break
        end++
      }
    }
    const ticks = shown.slice(index, end).map((each) => each.tick)
    index = end
    if (ticks.length >= FOLDED) lines.push({ kind: 'folded', key: `folded ${ticks.at(-1)?.at}`, ticks })
    else {
      for (const [n, each] of shown.slice(end - ticks.length, end).entries()) {
        const key = `tick ${each.tick.run ?? `${each.tick.kind} ${each.tick.at} ${n}`}`
        lines.push({ kind: 'tick', key, tick: each.tick, run: ticks.length === 1 ? run : each.run })
      }
    }
    const oldest = ticks.at(-1)
    const next = shown[index]?.tick
    if (filter === 'all' && next !== undefined && oldest !== undefined && forgottenBefore !== null) {
      const gap = oldest.at - (next.until ?? next.at)
      if (oldest.at <= forgottenBefore && period !== null && gap > 1.5 * period) {
        lines.push({ kind: 'forgotten', key: `forgotten ${oldest.at}`, from: next.until ?? next.at, to: oldest.at })
      }
    }
  }
  if (!query.hasMore) tellChanges(Number.NEGATIVE_INFINITY)
  if (!query.hasMore && query.kept !== null && forgottenBefore !== null && filter === 'all' && shown.length > 0) {
    lines.push({ kind: 'forgotten', key: 'forgotten', from: null, to: (shown.at(-1) as Told).tick.at })
  }
  return lines
}

/** The oldest run, if as many are there as are kept: before it there were others. */
function forgotten(all: readonly Told[], { kept }: StoryQuery): number | null {
  if (kept === null) return null
  const runs = all.flatMap(({ tick, run }) => (run === null ? [] : [tick, ...(tick.others ?? [])]))
  return runs.length >= kept.runs ? (runs.at(-1)?.at ?? null) : null
}

function isLike(tick: AdminTick, newer: AdminTick, { p95, period, zone }: StoryQuery): boolean {
  if (!isDull(tick, p95)) return false
  const isNear = period === null || newer.at - tick.at <= period * 1.05 + (isSparse(period) ? 2 * HOUR : 0)
  return isNear && (isSparse(period) || isSameDay(tick.at, newer.at, zone))
}

/** Between what times like runs took, and where they were. */
export function foldedFacts(ticks: readonly AdminTick[]): {
  readonly least: number
  readonly most: number
  readonly places: readonly string[]
} {
  const lengths = ticks.map((tick) => lengthOf(tick, 0))
  const places = new Set(ticks.flatMap(({ on, others = [] }) => [on, ...others.map((other) => other.on)]))
  return {
    least: Math.min(...lengths),
    most: Math.max(...lengths),
    places: [...places].flatMap((each) => each ?? []).sort()
  }
}
