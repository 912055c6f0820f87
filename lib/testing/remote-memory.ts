import type { CoordinationListener, HistoryBounds, Standing } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'
import { ChangeFeed } from '../coordination/change-feed.js'
import { RedisUnavailableError } from '../errors.js'
import { MemoryNode } from './memory-node.js'
import type { SimulatedLink, SimulatedLinkOptions } from './simulated-link.js'
import type { VotingStore } from './voting-store.js'

/** What `onDefinitionDiffers` is called with. */
export type Differing = Parameters<CoordinationListener['onDefinitionDiffers']>

export interface RemoteMemoryOptions extends SimulatedLinkOptions {
  readonly maxClockSkew: number
  readonly replicaId: string
  readonly history: HistoryBounds | null
}

/** What a simulated store does for one replica, reached over the replica's connection. */
export class RemoteMemory {
  readonly #options: RemoteMemoryOptions
  readonly #link: SimulatedLink
  readonly #feed: ChangeFeed
  /** What the last reply was of: another one after a wipe. */
  #heardOf: VotingStore | null = null
  /** The jobs that the call under way finds to be defined otherwise. */
  #differing: Differing[] = []
  /** The jobs for which the call under way finds something to wait. */
  #waiting: string[] = []
  /** Another one after a wipe. */
  #memory: MemoryNode | null = null
  #memoryOf: VotingStore | null = null

  constructor(options: RemoteMemoryOptions, link: SimulatedLink) {
    this.#options = options
    this.#link = link
    this.#feed = new ChangeFeed({
      read: (after) => {
        const { store } = options
        return this.#exchange(async () => {
          const { changes } = store.memory
          return { changes: changes.after(after), version: changes.version }
        })
      },
      tell: (changes, isComplete) => options.listener.onChanges(changes, isComplete)
    })
    link.isBehind = () => this.#feed.known !== options.store.memory.changes.version
    link.look = () => this.exchange(async () => options.store.handedBack())
  }

  /** @throws Silence */
  async exchange<Value>(operate: (memory: MemoryNode) => Promise<Value>): Promise<Value> {
    const { store, listener } = this.#options
    const known = this.#feed.applied
    const { value, waiting, version, of } = await this.#exchange(async () => {
      const memory = this.#reach()
      memory.noteHeard(known)
      this.#waiting = []
      const answered = operate(memory)
      const waiting = this.#waiting
      return { value: await answered, waiting, version: store.memory.changes.version, of: store.memory }
    })
    // It hears of that with the reply, as from Redis.
    for (const jobId of waiting) listener.onWaiting(jobId)
    if (this.#heardOf !== of) this.#feed.forget()
    this.#heardOf = of
    this.#feed.note(version)
    return value
  }

  async orElse<Value>(operate: (memory: MemoryNode) => Promise<Value>, otherwise: Value): Promise<Value> {
    try {
      return await this.exchange(operate)
    } catch {
      return otherwise
    }
  }

  /** @throws RedisUnavailableError */
  async orThrow<Value>(what: string, operate: (memory: MemoryNode) => Promise<Value>): Promise<Value> {
    try {
      return await this.exchange(operate)
    } catch (cause) {
      throw unavailable(what, cause)
    }
  }

  /** @throws RedisUnavailableError */
  async standing(): Promise<Standing> {
    const askedAt = nextInSequence()
    const standing = await this.orThrow('read what is in force', (memory) => memory.standing())
    this.#feed.noteRead(askedAt)
    return standing
  }

  /** What a call returns, and the jobs it finds to be defined otherwise: a replica hears of them with the reply. */
  differingIn<Value>(call: () => Value): readonly [Value, readonly Differing[]] {
    this.#differing = []
    const value = call()
    return [value, this.#differing]
  }

  async close(): Promise<void> {
    await this.#memory?.close()
  }

  #exchange<Value>(operate: () => Promise<Value>): Promise<Value> {
    return this.#link.exchange(operate)
  }

  #reach(): MemoryNode {
    const { time, store, maxClockSkew, listener, replicaId, history } = this.#options
    if (this.#memory === null || this.#memoryOf !== store.memory) {
      this.#memoryOf = store.memory
      const heard: CoordinationListener = {
        ...listener,
        onUp() {},
        onDown() {},
        onClockStep() {},
        onUnsafe() {},
        onNotice() {},
        // Heard of with a reply.
        onHandedBack() {},
        onChanges() {},
        onReplaced: (runId) => store.noteReplaced(runId),
        onWaiting: (jobId) => void this.#waiting.push(jobId),
        onDefinitionDiffers: (...each) => void this.#differing.push(each)
      }
      this.#memory = new MemoryNode(time, store.memory, maxClockSkew, heard, replicaId, history)
    }
    return this.#memory
  }
}

/** The error for what a simulated store did not do. */
export function unavailable(what: string, cause: unknown): Error {
  return new RedisUnavailableError(what, (cause as Error).message)
}
