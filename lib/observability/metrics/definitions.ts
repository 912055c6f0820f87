import type { Coordination } from '../../../types/coordination.js'
import { VERSION } from '../../base/version.js'
import type { JobRegistry } from '../../jobs/registry.js'
import { COUNTER, type CountedStats, type Histogram, SKIPPED_COUNTER } from '../../jobs/stats.js'
import type { FleetJob, FleetNumbers } from './fleet-numbers.js'
import type { Labels, Subject } from './scrape.js'

type MetricType = 'counter' | 'gauge' | 'histogram'

/** How the numbers of several processes become one in prom-client's cluster aggregation. */
type Aggregator = 'sum' | 'min' | 'max' | 'average'

/** One sample, as prom-client's registry takes it when it writes text. */
export interface Sample {
  readonly metricName?: string
  readonly labels: Labels
  /** Labels that several samples have in common: the registry writes them once for each such object. */
  readonly sharedLabels?: Labels
  readonly value: number
}

/** What is read of the dispatcher. */
export interface DueTicks {
  /** How many jobs have due ticks that are not claimed yet. */
  readonly backlog: number
  /** Puts into the jobs' own numbers what was counted for many at once. */
  flushCounts(): void
}

/** What is read of the event loop's guard. */
export interface EventLoop {
  /** How late it is, in milliseconds. */
  readonly delay: number
  /** Whether ticks of low priority wait for it. */
  readonly isLate: boolean
}

/** What a metric's samples are read from. */
export interface Source {
  readonly jobs: JobRegistry
  readonly dispatcher: DueTicks
  readonly guard: EventLoop
  readonly coordination: Coordination
  readonly fleet: FleetNumbers
  /** How many jobs another replica was found to define otherwise of late. */
  readonly conflicts: () => number
  /** Whether ticks come. */
  readonly isRunning: () => boolean
  /** When the scheduler was made, in milliseconds since the Unix epoch by the fleet's clock. */
  readonly startedAt: () => number
}

/** What a metric is, and how its numbers are read. */
export interface Definition {
  readonly type: MetricType
  readonly help: string
  readonly aggregator: Aggregator
  /** Whether it shows the whole fleet, of which the store is asked. */
  readonly isOfFleet?: true
  /** @param name the metric's, with its prefix */
  samples(subjects: readonly Subject[], source: Source, name: string): Sample[]
}

/** Every metric, by its name without the prefix. */
export const DEFINITIONS: Readonly<Record<string, Definition>> = {
  jobs_fired_total: counter('Runs started.', COUNTER.fired),
  job_success_total: counter('Runs that ended with outcome success.', COUNTER.success),
  job_failure_total: counter('Runs that ended with any other outcome.', COUNTER.failure),
  missed_runs_total: counter(
    'Ticks without a run on any replica: too late, or Redis did not answer in time. Counted once for the fleet.',
    COUNTER.missed
  ),
  redis_lock_acquired_total: counter('Locks taken for a run.', COUNTER.lockAcquired),
  redis_lock_failed_total: counters('Locks that could not be taken for a run.', 'reason', {
    held: COUNTER.lockFailedHeld,
    error: COUNTER.lockFailedError
  }),
  redis_lock_released_total: counter('Locks released at the end of a run.', COUNTER.lockReleased),
  redis_lock_extended_total: counter('Extensions of a lock during a run.', COUNTER.lockExtended),
  redis_lock_lost_total: counter('Locks lost during a run.', COUNTER.lockLost),
  run_skipped_total: counters('Ticks without a run on this replica.', 'reason', SKIPPED_COUNTER),
  job_retries_total: counter('Calls of a handler after one that failed.', COUNTER.retries),
  job_duration_seconds: histograms('How long runs took.', [
    { labels: { status: 'success' }, read: (stats) => stats.durationSuccess },
    { labels: { status: 'failure' }, read: (stats) => stats.durationFailure }
  ]),
  schedule_delay_seconds: histograms('Start of runs minus their scheduled time and the jitter of the job.', [
    { labels: {}, read: (stats) => stats.delay }
  ]),
  job_running: gauge('sum', 'Runs in this process now.', ({ stats }) => stats.running),
  job_paused: gauge('max', '1 while the job is paused; of all jobs together, how many are.', ({ paused }) => paused),
  job_paused_since_timestamp_seconds: gauge(
    'max',
    'Since when the job is paused; 0 while it is not, or only by its code.',
    ({ pausedSince }) => inSeconds(pausedSince)
  ),
  job_next_run_timestamp_seconds: gauge('max', "The next tick's scheduled time; 0 for none.", ({ nextRun }) =>
    inSeconds(nextRun)
  ),
  job_last_run_timestamp_seconds: gauge('max', 'Start of the last run in this process; 0 for none.', ({ stats }) =>
    inSeconds(stats.lastRun)
  ),
  job_last_success_timestamp_seconds: ofFleet('End of the last successful run in the fleet; 0 for none.', (subject) =>
    inSeconds(subject.lastSuccess)
  ),
  job_expected_success_timestamp_seconds: ofFleet(
    'By when the next run in the fleet is to have succeeded; 0 while paused, and where no tick is to come.',
    (subject) => inSeconds(subject.expectedSuccess)
  ),
  job_consecutive_failures: ofFleet(
    'Runs in the fleet that failed since the last success.',
    ({ failures }) => failures
  ),
  job_oldest_run_start_timestamp_seconds: ofFleet(
    'Start of the run in the fleet that has gone on for longest; 0 for none.',
    (subject) => inSeconds(subject.oldestStart)
  ),
  job_oldest_run_p95_seconds: ofFleet(
    "95 in 100 of the job's successful runs on record took no longer; 0 while no run has gone on for a minute.",
    ({ usualDuration }) => usualDuration / 1000
  ),
  jobs_total: single('max', 'Jobs of this process.', ({ jobs }) => jobs.size),
  jobs_active: single('max', 'Jobs of this process that are not paused and have a next tick.', ({ jobs }) => {
    let active = 0
    for (const job of jobs.values()) if (!job.paused && job.view.nextRun !== null) active++
    return active
  }),
  backlog_size: single('sum', 'Due ticks that wait to be claimed.', ({ dispatcher }) => dispatcher.backlog),
  event_loop_delay_seconds: single(
    'max',
    "How late this process' timers are, smoothed over about a second; 0 without `maxEventLoopDelay`.",
    ({ guard }) => guard.delay / 1000
  ),
  throttled: single('max', '1 while ticks of low priority wait because the event loop is late.', ({ guard }) =>
    guard.isLate ? 1 : 0
  ),
  definition_conflict: single(
    'max',
    'Jobs that another replica was found to define otherwise within the last hour.',
    ({ conflicts }) => conflicts()
  ),
  takes_ticks: single('max', '1 while this process takes ticks.', ({ isRunning }) => (isRunning() ? 1 : 0)),
  start_timestamp_seconds: single('max', "When this process' scheduler was made.", ({ startedAt }) =>
    Math.round(inSeconds(startedAt()))
  ),
  info: {
    type: 'gauge',
    help: "1, with this package's version.",
    aggregator: 'max',
    samples: () => [{ labels: { version: VERSION }, value: 1 }]
  },
  clock_skew_seconds: single(
    'average',
    "This process' clock minus Redis' clock.",
    ({ coordination }) => coordination.state.skew / 1000
  ),
  redis_up: single(
    'min',
    '1 while claims can be had of Redis, or while coordination is in memory.',
    ({ coordination }) => (coordination.state.up ? 1 : 0)
  )
}

