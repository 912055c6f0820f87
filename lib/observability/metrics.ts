import type { Coordination } from '../../types/coordination.js'
import { MetricTakenError } from '../errors.js'
import type { Dispatcher } from '../execution/dispatcher.js'
import type { JobRecord } from '../job-record.js'
import type { JobRegistry } from '../job-registry.js'
import type { ResolvedMetrics } from '../options.js'
import { show } from '../show.js'
import { type HistogramStats, type JobStats, SKIP_REASONS } from './job-stats.js'

type Labels = Record<string, string | number>
type MetricType = 'counter' | 'gauge' | 'histogram'

/** One sample, as prom-client's registry takes it. */
interface Sample {
  readonly metricName?: string
  readonly labels: Labels
  readonly value: number
}

/** What a metric's samples are read from. */
interface Source {
  readonly jobs: JobRegistry
  readonly dispatcher: Dispatcher
  readonly coordination: Coordination
}

interface Definition {
  readonly type: MetricType
  readonly help: string
  samples(source: Source, name: string): Iterable<Sample>
}

/** Every metric, by its name without the prefix: what it is and where its numbers are. */
const DEFINITIONS: Record<string, Definition> = {
  jobs_fired_total: perJob('counter', 'Runs started.', (stats) => stats.fired),
  job_success_total: perJob('counter', 'Runs that ended with outcome success.', (stats) => stats.success),
  job_failure_total: perJob('counter', 'Runs that ended with any other outcome.', (stats) => stats.failure),
  missed_runs_total: perJob(
    'counter',
    'Ticks given up: too late to run, or Redis did not answer in time.',
    (stats) => stats.missed
  ),
  redis_lock_acquired_total: perJob('counter', 'Locks taken for a run.', (stats) => stats.lockAcquired),
  redis_lock_failed_total: perJobAnd('counter', 'Locks that could not be taken for a run.', 'reason', {
    held: (stats) => stats.lockFailedHeld,
    error: (stats) => stats.lockFailedError
  }),
  redis_lock_released_total: perJob('counter', 'Locks released at the end of a run.', (stats) => stats.lockReleased),
  redis_lock_extended_total: perJob('counter', 'Extensions of a lock during a run.', (stats) => stats.lockExtended),
  redis_lock_lost_total: perJob('counter', 'Locks lost during a run.', (stats) => stats.lockLost),
  run_skipped_total: perJobAnd(
    'counter',
    'Ticks without a run on this replica.',
    'reason',
    Object.fromEntries(SKIP_REASONS.map((reason) => [reason, (stats: JobStats) => stats.skipped[reason]]))
  ),
  job_retries_total: perJob('counter', 'Calls of a handler after one that failed.', (stats) => stats.retries),
  job_duration_seconds: {
    type: 'histogram',
    help: 'How long runs took.',
    *samples({ jobs }, name) {
      for (const job of jobs.values()) {
        yield* histogram(name, { ...labelsOf(job), status: 'success' }, job.stats.durationSuccess)
        yield* histogram(name, { ...labelsOf(job), status: 'failure' }, job.stats.durationFailure)
      }
    }
  },
  schedule_delay_seconds: {
    type: 'histogram',
    help: 'Start of runs minus their scheduled time.',
    *samples({ jobs }, name) {
      for (const job of jobs.values()) yield* histogram(name, labelsOf(job), job.stats.delay)
    }
  },
  job_running: perJob('gauge', 'Runs of the job in this process now.', (stats) => stats.running),
  job_paused: perJob('gauge', '1 while the job is paused.', (_stats, job) => (job.paused ? 1 : 0)),
  job_next_run_timestamp_seconds: perJob('gauge', "The next tick's scheduled time; 0 for none.", (_stats, job) =>
    inSeconds(job.view.nextRun)
  ),
  job_last_run_timestamp_seconds: perJob('gauge', 'Start of the last run in this process; 0 for none.', (stats) =>
    inSeconds(stats.lastRun)
  ),
  job_last_success_timestamp_seconds: perJob(
    'gauge',
    'End of the last successful run in this process; 0 for none.',
    (stats) => inSeconds(stats.lastSuccess)
  ),
  jobs_total: single('Jobs of this process.', ({ jobs }) => jobs.size),
  jobs_active: single('Jobs of this process that are not paused and have a next tick.', ({ jobs }) => {
    let active = 0
    for (const job of jobs.values()) if (!job.paused && job.view.nextRun !== null) active++
    return active
  }),
  backlog_size: single('Due ticks that wait to be claimed.', ({ dispatcher }) => dispatcher.backlog),
  clock_skew_seconds: single(
    "This process' clock minus Redis' clock.",
    ({ coordination }) => coordination.state.skew / 1000
  ),
  redis_up: single('1 while Redis answers, or while coordination is in memory.', ({ coordination }) =>
    coordination.state.up ? 1 : 0
  )
}

