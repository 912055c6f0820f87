import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'

/** The most and the fewest ticks asked for in one call. */
const MAX_SLICE = 64
const MIN_SLICE = 16

/** The most where nobody else asks, and no call goes through a network. */
const MAX_SLICE_ALONE = 256

/**
 * A busy second is asked for in about this many calls, with a turn of the event loop after each, so that replicas which
 * wake at the same time get a share of it each.
 */
const SLICES = 8

/** Jobs that wait to be asked for: those of a block, or some that are in none. */
export class DueGroup {
  readonly block: JobBlock | null
  /** The tick that all of them wait with; `null` when each has one of its own, in `pending`. */
  tick: DueTick | null
  #jobs: readonly JobRecord[]
  #at = 0

  constructor(block: JobBlock | null, jobs: readonly JobRecord[], tick: DueTick | null = null) {
    this.block = block
    this.tick = tick
    this.#jobs = jobs
  }

  get size(): number {
    return this.#jobs.length - this.#at
  }

  /** Lets each job wait by itself with the tick they have together. */
  spread(): void {
    const { tick } = this
    if (tick === null) return
    this.#jobs = this.#jobs.slice(this.#at)
    this.#at = 0
    this.tick = null
    if (this.block !== null) this.block.waiting = null
    for (const job of this.#jobs) letWait(job, tick)
  }

  /** Takes the first of the jobs out, each with its tick. */
  take(limit: number): readonly JobRecord[] {
    const isWhole = limit >= this.size
    // What is left of a shared block is not what its name says.
    if (isWhole || this.block?.isShared) this.spread()
    const taken = this.#jobs.slice(this.#at, this.#at + limit)
    this.#at += taken.length
    if (this.tick !== null) for (const job of taken) letWait(job, this.tick)
    return taken
  }
}

function letWait(job: JobRecord, tick: DueTick): void {
  job.addDue(tick)
  job.enterQueue()
}

/** What is taken from the queue. */
export interface TakenJobs {
  readonly block: JobBlock | null
  readonly jobs: readonly JobRecord[]
}

/** Jobs whose due tick waits to be claimed; each job is in it once at most. */
export class DueQueue {
  readonly #shuffle: ((items: unknown[]) => void) | null
  #groups: DueGroup[] = []
  #head = 0
  /** What has arrived since: whole blocks, and jobs that wait one by one, by their shared block. */
  #arrived: DueGroup[] = []
  readonly #arrivedJobs = new Map<JobBlock | null, JobRecord[]>()
  #size = 0

  /** @param shuffle puts what arrives at one time into an order of this replica's own; `null` keeps it */
  constructor(shuffle: ((items: unknown[]) => void) | null) {
    this.#shuffle = shuffle
  }

  /** How many jobs wait. */
  get size(): number {
    return this.#size
  }

  push(job: JobRecord): void {
    this.#size++
    const block = job.block?.isShared ? job.block : null
    const jobs = this.#arrivedJobs.get(block)
    if (jobs === undefined) this.#arrivedJobs.set(block, [job])
    else jobs.push(job)
  }

  /** Lets all jobs of a block wait with a tick. */
  pushBlock(block: JobBlock, tick: DueTick): void {
    // Where the order is kept, it is behind the jobs that came before.
    if (this.#shuffle === null) this.#gather()
    const group = new DueGroup(block, block.jobs, tick)
    block.waiting = group
    this.#arrived.push(group)
    this.#size += group.size
  }

  /** The next jobs to ask for: a share of those that wait, `limit` at most; a whole block, where they fit. */
  take(limit: number): TakenJobs[] {
    this.#arrange()
    const most = this.#shuffle === null ? MAX_SLICE_ALONE : MAX_SLICE
    const first = this.#groups[this.#head]
    // Split, a block's jobs would be asked for, and looked at by all other replicas, one by one.
    const block = first?.block?.isShared ? Math.min(most, first.size) : 0
    let left = Math.min(limit, Math.max(MIN_SLICE, block, Math.min(most, Math.ceil(this.#size / SLICES))))
    const taken: TakenJobs[] = []
    for (let group = this.#groups[this.#head]; group !== undefined && left > 0; group = this.#groups[this.#head]) {
      const isWhole = group.size <= left
      if (!isWhole && group.block?.isShared && taken.length > 0) break
      const jobs = group.take(left)
      taken.push({ block: group.block, jobs })
      left -= jobs.length
      this.#size -= jobs.length
      if (isWhole) this.#head++
    }
    return taken
  }

  /** The groups that are to be taken next, `limit` at most. */
  peek(limit: number): readonly DueGroup[] {
    return this.#groups.slice(this.#head, this.#head + limit)
  }

  /** Takes a group out whose jobs wait with one tick. */
  drop(group: DueGroup): void {
    const index = this.#groups.indexOf(group, this.#head)
    if (index < 0) return
    this.#size -= group.size
    if (group.block !== null) group.block.waiting = null
    this.#groups.splice(index, 1)
  }

  /** Empties the queue, and returns what was in it. */
  clear(): JobRecord[] {
    this.#arrange()
    const left = this.#groups.slice(this.#head).flatMap((group) => group.take(group.size))
    this.#groups = []
    this.#head = 0
    this.#size = 0
    return left
  }

  /** Puts what has arrived behind what waits, those of a block together. */
  #arrange(): void {
    this.#gather()
    if (this.#arrived.length === 0) return
    this.#shuffle?.(this.#arrived)
    this.#groups = this.#groups.slice(this.#head).concat(this.#arrived)
    this.#head = 0
    this.#arrived = []
  }

  /** Makes groups of the jobs that have arrived one by one. */
  #gather(): void {
    if (this.#arrivedJobs.size === 0) return
    for (const [block, jobs] of this.#arrivedJobs) {
      this.#shuffle?.(jobs)
      this.#arrived.push(new DueGroup(block, jobs))
    }
    this.#arrivedJobs.clear()
  }
}
