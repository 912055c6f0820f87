import { copyKnown } from '../base/check.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { VotingStore } from './voting-store.js'

/** The faults of the way between the replicas and a store. All are deterministic, given the simulation's seed. */
export interface Network {
  /** Milliseconds that a request, and its reply, take: each a random time between the two. */
  readonly delay: readonly [least: number, most: number]
  /** The share of requests, from 0 to 1, that take effect and whose reply is lost. */
  readonly lostReplies: number
  /** The share of requests, from 0 to 1, that are lost on their way. */
  readonly lostRequests: number
}

const QUIET: Network = Object.freeze({ delay: [0, 0] as const, lostReplies: 0, lostRequests: 0 })

/** A tick that its replica will not run, and that nobody has claimed since. */
export interface HandedTick {
  readonly jobId: string
  readonly tick: number
  /** The request whose claim it was. */
  readonly by: string
}

/** What stands for a Redis in a simulation: it can be killed, hang, lose its data, and be hard to reach. */
export class SimulatedStore {
  #memory = new VotingStore()
  #state: 'up' | 'down' | 'hung' = 'up'
  #network = QUIET
  #waiting: (() => void)[] = []
  #handed = new Map<string, HandedTick>()
  readonly #replaced = new Set<string>()
  /** @internal called when there is something to hear of */
  readonly onNews = new Set<() => void>()

  /** @internal what it holds */
  get memory(): VotingStore {
    return this.#memory
  }

  /** `down` refuses every request at once, `hung` answers none. */
  get state(): 'up' | 'down' | 'hung' {
    return this.#state
  }

  get network(): Network {
    return this.#network
  }

  /** Every request is refused at once, until it is started again; those that a hung store held are lost. */
  kill(): void {
    this.#state = 'down'
    this.#waiting = []
  }

  /** No request is answered, until it is started again; those that have come by then are executed then. */
  hang(): void {
    this.#state = 'hung'
  }

  /** It answers again, with the data it had. */
  start(): void {
    this.#state = 'up'
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** @internal resolves when a hung store goes on */
  whenStarted(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** @internal notes a tick that was handed back: every reply tells of it until somebody has claimed it */
  noteHandedBack(handed: HandedTick): void {
    this.#handed.set(handed.jobId, handed)
    this.tellNews()
  }

  /** @internal there is something to hear of */
  tellNews(): void {
    for (const listener of this.onNews) listener()
  }

  /** @internal what was handed back, and not claimed since */
  handedBack(): readonly HandedTick[] {
    if (this.#handed.size === 0) return []
    for (const { jobId, tick } of this.#handed.values()) {
      if ((this.#memory.jobs.get(jobId)?.tick ?? -1) >= tick) this.#handed.delete(jobId)
    }
    return [...this.#handed.values()]
  }

  /** @internal notes a run that is to be replaced: replies tell of it until it is over */
  noteReplaced(runId: string): void {
    this.#replaced.add(runId)
  }

  /** @internal the runs that are to be replaced */
  replaced(): readonly string[] {
    if (this.#replaced.size === 0) return []
    const going = new Set<string>()
    for (const { token, slots } of this.#memory.jobs.values()) {
      going.add(token)
      for (const slot of slots?.values() ?? []) going.add(slot.token)
    }
    for (const runId of this.#replaced) if (!going.has(runId)) this.#replaced.delete(runId)
    return [...this.#replaced]
  }

  /** All it holds is lost. */
  wipe(): void {
    this.#handed.clear()
    this.#replaced.clear()
    this.#memory = new VotingStore()
  }

  /**
   * Sets what is wrong with the way to it; what is not given is in order.
   *
   * @throws OptionUnknownError, OptionInvalidError
   */
  disturb(network: Partial<Network> = {}): void {
    this.#network = readNetwork(network)
  }
}

function readNetwork(network: Partial<Network>): Network {
  const read = { ...QUIET, ...copyKnown(network, ['delay', 'lostReplies', 'lostRequests'], 'the network') } as Network
  const { delay } = read
  const isTime = (ms: unknown): boolean => typeof ms === 'number' && Number.isFinite(ms) && ms >= 0
  if (!Array.isArray(delay) || delay.length !== 2 || !delay.every(isTime) || delay[0] > delay[1]) {
    const expected = 'two numbers of milliseconds, the least and the most, of which none is negative'
    throw new OptionInvalidError('delay', expected, show(delay))
  }
  for (const name of ['lostReplies', 'lostRequests'] as const) {
    if (typeof read[name] === 'number' && read[name] >= 0 && read[name] <= 1) continue
    throw new OptionInvalidError(name, 'a number from 0 to 1', show(read[name]))
  }
  return { ...read, delay: [delay[0], delay[1]] }
}