function counter(help: string, place: number): Definition {
  return numbers('counter', 'sum', help, [{ labels: {}, read: ({ stats }) => stats.get(place) }])
}

/** A counter for each value of a label. */
function counters(help: string, label: string, places: Record<string, number>): Definition {
  const series = Object.entries(places).map(([value, place]) => {
    return { labels: { [label]: value }, read: ({ stats }: Subject) => stats.get(place) }
  })
  return numbers('counter', 'sum', help, series)
}

function gauge(aggregator: Aggregator, help: string, read: (subject: Subject) => number): Definition {
  return numbers('gauge', aggregator, help, [{ labels: {}, read }])
}

/** A number that is the same on every replica. */
function ofFleet(help: string, read: (subject: FleetJob) => number): Definition {
  return {
    type: 'gauge',
    help,
    aggregator: 'max',
    isOfFleet: true,
    samples: (subjects, { fleet }) =>
      subjects.map((subject) => ({ labels: {}, sharedLabels: subject.labels, value: read(subject.inFleet(fleet)) }))
  }
}

interface Series<Value> {
  readonly labels: Labels
  read(from: Value extends number ? Subject : CountedStats): Value
}

function numbers(
  type: MetricType,
  aggregator: Aggregator,
  help: string,
  series: readonly Series<number>[]
): Definition {
  return {
    type,
    help,
    aggregator,
    samples(subjects) {
      const samples: Sample[] = []
      for (const subject of subjects) {
        const sharedLabels = subject.labels
        for (const { labels, read } of series) samples.push({ labels, sharedLabels, value: read(subject) })
      }
      return samples
    }
  }
}

function histograms(help: string, series: readonly Series<Histogram>[]): Definition {
  return {
    type: 'histogram',
    help,
    aggregator: 'sum',
    samples(subjects, _source, name) {
      const names = { bucket: `${name}_bucket`, sum: `${name}_sum`, count: `${name}_count` }
      const samples: Sample[] = []
      // All jobs have the same bounds, so their buckets share these labels.
      const buckets = series.map(({ labels, read }) => {
        const bounds = subjects[0] === undefined ? [] : read(subjects[0].stats).bounds
        return [...bounds, '+Inf'].map((le) => ({ ...labels, le }))
      })
      for (const { stats, labels: sharedLabels } of subjects) {
        for (const [index, { labels, read }] of series.entries()) {
          const histogram = read(stats)
          let value = 0
          for (const [bucket, labels] of (buckets[index] as Labels[]).entries()) {
            value += histogram.counts[bucket] as number
            samples.push({ metricName: names.bucket, labels, sharedLabels, value })
          }
          samples.push({ metricName: names.sum, labels, sharedLabels, value: histogram.sum })
          samples.push({ metricName: names.count, labels, sharedLabels, value: histogram.count })
        }
      }
      return samples
    }
  }
}

/** One number of the process. */
function single(aggregator: Aggregator, help: string, read: (source: Source) => number): Definition {
  return { type: 'gauge', help, aggregator, samples: (_subjects, source) => [{ labels: {}, value: read(source) }] }
}

function inSeconds(time: number | null): number {
  return (time ?? 0) / 1000
}
