import type { Duration } from '../../types/duration.js'
import type { DateInput } from '../../types/trigger.js'
import { copyKnown } from '../base/check.js'
import { HOUR, parseDuration, SECOND } from '../base/duration.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { readDate } from '../triggers/index.js'
import { PendingRuns, waitingForTime } from './pending-runs.js'
import { createRandom } from './random.js'
import { SimulatedReplica, type SimulatedReplicaOptions } from './simulated-replica.js'
import { SimulatedStore } from './simulated-store.js'
import { VirtualClock } from './virtual-clock.js'

export interface SimulationOptions {
  /**
   * The time at which it begins.
   *
   * @default '2027-01-01T00:00:00Z'
   */
  readonly start?: DateInput
  /**
   * What all chance in it is drawn from: a whole number. The same seed gives the same course.
   *
   * @default 1
   */
  readonly seed?: number
  /**
   * How many stores there are: 1, or an odd number of independent masters that decide by majority.
   *
   * @default 1
   */
  readonly masters?: number
  /**
   * For how long, in real time, `advance` waits for a handler that waits for something else than simulated time, such as a
   * file, a database or a request: time stands still meanwhile. Then it goes on without that run, with a warning. 0 never waits.
   *
   * @default '1s'
   */
  readonly patience?: Duration
}

/**
 * A world for schedulers to run in: its time stands still until it is told to pass, its store stands for Redis, and its
 * replicas are schedulers in this process. A year of a schedule passes in seconds, and every fault comes when it is
 * asked for.
 *
 * @example
 * const simulation = new Simulation()
 * const scheduler = createScheduler(simulation.replica().options)
 * scheduler.cron('report', '0 3 * * *', handler)
 * await scheduler.start()
 * await simulation.advance('365d')
 */
export class Simulation {
  /** What the replicas meet in. */
  readonly stores: readonly SimulatedStore[]
  readonly #time: VirtualClock
  readonly #random: () => number
  /** The handlers that are waited for; `null` when none is. */
  readonly #pending: PendingRuns | null = null
  #replicas = 0

  /** @throws OptionUnknownError, OptionInvalidError, DateInvalidError */
  constructor(options: SimulationOptions = {}) {
    const {
      start = '2027-01-01T00:00:00Z',
      seed = 1,
      masters = 1,
      patience = SECOND
    } = copyKnown(options, ['start', 'seed', 'masters', 'patience'], "the simulation's options") as SimulationOptions
    if (!Number.isInteger(seed)) throw new OptionInvalidError('seed', 'a whole number', show(seed))
    if (!Number.isInteger(masters) || masters < 1 || masters > 99 || masters % 2 === 0) {
      throw new OptionInvalidError('masters', 'an odd whole number from 1 to 99', show(masters))
    }
    const limit = parseDuration(patience, 'patience', { max: HOUR })
    this.stores = Object.freeze(Array.from({ length: masters }, () => new SimulatedStore()))
    this.#time = new VirtualClock(readDate(start, 'start', 'UTC'))
    this.#random = createRandom(seed)
    if (limit === 0) return
    const pending = new PendingRuns()
    const settle = (): Promise<void> => this.#time.settle()
    this.#time.onSettled = () => pending.realWorkDone(limit, settle)
    this.#pending = pending
  }

  /** The first of the stores; with one master the only one. */
  get store(): SimulatedStore {
    return this.stores[0] as SimulatedStore
  }

  /** The true time, in milliseconds since the Unix epoch. */
  get now(): number {
    return this.#time.now()
  }

  /** How many timers have fired so far, to see that nothing loops. */
  get fired(): number {
    return this.#time.fired
  }

  /**
   * A new replica. Its `options` go to `createScheduler()` or to the plugin, with those of the app.
   *
   * @throws OptionUnknownError, OptionInvalidError
   */
  replica(options: SimulatedReplicaOptions = {}): SimulatedReplica {
    const id = `replica-${this.#replicas + 1}`
    const replica = new SimulatedReplica(id, this.#time, this.stores, this.#random, options)
    this.#replicas++
    this.#pending?.observe(replica.options.clock)
    return replica
  }

  /**
   * Lets time pass, and all that is due in it happen, in order. Time stands still while a handler waits for something that is
   * real, such as a file or a request, for `patience` at most.
   *
   * @throws DurationInvalidError
   */
  async advance(duration: Duration): Promise<void> {
    await this.#time.advance(parseDuration(duration, 'duration'))
  }

  /** Lets what has begun go on as far as it can without time passing. */
  async settle(): Promise<void> {
    await this.#time.settle()
  }

  /**
   * What waits for a time of the simulation, such as a handler, waits with.
   *
   * @throws DurationInvalidError
   */
  sleep(duration: Duration): Promise<void> {
    return waitingForTime(this.#time.sleep(parseDuration(duration, 'duration')))
  }
}
