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
  /** In which order its ticks are requested: 0 for those of the highest priority. */
  readonly lane: number
  readonly fingerprint: Fingerprint
  readonly trigger: Trigger
  readonly paused: boolean
  readonly stats: JobStats
  /** The job's own due tick; `null` when it has none, or waits with its block. */
  readonly pending: object | null
  readonly takenUntil: number
  noteTakenAtLeast(tick: number): void
  /** The block that the job belongs to; `null` when its ticks are requested on their own. */
  block: Block<Job> | null
  /** The job's index in `block.jobs`. */
  blockIndex: number
}

/** A block's entry in the queue, while its jobs wait with a common tick. */
export interface WaitingGroup {
  /** Gives each job the common tick as its own. */
  spread(): void
}

/**
 * Jobs of one trigger and one lane that come due, wait and are requested together, without any work per job before that. Replicas
 * with the same jobs have the same blocks under the same names, so the store can say with one name that the tick of all
 * of a block's jobs is taken.
 */
export class Block<Job extends BlockMember<Job>> {
  readonly jobs: Job[] = []
  /** Whether the block may have a name, that is, whether other replicas may have it too. */
  readonly isShared: boolean
  /** The lane of all of the jobs. */
  readonly lane: number
  /** The block's entry in the queue; `null` while its jobs do not wait with a common tick. */
  waiting: WaitingGroup | null = null
  /** How many of the jobs have a due tick of their own. */
  pending = 0
  #name: string | null = null
  /** How many ticks other replicas have taken that are not yet counted in the jobs' statistics. */
  #takenElsewhere = 0
  /** The latest tick known to be taken for all of the jobs, but not yet noted in each of them. */
  #takenUntil = Number.NEGATIVE_INFINITY

  constructor(isShared: boolean, lane: number) {
    this.isShared = isShared
    this.lane = lane
  }