/** The names of all metrics, without the prefix. */
export const METRIC_NAMES: readonly string[] = Object.freeze(Object.keys(DEFINITIONS))

/**
 * A metric that holds no numbers of its own: it reads the jobs' at each scrape. It has what registries of prom-client
 * and of its successor ask of a metric, so that exposition and aggregation are theirs.
 */
class Metric {
  name: string
  readonly help: string
  readonly type: MetricType
  readonly aggregator = 'sum'
  readonly #fullName: string
  readonly #definition: Definition
  readonly #source: Source

  constructor(fullName: string, definition: Definition, source: Source) {
    this.name = fullName
    this.help = definition.help
    this.type = definition.type
    this.#fullName = fullName
    this.#definition = definition
    this.#source = source
  }

  async get(): Promise<unknown> {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values: [...this.#definition.samples(this.#source, this.#fullName)] }
  }

  /** Asked for by the registry's `resetMetrics`. */
  reset(): void {
    for (const job of this.#source.jobs.values()) job.stats.reset()
  }
}

/** The scheduler's metrics in a registry. */
export class Metrics {
  readonly #options: ResolvedMetrics
  readonly #source: Source
  #registered: string[] = []

  constructor(options: ResolvedMetrics, jobs: JobRegistry, dispatcher: Dispatcher, coordination: Coordination) {
    this.#options = options
    this.#source = { jobs, dispatcher, coordination }
  }

  /** @throws MetricTakenError; then none is registered */
  register(): void {
    const { register, prefix } = this.#options
    const names = METRIC_NAMES.map((name) => prefix + name)
    const taken = names.find((name) => register.getSingleMetric(name) !== undefined)
    if (taken !== undefined) throw new MetricTakenError(show(taken))
    for (const [name, definition] of Object.entries(DEFINITIONS)) {
      register.registerMetric(new Metric(prefix + name, definition, this.#source) as never)
    }
    this.#registered = names
  }

  unregister(): void {
    for (const name of this.#registered.splice(0)) this.#options.register.removeSingleMetric(name)
  }
}

type Read = (stats: JobStats, job: JobRecord) => number

function perJob(type: MetricType, help: string, read: Read): Definition {
  return {
    type,
    help,
    *samples({ jobs }) {
      for (const job of jobs.values()) yield { labels: labelsOf(job), value: read(job.stats, job) }
    }
  }
}

function perJobAnd(type: MetricType, help: string, label: string, reads: Record<string, Read>): Definition {
  return {
    type,
    help,
    *samples({ jobs }) {
      for (const job of jobs.values()) {
        for (const [value, read] of Object.entries(reads)) {
          yield { labels: { ...labelsOf(job), [label]: value }, value: read(job.stats, job) }
        }
      }
    }
  }
}

function single(help: string, read: (source: Source) => number): Definition {
  return {
    type: 'gauge',
    help,
    *samples(source) {
      yield { labels: {}, value: read(source) }
    }
  }
}

function* histogram(name: string, labels: Labels, stats: HistogramStats): Iterable<Sample> {
  let count = 0
  for (const [index, bound] of stats.bounds.entries()) {
    count += stats.countOf(index)
    yield { metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: count }
  }
  yield { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: stats.count }
  yield { metricName: `${name}_sum`, labels, value: stats.sum }
  yield { metricName: `${name}_count`, labels, value: stats.count }
}

function labelsOf(job: JobRecord): Labels {
  return { job_id: job.id, job_name: job.definition.name }
}

function inSeconds(time: number | null): number {
  return (time ?? 0) / 1000
}
