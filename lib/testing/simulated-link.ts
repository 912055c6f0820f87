import type { CoordinationListener } from '../../types/coordination.js'
import { EXCHANGE_LIMIT } from '../base/deadline.js'
import { SECOND } from '../base/duration.js'
import { FleetClock } from '../coordination/fleet-clock.js'
import { LOOK_EVERY } from '../coordination/redis/link.js'
import { RedisUnavailableError } from '../errors.js'
import { waitingForTime } from './pending-runs.js'
import type { ReplicaClock } from './replica-clock.js'
import type { HandedTick, SimulatedStore } from './simulated-store.js'
import type { VirtualClock } from './virtual-clock.js'

/** How soon a lost connection is tried again, as of a real Redis. */
const RECONNECT_DELAY = SECOND / 5

/** Why an exchange failed, and whether its request may have been executed. */
export class Silence extends Error {
  readonly maybe: boolean

  constructor(message: string, maybe: boolean) {
    super(message)
    this.maybe = maybe
  }
}

export interface SimulatedLinkOptions {
  readonly store: SimulatedStore
  /** The true time, by which the store and the network live. */
  readonly time: VirtualClock
  readonly clock: ReplicaClock
  readonly random: () => number
  readonly listener: CoordinationListener
  /** Whether the replica is cut off from the store. */
  readonly isCutOff: () => boolean
}

/** What comes back for a request: what the store answered, and the time at which it did. */
interface Reply<Value> {
  readonly value: Value
  readonly storeTime: number
}

/**
 * A replica's connection to a simulated store, through a network that can delay and lose what it carries. As with a real
 * Redis a reply is given up after `EXCHANGE_LIMIT`; one that arrives while its process stands still lies in the socket, and is
 * read when the process goes on, however late that is.
 */
export class SimulatedLink {
  readonly fleetClock: FleetClock
  /** Whether there are changes that the replica has not heard of. */
  isBehind: () => boolean = () => false
  /** Asks what was handed back. */
  look: () => Promise<readonly HandedTick[]> = async () => []
  readonly #options: SimulatedLinkOptions
  #up: boolean | null = null
  #closed = false
  #isLooking = false
  /** When a reply last said what was changed and what was handed back, on the monotonic clock. */
  #heardAt = Number.NEGATIVE_INFINITY

  constructor(options: SimulatedLinkOptions) {
    this.#options = options
    this.fleetClock = new FleetClock(options.clock, (measured) => options.listener.onClockStep(measured))
  }

  get up(): boolean {
    return this.#up === true
  }

  async open(): Promise<void> {
    this.#options.store.onNews.add(this.#onNews)
    await this.#connect()
    this.#onNews()
  }

  close(): void {
    this.#closed = true
    this.#options.store.onNews.delete(this.#onNews)
  }

  /**
   * A request and its reply; both take their time, and either may be lost.
   *
   * @param operate what the store does when the request has reached it
   * @throws Silence
   */
  exchange<Value>(operate: () => Promise<Value>): Promise<Value> {
    const { store, clock, isCutOff } = this.#options
    if (clock.dead) return new Promise(() => {})
    if (store.state === 'down' || isCutOff()) return Promise.reject(this.#fail('there is no connection', false))
    const sent = clock.monotonic()
    return waitingForTime(
      new Promise((resolve, reject) => {
        let arrived = false
        const deadline = clock.setTimeout(() => {
          if (!arrived) reject(this.#fail(`it did not answer within ${EXCHANGE_LIMIT} ms`, true))
          arrived = true
        }, EXCHANGE_LIMIT)
        const receive = (read: () => void): void => {
          if (arrived) return
          arrived = true
          deadline.cancel()
          clock.whenAwake(read)
        }
        this.#carry(operate).then(
          ({ value, storeTime }) =>
            receive(() => {
              this.fleetClock.sample(sent, storeTime)
              this.#isUp()
              resolve(value)
            }),
          (error: Error) => receive(() => reject(this.#fail(error.message, true)))
        )
      })
    )
  }

  /** Resolves when the reply has arrived, which may be never. */
  async #carry<Value>(operate: () => Promise<Value>): Promise<Reply<Value>> {
    const { store, time, random } = this.#options
    const { delay, lostReplies, lostRequests } = store.network
    const pass = async (): Promise<void> => {
      const ms = delay[0] + random() * (delay[1] - delay[0])
      // What is on its way arrives, also when its sender has died.
      if (ms > 0) await new Promise<void>((resolve) => time.setTimeout(resolve, ms))
    }
    if (lostRequests > 0 && random() < lostRequests) return new Promise(() => {})
    await pass()
    // What reached it is executed once it goes on, also when nobody waits for it any more.
    if (store.state === 'hung') await store.whenStarted()
    if (store.state === 'down') throw new Error('the connection is closed')
    const value = await operate()
    const storeTime = time.now()
    if (lostReplies > 0 && random() < lostReplies) return new Promise(() => {})
    await pass()
    return { value, storeTime }
  }

  /** Tells the listener what was handed back, as a reply has it that says as well what was changed. */
  tell(handed: readonly HandedTick[]): void {
    this.#heardAt = this.#options.clock.monotonic()
    for (const { jobId, tick, by } of handed) this.#options.listener.onHandedBack(jobId, tick, by)
  }

  /**
   * A replica that asks for nothing else looks at the store now and then, and hears by that of what was changed or handed
   * back. Without anything to hear the looks are left out.
   */
  readonly #onNews = (): void => {
    const { store, clock } = this.#options
    if (this.#isLooking || this.#closed || (store.handedBack().length === 0 && !this.isBehind())) return
    this.#isLooking = true
    const age = clock.monotonic() - this.#heardAt
    clock.setTimeout(() => void this.#look(), age < LOOK_EVERY ? LOOK_EVERY - age : LOOK_EVERY)
  }

  async #look(): Promise<void> {
    const { clock } = this.#options
    if (!this.#closed && clock.monotonic() - this.#heardAt >= LOOK_EVERY) {
      await this.look().then(
        (handed) => this.tell(handed),
        () => {}
      )
    }
    this.#isLooking = false
    this.#onNews()
  }

  #fail(reason: string, maybe: boolean): Silence {
    if (this.#up !== false && !this.#closed) {
      this.#up = false
      this.#options.listener.onDown(new RedisUnavailableError('be reached', reason))
      this.#reconnect()
    }
    return new Silence(reason, maybe)
  }

  #isUp(): void {
    if (this.#up === true || this.#closed) return
    this.#up = true
    this.#options.listener.onUp()
  }

  #reconnect(): void {
    this.#options.clock.setTimeout(() => {
      if (this.#closed || this.#up === true) return
      void this.#connect().then(() => this.#reconnect())
    }, RECONNECT_DELAY)
  }

  async #connect(): Promise<void> {
    await this.exchange(async () => {}).catch(() => {})
  }
}
