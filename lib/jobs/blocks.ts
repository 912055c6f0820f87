import type { Fingerprint } from '../../types/coordination.js'
import type { Trigger } from '../../types/trigger.js'
import { hash32 } from '../base/hash.js'
import { isFromCompletion } from '../triggers/index.js'
import type { JobDefinition } from './definition.js'
import { type JobStats, SKIPPED_COUNTER } from './stats.js'

/** How many jobs a block has at most, on average. */
const BLOCK_SIZE = 32

/** A block of fewer jobs would save less than it costs. */
const MIN_JOBS = 4

/** A job as a block sees it. */
export interface BlockMember<Job extends BlockMember<Job>> {
  readonly id: string
  readonly definition: JobDefinition
  readonly fingerprint: Fingerprint
  readonly trigger: Trigger
  readonly paused: boolean
  readonly stats: JobStats
  /** Whether it has a tick of its own that waits. */
  readonly pending: object | null
  readonly takenUntil: number
  noteTakenAtLeast(tick: number): void
  /** The block with which it is asked for; `null` when it is asked for alone. */
  block: Block<Job> | null
  /** Its place in the block. */
  blockIndex: number
}

/** Where a block's jobs wait together to be asked for. */
export interface WaitingTogether {
  /** Lets each job wait by itself with the tick they have together. */
  spread(): void
}

/**
 * Jobs of one trigger that come due together, wait together and are asked for together: nothing is done for each of them
 * before. Replicas with the same jobs have the same blocks, under the same names, so that one word of the store's says of all
 * jobs of a block that their tick is taken.
 */
export class Block<Job extends BlockMember<Job>> {
  readonly jobs: Job[] = []
  /** Whether it may have a name. */
  readonly isShared: boolean
  /** Where they wait together with one tick; `null` while they do not. */
  waiting: WaitingTogether | null = null
  /** How many of the jobs have a tick of their own that waits. */
  pending = 0
  #name: string | null = null
  /** How many ticks others have taken, which are not yet in the jobs' own numbers. */
  #takenElsewhere = 0
  /** The latest tick that is known to be taken of all of them, and not yet in the jobs themselves. */
  #takenUntil = Number.NEGATIVE_INFINITY

  constructor(isShared: boolean) {
    this.isShared = isShared
  }

  /** What only a block with the same jobs, defined in the same way, is called; `null` for one that is not shared, or not worth a name. */
  get name(): string | null {
    if (!this.isShared || this.jobs.length < MIN_JOBS) return null
    if (this.#name === null) {
      // Sums, as the jobs may have come in any order.
      let low = 0
      let high = 0
      for (const { id, fingerprint } of this.jobs) {
        const { trigger, options } = fingerprint
        low = (low + hash32(`${trigger}.${options} ${id}`)) >>> 0
        high = (high + hash32(`${id} ${options}.${trigger}`)) >>> 0
      }
      this.#name = `${this.jobs.length}-${low.toString(36)}-${high.toString(36)}`
    }
    return this.#name
  }

  /** Whether its jobs can wait for the next tick together. */
  get isFree(): boolean {
    return this.waiting === null && this.pending === 0 && this.jobs.length >= MIN_JOBS
  }

  add(job: Job): void {
    this.#change()
    job.block = this
    job.blockIndex = this.jobs.length
    if (job.pending !== null) this.pending++
    this.jobs.push(job)
  }

  remove(job: Job): void {
    this.#change()
    job.block = null
    if (job.pending !== null) this.pending--
    const last = this.jobs.pop() as Job
    if (last === job) return
    this.jobs[job.blockIndex] = last
    last.blockIndex = job.blockIndex
  }

  /** Another replica has taken a tick of all its jobs. */
  countTakenElsewhere(): void {
    this.#takenElsewhere++
  }

  /** A tick of all its jobs is known to be taken. */
  noteTaken(scheduledTime: number): void {
    this.#takenUntil = Math.max(this.#takenUntil, scheduledTime)
  }

  /** Puts into the jobs themselves what is known to be taken of all of them. */
  flushTaken(): void {
    const taken = this.#takenUntil
    if (taken === Number.NEGATIVE_INFINITY) return
    this.#takenUntil = Number.NEGATIVE_INFINITY
    for (const job of this.jobs) job.noteTakenAtLeast(taken)
  }

