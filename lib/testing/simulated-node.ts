import type {
  AcquireAnswer,
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  Confirmation,
  CoordinationListener,
  CoordinationNode,
  CoordinationState,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  JobState,
  ReleaseAnswer,
  SettledClaim,
  SurveyRequest
} from '../../types/coordination.js'
import { EXCHANGE_LIMIT } from '../coordination/deadline.js'
import { FleetClock } from '../coordination/fleet-clock.js'
import { validUntil } from '../coordination/lock-validity.js'
import { MemoryCoordination } from '../coordination/memory.js'
import { SECOND } from '../duration.js'
import { RedisUnavailableError } from '../errors.js'
import type { ReplicaClock } from './replica-clock.js'
import type { SimulatedStore } from './simulated-store.js'
import type { VirtualClock } from './virtual-clock.js'

/** How soon a lost connection is tried again, as of a real Redis. */
const RECONNECT_DELAY = SECOND / 5

/** Why an exchange failed, and whether its request may have been executed. */
class Silence extends Error {
  readonly maybe: boolean

  constructor(message: string, maybe: boolean) {
    super(message)
    this.maybe = maybe
  }
}

export interface SimulatedNodeOptions {
  readonly store: SimulatedStore
  /** The true time, by which the store lives. */
  readonly time: VirtualClock
  readonly clock: ReplicaClock
  readonly random: () => number
  readonly maxClockSkew: number
  readonly listener: CoordinationListener
  /** Whether the replica is cut off from the store. */
  readonly isCutOff: () => boolean
}

/** One replica's coordination over a simulated store, through a network that can delay and lose what it carries. */
export class SimulatedNode implements CoordinationNode {
  readonly #options: SimulatedNodeOptions
  readonly #fleetClock: FleetClock
  #up: boolean | null = null
  #closed = false
  #lastCall: { readonly id: string | undefined; readonly sent: number; maybe: boolean } | null = null
  /** What the store does for this replica; another one after a wipe. */
  #memory: MemoryCoordination | null = null
  #memoryOf: SimulatedStore['memory'] | null = null

  constructor(options: SimulatedNodeOptions) {
    this.#options = options
    this.#fleetClock = new FleetClock(options.clock, () => options.listener.onClockStep())
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#up === true, skew: this.#fleetClock.skew }
  }

  now(): number {
    return this.#fleetClock.now()
  }

  async open(): Promise<void> {
    await this.#connect()
  }