  /**
   * A name that only a block of the same jobs with the same definitions has; `null` if not shared, or too small for
   * one.
   */
  get name(): string | null {
    if (!this.isShared || this.jobs.length < MIN_JOBS) return null
    if (this.#name === null) {
      // Sums do not depend on the order in which the jobs were added.
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

  /** Whether the jobs can wait together when the next tick is due. */
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

  /** Counts a tick that other replicas have taken for all of the jobs. */
  countTakenElsewhere(): void {
    this.#takenElsewhere++
  }

  /** Notes that a tick is taken for all of the jobs. */
  noteTaken(scheduledTime: number): void {
    this.#takenUntil = Math.max(this.#takenUntil, scheduledTime)
  }

  /** Notes in each job the latest tick known to be taken for all of them. */
  flushTaken(): void {
    const taken = this.#takenUntil
    if (taken === Number.NEGATIVE_INFINITY) return
    this.#takenUntil = Number.NEGATIVE_INFINITY
    for (const job of this.jobs) job.noteTakenAtLeast(taken)
  }

  /** Adds what was counted for all of the jobs to the statistics of each. */
  flushCounts(): void {
    if (this.#takenElsewhere === 0) return
    for (const { stats } of this.jobs) stats.count(SKIPPED_COUNTER.claimed_elsewhere, this.#takenElsewhere)
    this.#takenElsewhere = 0
  }

  /** Called before a job joins or leaves: hands each job what they had in common. */
  #change(): void {
    this.waiting?.spread()
    this.flushCounts()
    this.flushTaken()
    this.#name = null
  }
}

/**
 * The jobs of one trigger and one lane. If blocks are shared, a job's id and the number of jobs in blocks determine which block it
 * is in; if not, there is a single block.
 */
class BlockSet<Job extends BlockMember<Job>> {
  blocks: readonly Block<Job>[]
  /** The jobs that are in no block; usually there are none. */
  #alone: Set<Job> | null = null
  readonly #isShared: boolean
  readonly lane: number
  /** The jobs of the same trigger and another lane; mostly there are none. */
  other: BlockSet<Job> | null
  #size = 0

  constructor(isShared: boolean, lane: number, other: BlockSet<Job> | null) {
    this.#isShared = isShared
    this.lane = lane
    this.other = other
    this.blocks = [new Block<Job>(isShared, lane)]
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

  /** Redistributes the jobs when they are too many or too few for the number of blocks. */
  #split(): void {
    if (!this.#isShared) return
    const count = 2 ** Math.ceil(Math.log2(Math.max(1, this.#size / BLOCK_SIZE)))
    if (count === this.blocks.length) return
    const jobs = this.blocks.flatMap((block) => [...block.jobs])
    for (const job of jobs) job.block?.remove(job)
    this.blocks = Array.from({ length: count }, () => new Block<Job>(true, this.lane))
    for (const job of jobs) this.#blockOf(job).add(job)
  }

  #blockOf({ id }: Job): Block<Job> {
    return this.blocks[hash32(id) & (this.blocks.length - 1)] as Block<Job>
  }
}

/** The jobs of one trigger and one lane, as they come due. */
export interface JobsOfTrigger<Job extends BlockMember<Job>> {
  /** Jobs that are in no block. */
  readonly alone: Iterable<Job>
  readonly blocks: readonly Block<Job>[]
  /** The jobs of the same trigger and another lane. */
  readonly other: JobsOfTrigger<Job> | null
}

/** The set of a job's lane, among those of its trigger. */
function setOf<Job extends BlockMember<Job>>(first: BlockSet<Job> | null, { lane }: Job): BlockSet<Job> | null {
  let set = first
  while (set !== null && set.lane !== lane) set = set.other
  return set
}

/** All jobs of a process, in blocks as far as possible. */
export class Blocks<Job extends BlockMember<Job>> {
  readonly #isShared: boolean
  readonly #sets = new Map<Trigger, BlockSet<Job>>()

  /** @param isShared whether other replicas may have the same jobs, and so the same blocks */
  constructor(isShared: boolean) {
    this.#isShared = isShared
  }

  /** The jobs of a trigger and one of its lanes, with those of further lanes in `other`; `undefined` when there are none. */
  of(trigger: Trigger): JobsOfTrigger<Job> | undefined {
    return this.#sets.get(trigger)
  }

  add(job: Job): void {
    const first = this.#sets.get(job.trigger) ?? null
    let set = setOf(first, job)
    if (set === null) {
      set = new BlockSet<Job>(this.#isShared, job.lane, first)
      this.#sets.set(job.trigger, set)
    }
    set.add(job)
  }

  /** Removes a job that is removed from the process or about to be redefined. */
  remove(job: Job): void {
    const first = this.#sets.get(job.trigger) ?? null
    const set = setOf(first, job)
    if (first === null || set === null) return
    set.delete(job)
    if (!set.isEmpty) return
    if (set !== first) {
      let before = first
      while (before.other !== null && before.other !== set) before = before.other
      before.other = set.other
    } else if (set.other !== null) this.#sets.set(job.trigger, set.other)
    else this.#sets.delete(job.trigger)
  }

  /** Moves a job that was paused or resumed out of its block or into one. */
  update(job: Job): void {
    if (isMember(job) === (job.block !== null)) return
    this.remove(job)
    this.add(job)
  }

  /** Adds what was counted for whole blocks to the statistics of each job. */
  flushCounts(): void {
    for (const first of this.#sets.values()) {
      for (let set: BlockSet<Job> | null = first; set !== null; set = set.other) {
        for (const block of set.blocks) block.flushCounts()
      }
    }
  }
}

/**
 * Whether a job can be in a block: its ticks are claimed, come at the trigger's times, and need no work of their own
 * when another replica takes them.
 */
function isMember({
  definition,
  trigger,
  paused
}: Pick<BlockMember<never>, 'definition' | 'trigger' | 'paused'>): boolean {
  const { coalesce, jitter, lockTtl, onRedisError, recovery, overlap } = definition
  return (
    !paused &&
    jitter === 0 &&
    lockTtl !== null &&
    coalesce !== 'all' &&
    recovery === 'none' &&
    overlap === 'skip' &&
    onRedisError === 'skip' &&
    !isFromCompletion(trigger)
  )
}
