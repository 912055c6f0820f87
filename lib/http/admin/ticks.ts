import type { AdminTick } from '../../../types/admin.js'
import type { OngoingRun } from '../../../types/coordination.js'
import type { HistoryRun, HistoryTicks } from '../../../types/history.js'
import type { Trigger } from '../../../types/trigger.js'
import { cutText } from '../../base/cut-text.js'
import { isFromCompletion } from '../../triggers/index.js'
import type { Redaction } from './redaction.js'

/** The most characters of an error in a row. */
const MAX_ERROR = 200

/** What is known of a job's ticks. */
export interface KnownTicks {
  readonly runs: readonly HistoryRun[]
  readonly ranges: readonly HistoryTicks[]
  readonly ongoing: readonly OngoingRun[]
}

/** A run that has ended, as a tick. */
export function tickOfRun(run: HistoryRun, redact: Redaction): AdminTick {
  const { id, scheduledTime, startedAt, duration, outcome, replicaId, attempt, trigger, by, error, progress } = run
  return {
    at: scheduledTime,
    kind: outcome ?? 'running',
    run: id,
    on: replicaId,
    started: startedAt,
    ...(duration === null ? {} : { ms: Math.round(duration) }),
    ...(attempt === 1 ? {} : { attempt }),
    ...(trigger === 'schedule' ? {} : { trigger }),
    ...(by === null ? {} : { by }),
    ...(error === null ? {} : { error: cutText(redact.errorLine(`${error.name}: ${error.message}`), MAX_ERROR) }),
    ...(progress === null || outcome === 'success' ? {} : { progress })
  }
}

/** A run that goes on, as a tick. */
export function tickOfOngoing(run: OngoingRun, now: number): AdminTick {
  const { runId, scheduledTime, startedAt, replicaId, attempt, by, progress } = run
  return {
    at: scheduledTime,
    kind: 'running',
    run: runId,
    on: replicaId,
    started: startedAt,
    ms: Math.max(0, Math.round(now - startedAt)),
    ...(attempt === 1 ? {} : { attempt }),
    ...(by === undefined ? {} : { by }),
    ...(progress === null ? {} : { progress })
  }
}

/** Ticks that had no run, as one. */
export function tickOfRange({ first, last, count, reason, by }: HistoryTicks): AdminTick {
  const who = reason === 'operator' ? { by } : { on: by }
  return { at: first, kind: reason, ...(count > 1 ? { until: last, count } : {}), ...who }
}

/** What is known of the job whose ticks they are. */
export interface TickJob {
  /** Says when the ticks of a range were; `null` where that is not known. */
  readonly trigger: Trigger | null
  /** Whether it runs on every replica. */
  readonly isOnEvery: boolean
}

/** The last ticks of a job, the oldest first, each for itself. */
export function lastTicks(known: KnownTicks, job: TickJob, limit: number, now: number, redact: Redaction): AdminTick[] {
  const ticks = ticksOfRuns(known, now, redact)
  for (const range of known.ranges) ticks.push(...expanded(range, job.trigger, limit))
  return merged(ticks, job.isOnEvery).slice(-limit)
}

/** Runs as ticks, those that go on included. */
export function ticksOfRuns({ runs, ongoing }: KnownTicks, now: number, redact: Redaction): AdminTick[] {
  const going = new Set(ongoing.map(({ runId }) => runId))
  const ended = runs.filter(({ id }) => !going.has(id)).map((run) => tickOfRun(run, redact))
  return [...ended, ...ongoing.map((run) => tickOfOngoing(run, now))]
}

/**
 * By their times, and runs of one tick as one: of a job that runs on every replica all are told, of another one that was run again
 * the last.
 */
export function merged(ticks: readonly AdminTick[], isOnEvery: boolean): AdminTick[] {
  const sorted = [...ticks].sort((a, b) => a.at - b.at || (a.started ?? 0) - (b.started ?? 0))
  const out: AdminTick[] = []
  for (const tick of sorted) {
    const before = out.at(-1)
    const isSame = before?.at === tick.at && before.run !== undefined && tick.run !== undefined
    if (!isSame) out.push(tick)
    else out[out.length - 1] = isOnEvery ? together(before, tick) : tick
  }
  return out
}

/** Two runs of one tick on several replicas: the one that went wrong, else the one that took longer, stands for all. */
function together(before: AdminTick, after: AdminTick): AdminTick {
  const { others = [], ...first } = before
  const [shown, ...rest] = [...others, first, after].sort((a, b) => weight(b) - weight(a)) as [
    AdminTick,
    ...AdminTick[]
  ]
  return { ...shown, others: rest }
}

function weight({ kind, ms = 0 }: AdminTick): number {
  return (kind === 'success' ? 0 : kind === 'running' ? 1e12 : 2e12) + Math.min(ms, 1e11)
}

/** The last ticks of a range, each for itself. */
function expanded(range: HistoryTicks, trigger: Trigger | null, limit: number): AdminTick[] {
  const { first, last, count, reason, by } = range
  if (count === 1) return [tickOfRange(range)]
  const who = reason === 'operator' ? { by } : { on: by }
  const shown = Math.min(count, limit)
  const known = trigger === null || isFromCompletion(trigger) ? [] : timesBefore(trigger, first, last, count, shown)
  // Of another trigger than today's: evenly between the two that are known.
  const times = known.length === shown ? known : evenly(first, last, count, shown)
  return times.map((at) => ({ at, kind: reason, ...who }))
}

/** The last times of a range by its trigger; too few or none where the trigger has others. */
function timesBefore(trigger: Trigger, first: number, last: number, count: number, shown: number): number[] {
  const step = (last - first) / (count - 1)
  const times: number[] = []
  let at = trigger.next(Math.max(first, last - step * shown * 1.5) - 1)
  for (let steps = 0; at !== null && at <= last && steps < shown * 4; steps++) {
    times.push(at)
    at = trigger.next(at)
  }
  return times.at(-1) === last ? times.slice(-shown) : []
}

function evenly(first: number, last: number, count: number, shown: number): number[] {
  const step = (last - first) / (count - 1)
  return Array.from({ length: shown }, (_, index) => Math.round(last - step * (shown - 1 - index)))
}

/** A share of sorted durations, such as the median: the nearest rank. */
export function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
}

/** The durations of the runs that succeeded, ascending. */
export function durationsOf(ticks: readonly AdminTick[]): number[] {
  return ticks
    .flatMap((tick) => [tick, ...(tick.others ?? [])])
    .flatMap(({ kind, ms }) => (kind === 'success' && ms !== undefined ? [ms] : []))
    .sort((a, b) => a - b)
}
