import type { Load } from './load.js'
import type { Goal } from './question.js'
import type { ReplicaResult, Runs, Window } from './replica.js'

/** What all replicas together did in a window. */
export interface Counted {
  /** Ticks whose scheduled time lay in the window; how many of them ran, also later; how many ran more than once. */
  readonly due: number
  readonly ran: number
  readonly doubled: number
  /** Ticks whose run began in the window: what the costs are divided by. Equal to `due` unless the fleet is behind. */
  readonly runs: number
  /** CPU time of all replicas, in microseconds. */
  readonly cpu: number
  /** Commands the replicas sent. */
  readonly sent: number
  readonly lags: readonly number[]
}

/** Counts ticks over all replicas. */
export function summary(results: readonly ReplicaResult[], load: Load, { from, until }: Window): Counted {
  const began = merge(results.flatMap(({ during }) => during))
  const all = merge(results.flatMap(({ during, after }) => [...during, ...after]))
  let ran = 0
  let doubled = 0
  for (const [tick, byJob] of all) {
    if (tick < from || tick >= until) continue
    for (const count of byJob) {
      if (count > 0) ran++
      if (count > 1) doubled++
    }
  }
  const period = load.due === 'second' ? 1000 : load.due
  return {
    due: period === 'never' ? 0 : Math.round((load.jobs * (until - from)) / period),
    ran,
    doubled,
    runs: [...began.values()].reduce((sum, byJob) => sum + byJob.filter((count) => count > 0).length, 0),
    cpu: results.reduce((sum, { cpu }) => sum + cpu, 0),
    sent: results.reduce((sum, { sent }) => sum + sent, 0),
    lags: results.flatMap(({ lags }) => lags)
  }
}

function merge(runs: Runs): Map<number, Uint8Array> {
  const merged = new Map<number, Uint8Array>()
  for (const [tick, byJob] of runs) {
    const sum = merged.get(tick)
    if (sum === undefined) merged.set(tick, byJob.slice())
    else for (const [job, count] of byJob.entries()) sum[job] = (sum[job] ?? 0) + count
  }
  return merged
}

/** What a fleet did over all rounds, for a table. */
export interface Tally {
  readonly ran: number
  readonly due: number
  readonly doubled: number
  /** `ran of due`, and the doubled ticks in percent of those that ran. */
  readonly cells: readonly [string, string]
}

export function tally(results: readonly Pick<Counted, 'ran' | 'due' | 'doubled'>[]): Tally {
  const sum = (read: (result: Pick<Counted, 'ran' | 'due' | 'doubled'>) => number): number =>
    results.reduce((total, result) => total + read(result), 0)
  const [ran, due, doubled] = [sum(({ ran }) => ran), sum(({ due }) => due), sum(({ doubled }) => doubled)]
  return { ran, due, doubled, cells: [`${ran} of ${due}`, doubled === 0 ? '0' : ((100 * doubled) / ran).toFixed(2)] }
}

/** Two goals: that ours ran every tick, and none twice. Says so at once when it did not. */
export function accuracy(tallies: readonly Tally[]): readonly [Goal, Goal] {
  const lost = tallies.reduce((sum, { due, ran }) => sum + due - ran, 0)
  const doubled = tallies.reduce((sum, tally) => sum + tally.doubled, 0)
  if (lost > 0 || doubled > 0) console.error(`ours: ${lost} ticks lost, ${doubled} ran more than once`)
  return [
    { what: 'ticks of ours that were lost', limit: 0, rounds: [lost] },
    { what: 'ticks of ours that ran more than once', limit: 0, rounds: [doubled] }
  ]
}
