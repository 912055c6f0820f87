import type { HistoryBounds } from '../../types/coordination.js'
import type { HistoryRun, HistoryTicks } from '../../types/history.js'

// What stores have in common of the history.

/** How many ranges of ticks without a run are kept of a job: as in lua/constants.lua. */
export const MAX_RANGES = 1000

/**
 * One entry of each run, the newest first: of several the last that was told, as it corrects those before. But a run that was
 * recorded as abandoned stays so, whatever its replica says when it comes back.
 *
 * @param entries the last that was told first
 */
export function onePerRun(entries: readonly HistoryRun[]): HistoryRun[] {
  const runs = new Map<string, HistoryRun>()
  for (const entry of entries) {
    if (!runs.has(entry.id) || entry.outcome === 'abandoned') runs.set(entry.id, entry)
  }
  return [...runs.values()].sort((a, b) => b.startedAt - a.startedAt || b.scheduledTime - a.scheduledTime)
}

/**
 * Up to what nominal time something may have been forgotten.
 *
 * @param entries what is kept of runs, the last that was told first; `null` for what could not be read
 * @param ticks the newest first
 */
export function forgottenUntil(
  entries: readonly (HistoryRun | null)[],
  ticks: readonly HistoryTicks[],
  bounds: HistoryBounds,
  now: number
): number {
  let until = now - bounds.retention
  if (entries.length >= bounds.runs) {
    // What was left out was told before the first that is left, and no run begins before its tick. By nominal times it could not be
    // said, as past ticks can be run again; and runs are found to be abandoned long after their end.
    const first = entries.findLast((entry) => entry !== null && entry.outcome !== 'abandoned')
    until = Math.max(until, first?.finishedAt ?? now)
  }
  if (ticks.length >= MAX_RANGES) until = Math.max(until, (ticks.at(-1) as HistoryTicks).first - 1)
  return until
}

/** Ranges as several masters have them: the newest first, without those that lie within others. */
export function withoutCovered(ranges: readonly HistoryTicks[]): HistoryTicks[] {
  const sorted = [...ranges].sort((a, b) => a.first - b.first || b.last - a.last)
  const kept: HistoryTicks[] = []
  for (const range of sorted) {
    const before = kept.at(-1)
    if (before === undefined || range.last > before.last || range.reason !== before.reason) kept.push(range)
  }
  return kept.reverse()
}