  async claim(
    requests: readonly ClaimRequest[],
    callId?: string,
    blocks?: ClaimBlocks
  ): Promise<readonly ClaimAnswer[]> {
    const sent = this.#options.clock.monotonic()
    const isRepeated = callId !== undefined && callId === this.#lastCall?.id
    const call = isRepeated && this.#lastCall !== null ? this.#lastCall : { id: callId, sent, maybe: false }
    if (callId !== undefined) this.#lastCall = call
    // What the store says is heard when its reply has come, if it does.
    const taken: string[] = []
    const asked = blocks && { ...blocks, onTaken: (name: string) => void taken.push(name) }
    const answers = await this.#try<readonly ClaimAnswer[]>(
      'claim ticks',
      (memory) => memory.claim(requests, callId, asked),
      (error, maybe) => {
        call.maybe ||= maybe
        taken.length = 0
        return requests.map(() => ({ status: 'unavailable', error, maybe: call.maybe }))
      }
    )
    for (const answer of answers) {
      if (answer.status === 'granted' && answer.lock !== null) this.#age(answer.lock, call.sent)
    }
    for (const name of taken) blocks?.onTaken(name)
    return answers
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#options.clock.monotonic()
    const copy = { ...lock }
    const answer = await this.#try<'extended' | 'lost' | 'unavailable'>(
      'extend a lock',
      (memory) => memory.extend(copy),
      () => 'unavailable'
    )
    if (answer === 'extended') {
      lock.validUntil = Math.max(lock.validUntil, validUntil(sent, lock.ttl))
    }
    return answer
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const copies = endings.map(({ lock, finished, unbegun = false }) => ({ lock, finished, unbegun }))
    return this.#try<readonly ReleaseAnswer[]>(
      'release locks',
      (memory) => memory.finish(copies),
      () => endings.map(() => 'unavailable')
    )
  }

  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    return this.#try<readonly HandBackAnswer[]>(
      'take claims back',
      (memory) => memory.handBack(claims, callId),
      () => claims.map(() => 'unavailable')
    )
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    const sent = this.#options.clock.monotonic()
    const answer = await this.#try<AcquireAnswer>(
      'take a lock',
      (memory) => memory.acquire(name, ttl, token),
      (error) => ({ status: 'unavailable', error })
    )
    if (answer.status === 'granted') this.#age(answer.lock, sent)
    return answer
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#try<ReleaseAnswer>(
      'release a lock',
      (memory) => memory.release(lock),
      () => 'unavailable'
    )
  }

  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    return this.#try<readonly boolean[] | null>(
      'confirm claims',
      (memory) => memory.confirm(claims, fencingToken),
      () => null
    )
  }

  settle(claims: readonly SettledClaim[]): Promise<void> {
    return this.#try<void>(
      'settle claims',
      (memory) => memory.settle(claims),
      () => {}
    )
  }

  mend(lock: HeldLock): Promise<boolean> {
    return this.#try<boolean>(
      'take a lock',
      (memory) => memory.mend(lock),
      () => false
    )
  }

  async pause(jobId: string): Promise<void> {
    await this.#orThrow('pause a job', (memory) => memory.pause(jobId))
  }

  async resume(jobId: string): Promise<void> {
    await this.#orThrow('resume a job', (memory) => memory.resume(jobId))
  }

  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return this.#orThrow('read jobs', (memory) => memory.survey(jobs))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#memory?.close()
  }

  async #try<Value>(
    what: string,
    operate: (memory: MemoryCoordination) => Promise<Value>,
    otherwise: (error: Error, maybe: boolean) => Value
  ): Promise<Value> {
    try {
      return await this.#exchange(operate)
    } catch (cause) {
      return otherwise(new RedisUnavailableError(what, (cause as Error).message), (cause as Silence).maybe)
    }
  }

  async #orThrow<Value>(what: string, operate: (memory: MemoryCoordination) => Promise<Value>): Promise<Value> {
    try {
      return await this.#exchange(operate)
    } catch (cause) {
      throw new RedisUnavailableError(what, (cause as Error).message)
    }
  }

  /** A request and its reply; both take their time, and either may be lost. */
  async #exchange<Value>(operate: (memory: MemoryCoordination) => Promise<Value>): Promise<Value> {
    const { store, clock, time, random, isCutOff } = this.#options
    const { delay, lostReplies, lostRequests } = store.network
    if (clock.dead) return new Promise(() => {})
    const sent = clock.monotonic()
    if (store.state === 'down' || isCutOff()) return this.#fail('there is no connection', false)
    const silent = async (maybe: boolean): Promise<never> => {
      await this.#wait(EXCHANGE_LIMIT - (clock.monotonic() - sent))
      return this.#fail(`it did not answer within ${EXCHANGE_LIMIT} ms`, maybe)
    }
    if (store.state === 'hung') {
      // What reached it is executed once it goes on, also when nobody waits for it any more.
      const late = store.whenStarted().then(() => operate(this.#reach(store)))
      const answer = await Promise.race([late.then((value) => ({ value })), this.#wait(EXCHANGE_LIMIT)])
      if (clock.dead) return new Promise(() => {})
      if (answer === undefined) return this.#fail(`it did not answer within ${EXCHANGE_LIMIT} ms`, true)
      this.#isUp()
      return answer.value
    }
    const draw = (): number => delay[0] + random() * (delay[1] - delay[0])
    if (lostRequests > 0 && random() < lostRequests) return silent(true)
    const there = draw()
    // What is on its way arrives, also when its sender has died.
    if (there > 0) await new Promise<void>((resolve) => time.setTimeout(resolve, there))
    const answer = await operate(this.#reach(store))
    const storeTime = time.now()
    if (lostReplies > 0 && random() < lostReplies) return silent(true)
    const back = draw()
    if (back > 0) await this.#wait(back)
    if (clock.dead) return new Promise(() => {})
    if (clock.monotonic() - sent > EXCHANGE_LIMIT) return silent(true)
    this.#fleetClock.sample(sent, storeTime)
    this.#isUp()
    return answer
  }

  #reach({ memory }: SimulatedStore): MemoryCoordination {
    if (this.#memory === null || this.#memoryOf !== memory) {
      const { time, maxClockSkew, clock, listener } = this.#options
      this.#memoryOf = memory
      this.#memory = new MemoryCoordination(time, memory, maxClockSkew, {
        ...listener,
        onUp() {},
        onDown() {},
        onClockStep() {},
        onUnsafe() {},
        onHandedBack: (jobId, tick) => {
          if (!clock.dead && this.#up === true) clock.setImmediate(() => listener.onHandedBack(jobId, tick))
        },
        onDefinitionDiffers: (jobId, tick) => {
          if (!clock.dead) listener.onDefinitionDiffers(jobId, tick)
        }
      })
    }
    return this.#memory
  }

  /** A lock is believed in from when it was asked for, not from when the store set it. */
  #age(lock: HeldLock, sent: number): void {
    lock.validUntil = validUntil(sent, lock.ttl)
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimeout(resolve, Math.max(0, ms)))
  }

  #fail(reason: string, maybe: boolean): never {
    const silence = new Silence(reason, maybe)
    if (this.#up !== false && !this.#closed) {
      this.#up = false
      this.#options.listener.onDown(new RedisUnavailableError('be reached', reason))
      this.#reconnect()
    }
    throw silence
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
    await this.#exchange(async () => {}).catch(() => {})
  }
}