  /** Puts into the jobs' own numbers what was counted for all of them. */
  flushCounts(): void {
    if (this.#takenElsewhere === 0) return
    for (const { stats } of this.jobs) stats.count(SKIPPED_COUNTER.claimed_elsewhere, this.#takenElsewhere)
    this.#takenElsewhere = 0
  }

  /** Its jobs will be others: what they had together each has by itself. */
  #change(): void {
    this.waiting?.spread()
    this.flushCounts()
    this.flushTaken()
    this.#name = null
  }
}

/**
 * The jobs of one trigger. Which block a job is in follows from its id and from how many of them are in blocks; where they
 * are not shared, all are in one.
 */
class BlockSet<Job extends BlockMember<Job>> {
  blocks: readonly Block<Job>[]
  /** Those that are in no block; most often there are none. */
  #alone: Set<Job> | null = null
  readonly #isShared: boolean
  #size = 0

  constructor(isShared: boolean) {
    this.#isShared = isShared
    this.blocks = [new Block<Job>(isShared)]
  }

  get alone(): Iterable<Job> {
    return this.#alone ?? []
  }

  get isEmpty(): boolean {
    return this.#size + (this.#alone?.size ?? 0) === 0
  }

  add(job: Job): void {
    if (!isMember(job)) {
      this.#alone ??= new Set()
      this.#alone.add(job)
      return
    }
    this.#size++
    this.#blockOf(job).add(job)
    this.#split()
  }

  delete(job: Job): void {
    if (job.block === null) {
      this.#alone?.delete(job)
      return
    }
    this.#size--
    job.block.remove(job)
    this.#split()
  }

  /** Makes the blocks anew when there are too many jobs for them, or too few. */
  #split(): void {
    if (!this.#isShared) return
    const count = 2 ** Math.ceil(Math.log2(Math.max(1, this.#size / BLOCK_SIZE)))
    if (count === this.blocks.length) return
    const jobs = this.blocks.flatMap((block) => [...block.jobs])
    for (const job of jobs) job.block?.remove(job)
    this.blocks = Array.from({ length: count }, () => new Block<Job>(true))
    for (const job of jobs) this.#blockOf(job).add(job)
  }

  #blockOf({ id }: Job): Block<Job> {
    return this.blocks[hash32(id) & (this.blocks.length - 1)] as Block<Job>
  }
}

/** All jobs of a process, in blocks where they can be. */
export class Blocks<Job extends BlockMember<Job>> {
  readonly #isShared: boolean
  readonly #sets = new Map<Trigger, BlockSet<Job>>()

  /** @param isShared whether others ask for the same jobs, and may be told which of them are taken */
  constructor(isShared: boolean) {
    this.#isShared = isShared
  }

  /** The jobs of a trigger; `undefined` when there are none. */
  of(trigger: Trigger): { readonly alone: Iterable<Job>; readonly blocks: readonly Block<Job>[] } | undefined {
    return this.#sets.get(trigger)
  }

  add(job: Job): void {
    let set = this.#sets.get(job.trigger)
    if (set === undefined) {
      set = new BlockSet<Job>(this.#isShared)
      this.#sets.set(job.trigger, set)
    }
    set.add(job)
  }

  /** Takes a job out that is removed, or will have another definition. */
  remove(job: Job): void {
    const set = this.#sets.get(job.trigger)
    if (set === undefined) return
    set.delete(job)
    if (set.isEmpty) this.#sets.delete(job.trigger)
  }

  /** Puts a job into a block, or takes it out, as it has been paused or resumed. */
  update(job: Job): void {
    if (isMember(job) === (job.block !== null)) return
    this.remove(job)
    this.add(job)
  }

  /** Puts into the jobs' own numbers what was counted for whole blocks. */
  flushCounts(): void {
    for (const { blocks } of this.#sets.values()) for (const block of blocks) block.flushCounts()
  }
}

/** Whether a job's ticks are asked for in the same way as those of others: it is claimed, has no ticks of its own, and nothing is done for each tick that another replica takes. */
function isMember({
  definition,
  trigger,
  paused
}: Pick<BlockMember<never>, 'definition' | 'trigger' | 'paused'>): boolean {
  const { coalesce, jitter, lockTtl, onRedisError, recovery } = definition
  return (
    !paused &&
    jitter === 0 &&
    lockTtl !== null &&
    coalesce !== 'all' &&
    recovery === 'none' &&
    onRedisError === 'skip' &&
    !isFromCompletion(trigger)
  )
}
