import type { Trigger } from '../../types/trigger.js'
import { hash32 } from '../hash.js'
import type { JobRecord } from '../job-record.js'

/** How many jobs a block has at most, on average. */
const BLOCK_SIZE = 32

/** A block of fewer jobs would save less than it costs. */
const MIN_NAMED = 4

/**
 * Jobs of one trigger that are asked for together. Replicas with the same jobs have the same blocks, under the same names:
 * so that one word of the store's says of all of its jobs that their tick is taken.
 */
export class Block {
  readonly jobs: JobRecord[] = []
  readonly #set: BlockSet
  #name: string | null = null

  constructor(set: BlockSet) {
    this.#set = set
  }

  /** What only a block with the same jobs, defined in the same way, is called; `null` for one that is not worth a name. */
  get name(): string | null {
    if (this.jobs.length < MIN_NAMED) return null
    if (this.#name === null) {
      // Sums, as the jobs may have come in any order.
      let low = 0
      let high = 0
      for (const { id, definitionWords } of this.jobs) {
        const { trigger, options } = definitionWords
        low = (low + hash32(`${trigger}.${options} ${id}`)) >>> 0
        high = (high + hash32(`${id} ${options}.${trigger}`)) >>> 0
      }
      this.#name = `${this.jobs.length}-${low.toString(36)}-${high.toString(36)}`
    }
    return this.#name
  }

  add(job: JobRecord): void {
    job.block = this
    this.jobs.push(job)
    this.#name = null
  }

  /** Takes a job out, as it was removed or will be another. */
  remove(job: JobRecord): void {
    this.jobs.splice(this.jobs.indexOf(job), 1)
    job.block = null
    this.#name = null
    this.#set.onRemoved()
  }
}

/** The blocks of one trigger. Which block a job is in follows from its id and from how many jobs there are. */
class BlockSet {
  readonly #onEmpty: () => void
  #blocks: readonly Block[] = [new Block(this)]
  #size = 0

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty
  }

  add(job: JobRecord): void {
    this.#size++
    this.#blockOf(job).add(job)
    this.#split()
  }

  onRemoved(): void {
    this.#size--
    if (this.#size === 0) this.#onEmpty()
    else this.#split()
  }

  /** Makes the blocks anew when there are too many jobs for them, or too few. */
  #split(): void {
    const count = 2 ** Math.ceil(Math.log2(Math.max(1, this.#size / BLOCK_SIZE)))
    if (count === this.#blocks.length) return
    const before = this.#blocks
    this.#blocks = Array.from({ length: count }, () => new Block(this))
    for (const { jobs } of before) for (const job of jobs) this.#blockOf(job).add(job)
  }

  #blockOf({ id }: JobRecord): Block {
    return this.#blocks[hash32(id) & (this.#blocks.length - 1)] as Block
  }
}

/** All blocks of a process. */
export class Blocks {
  readonly #sets = new Map<Trigger, BlockSet>()

  /**
   * Puts a job into a block, or takes it out, as it stands now. Those are in one whose ticks are all asked for in the same
   * way: without jitter, and neither paused nor with late ticks of their own.
   */
  update(job: JobRecord): void {
    const { coalesce, jitter, lockTtl } = job.definition
    const isMember =
      !job.paused && jitter === 0 && coalesce !== 'all' && lockTtl !== null && job.trigger.afterCompletion === null
    if (isMember === (job.block !== null)) return
    if (isMember) this.#setOf(job.trigger).add(job)
    else job.block?.remove(job)
  }

  #setOf(trigger: Trigger): BlockSet {
    let set = this.#sets.get(trigger)
    if (set === undefined) {
      set = new BlockSet(() => this.#sets.delete(trigger))
      this.#sets.set(trigger, set)
    }
    return set
  }
}
