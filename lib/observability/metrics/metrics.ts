import Registry from 'prom-client/lib/registry.js'
import type { MetricsRegister } from '../../../types/scheduler-options.js'
import { show } from '../../base/show.js'
import { MetricTakenError } from '../../errors.js'
import type { CountedStats } from '../../jobs/stats.js'
import { DEFINITIONS, type Definition, type Sample, type Source } from './definitions.js'
import { Scrape } from './scrape.js'

/** The names of all metrics, without the prefix. */
export const METRIC_NAMES: readonly string[] = Object.freeze(Object.keys(DEFINITIONS))

export interface ResolvedMetrics {
  /** `undefined` for a new one of prom-client's, made when it is first asked for. */
  readonly register: MetricsRegister | undefined
  readonly prefix: string
  readonly perJob: boolean
}

/** Where all metrics read their numbers from. */
class Numbers {
  readonly source: Source
  readonly #total: CountedStats | null
  #scrape: Scrape | null = null

  constructor(source: Source, total: CountedStats | null) {
    this.source = source
    this.#total = total
  }

  /** The scrape under way: a registry asks all of its metrics at once, and they share one. */
  get scrape(): Scrape {
    if (this.#scrape === null) {
      this.source.dispatcher.flushCounts()
      this.#scrape = new Scrape(this.source.jobs, this.#total)
      queueMicrotask(() => {
        this.#scrape = null
      })
    }
    return this.#scrape
  }

  reset(): void {
    this.source.dispatcher.flushCounts()
    if (this.#total !== null) this.#total.reset()
    else for (const job of this.source.jobs.values()) job.stats.reset()
  }
}

/**
 * A metric without numbers of its own: at each scrape it reads those of the jobs. It has the members that the registries of
 * prom-client and of its successor use, which do the exposition and the aggregation.
 */
class Metric {
  name: string
  readonly help: string
  readonly type: Definition['type']
  readonly aggregator: Definition['aggregator']
  readonly #fullName: string
  readonly #definition: Definition
  readonly #numbers: Numbers

  constructor(fullName: string, definition: Definition, numbers: Numbers) {
    this.name = fullName
    this.help = definition.help
    this.type = definition.type
    this.aggregator = definition.aggregator
    this.#fullName = fullName
    this.#definition = definition
    this.#numbers = numbers
  }

  /** Called by a registry that hands out its metrics as objects. */
  async get(): Promise<unknown> {
    const values = await this.#samples()
    return this.#with(
      values.map(({ sharedLabels, ...sample }) => ({ ...sample, labels: { ...sharedLabels, ...sample.labels } }))
    )
  }

  /** Called by a registry that writes text, which writes labels that samples share only once. */
  async getForPromString(): Promise<unknown> {
    return this.#with(await this.#samples())
  }

  /** Called by the registry's `resetMetrics`. */
  reset(): void {
    this.#numbers.reset()
  }

  async #samples(): Promise<Sample[]> {
    const { scrape, source } = this.#numbers
    if (this.#definition.isOfFleet) await source.fleet.refresh()
    await scrape.turn()
    return this.#definition.samples(scrape.subjects, source, this.#fullName)
  }

  #with(values: readonly Sample[]): unknown {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values }
  }
}

/** The scheduler's metrics in a registry. */
export class Metrics {
  readonly #options: ResolvedMetrics
  readonly #numbers: Numbers
  #registry: MetricsRegister | undefined
  #closed = false
  #registered: string[] = []

  /** @param total all jobs' numbers, when they are to be shown instead of each job's */
  constructor(options: ResolvedMetrics, source: Source, total: CountedStats | null) {
    this.#options = options
    this.#numbers = new Numbers(source, total)
    this.#registry = options.register
  }

  /** Where they are registered: the registry that was given, or else one of their own, which is made at the first call. */
  get registry(): MetricsRegister {
    if (this.#registry === undefined) {
      this.#registry = new Registry()
      if (!this.#closed) this.register()
    }
    return this.#registry
  }

  /**
   * Registers them in the registry that was given, if one was. One of their own, in which no name can be taken, is made when it is
   * first asked for, so that a service that nobody scrapes does not load prom-client.
   *
   * @throws MetricTakenError; then none is registered
   */
  register(): void {
    const register = this.#registry
    if (register === undefined) return
    const { prefix } = this.#options
    const names = METRIC_NAMES.map((name) => prefix + name)
    const taken = names.find((name) => register.getSingleMetric(name) !== undefined)
    if (taken !== undefined) throw new MetricTakenError(show(taken))
    for (const [name, definition] of Object.entries(DEFINITIONS)) {
      register.registerMetric(new Metric(prefix + name, definition, this.#numbers) as never)
    }
    this.#registered = names
  }

  /** Takes them out of the registry. */
  close(): void {
    this.#closed = true
    for (const name of this.#registered.splice(0)) this.#registry?.removeSingleMetric(name)
  }
}
