import type { CoordinationFactory, CoordinationListener } from '../../types/coordination.js'
import type { Duration } from '../../types/duration.js'
import type { SchedulerOptions } from '../../types/scheduler-options.js'
import { copyKnown } from '../base/check.js'
import { parseDuration } from '../base/duration.js'
import { show } from '../base/show.js'
import { QuorumCoordination } from '../coordination/quorum/coordination.js'
import { OptionInvalidError } from '../errors.js'
import { forgetRuns, waitingForTime } from './pending-runs.js'
import { ReplicaClock } from './replica-clock.js'
import { SimulatedNode } from './simulated-node.js'
import type { SimulatedStore } from './simulated-store.js'
import { sleepOn, type VirtualClock } from './virtual-clock.js'

export interface SimulatedReplicaOptions {
  /**
   * By how many milliseconds its wall clock is ahead of the true time; negative when it is behind.
   *
   * @default 0
   */
  readonly skew?: number
}

/** One process of a simulated fleet. */
export class SimulatedReplica {
  /** For `createScheduler()`, or the plugin: the replica's clock, its coordination and its id. */
  readonly options: Required<Pick<SchedulerOptions, 'clock' | 'coordination' | 'replicaId'>>
  readonly #clock: ReplicaClock
  #isCutOff = false

  /** @internal made by `Simulation.replica()` */
  constructor(
    replicaId: string,
    time: VirtualClock,
    stores: readonly SimulatedStore[],
    random: () => number,
    options: SimulatedReplicaOptions
  ) {
    const { skew = 0 } = copyKnown(options, ['skew'], "the replica's options") as SimulatedReplicaOptions
    if (!Number.isFinite(skew)) throw new OptionInvalidError('skew', 'a number of milliseconds', show(skew))
    const clock = new ReplicaClock(time, skew)
    const isCutOff = (): boolean => this.#isCutOff
    const coordination: CoordinationFactory = ({ maxClockSkew, history, listener }) => {
      const nodeOf = (store: SimulatedStore, listener: CoordinationListener): SimulatedNode =>
        new SimulatedNode({ store, time, clock, random, maxClockSkew, replicaId, history, listener, isCutOff })
      const [first, ...others] = stores as [SimulatedStore]
      if (others.length === 0) return nodeOf(first, listener)
      const masters = stores.map((store, index) => {
        const address = `master ${index + 1}`
        return { address, connect: (listener: CoordinationListener) => nodeOf(store, listener) }
      })
      return new QuorumCoordination({ masters, clock, listener, random })
    }
    this.#clock = clock
    this.options = Object.freeze({ clock, coordination, replicaId })
  }

  /** Whether its process has died. */
  get dead(): boolean {
    return this.#clock.dead
  }

  /** Its process dies where it stands, as by SIGKILL. What it had sent arrives all the same. */
  crash(): void {
    this.#clock.kill()
    forgetRuns(this.#clock)
  }

  /**
   * Its process stands still for a time, as by SIGSTOP or an event loop that is blocked.
   *
   * @throws DurationInvalidError
   */
  freeze(duration: Duration): void {
    this.#clock.freeze(parseDuration(duration, 'duration'))
  }

  /**
   * Its wall clock jumps, by milliseconds.
   *
   * @throws OptionInvalidError
   */
  jump(ms: number): void {
    if (!Number.isFinite(ms)) throw new OptionInvalidError('ms', 'a number of milliseconds', show(ms))
    this.#clock.jump(ms)
  }

  /** It cannot reach the store any more. */
  disconnect(): void {
    this.#isCutOff = true
  }

  /** It can reach the store again. */
  connect(): void {
    this.#isCutOff = false
  }

  /**
   * What waits for a time of this process, such as a handler, waits with; for ever when the process dies.
   *
   * @throws DurationInvalidError
   */
  sleep(duration: Duration): Promise<void> {
    return waitingForTime(sleepOn(this.#clock, parseDuration(duration, 'duration')))
  }
}
