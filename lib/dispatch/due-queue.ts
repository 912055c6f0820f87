import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'

/** The most and the fewest ticks requested in one call. */
const MAX_SLICE = 64
const MIN_SLICE = 16

/** The most ticks in one call when there are no other replicas, and no network to cross. */
const MAX_SLICE_ALONE = 256

/**
 * The ticks of a busy second are requested in about this many calls, with a turn of the event loop after each, so that
 * replicas which wake at the same time each get a share.
 */
const SLICES = 8

/** Queued jobs: all from one block, or all from none. */
export class DueGroup {
  readonly block: JobBlock | null
  /** The tick that all of them wait with; `null` when each job has its own, in `pending`. */
  tick: DueTick | null
  #jobs: readonly JobRecord[]
  #start = 0

  constructor(block: JobBlock | null, jobs: readonly JobRecord[], tick: DueTick | null = null) {
    this.block = block
    this.tick = tick
    this.#jobs = jobs
  }

  get size(): number {
    return this.#jobs.length - this.#start
  }

  /** Gives each job the common tick as its own. */
  spread(): void {
    const { tick } = this
    if (tick === null) return
    this.#jobs = this.#jobs.slice(this.#start)
    this.#start = 0
    this.tick = null
    if (this.block !== null) this.block.waiting = null
    for (const job of this.#jobs) makeDue(job, tick)
  }

  /** Removes the first jobs, `limit` at most; each then has its own tick. */
  takeFirst(limit: number): readonly JobRecord[] {
    const isWhole = limit >= this.size
    // The rest of a shared block is not the block that its name stands for, so it cannot wait with a common tick.
    if (isWhole || this.block?.isShared) this.spread()
    const taken = this.#jobs.slice(this.#start, this.#start + limit)
    this.#start += taken.length
    if (this.tick !== null) for (const job of taken) makeDue(job, this.tick)
    return taken
  }
}

function makeDue(job: JobRecord, tick: DueTick): void {
  job.addDue(tick)
  job.enterQueue()
}

/** Jobs taken from the queue, and the block they are from. */
export interface TakenJobs {
  readonly block: JobBlock | null
  readonly jobs: readonly JobRecord[]
}

/** Jobs whose due tick waits to be requested. A job is in the queue once at most. */
export class DueQueue {
  readonly #shuffle: ((items: unknown[]) => void) | null
  #groups: DueGroup[] = []
  #head = 0
  /** Arrivals not yet in `#groups`: whole blocks here, single jobs by their shared block in `#arrivedJobs`. */
  #arrived: DueGroup[] = []
  readonly #arrivedJobs = new Map<JobBlock | null, JobRecord[]>()
  #size = 0

  /**
   * @param shuffle puts what arrives together into an order of this replica's own; `null` keeps the order of arrival
   */
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

  /** Queues all jobs of a block with one tick. */
  pushBlock(block: JobBlock, tick: DueTick): void {
    // Without a shuffle, the block must stay behind the single jobs that came before it.
    if (this.#shuffle === null) this.#groupArrivals()
    const group = new DueGroup(block, block.jobs, tick)
    block.waiting = group
    this.#arrived.push(group)
    this.#size += group.size
  }

  /**
   * Removes the next jobs to request: a share of the queue, `limit` at most, and a shared block as a whole if it fits.
   */
  takeNext(limit: number): TakenJobs[] {
    this.#admitArrivals()
    const maxSlice = this.#shuffle === null ? MAX_SLICE_ALONE : MAX_SLICE
    const first = this.#groups[this.#head]
    // The jobs of a split block would be requested one by one, by this replica and by all others.
    const blockSize = first?.block?.isShared ? Math.min(maxSlice, first.size) : 0
    let left = Math.min(limit, Math.max(MIN_SLICE, blockSize, Math.min(maxSlice, Math.ceil(this.#size / SLICES))))
    const taken: TakenJobs[] = []
    for (let group = this.#groups[this.#head]; group !== undefined && left > 0; group = this.#groups[this.#head]) {
      const isWhole = group.size <= left
      if (!isWhole && group.block?.isShared && taken.length > 0) break
      const jobs = group.takeFirst(left)
      taken.push({ block: group.block, jobs })
      left -= jobs.length
      this.#size -= jobs.length
      if (isWhole) this.#head++
    }
    return taken
  }

  /** The next groups, `limit` at most; they stay in the queue. */
  peek(limit: number): readonly DueGroup[] {
    return this.#groups.slice(this.#head, this.#head + limit)
  }

  /** Removes a group whose jobs wait with a common tick. */
  drop(group: DueGroup): void {
    const index = this.#groups.indexOf(group, this.#head)
    if (index < 0) return
    this.#size -= group.size
    if (group.block !== null) group.block.waiting = null
    this.#groups.splice(index, 1)
  }

  /** Empties the queue and returns the jobs that were in it. */
  clear(): JobRecord[] {
    this.#admitArrivals()
    const left = this.#groups.slice(this.#head).flatMap((group) => group.takeFirst(group.size))
    this.#groups = []
    this.#head = 0
    this.#size = 0
    return left
  }

  /** Moves the arrivals to the end of the queue. */
  #admitArrivals(): void {
    this.#groupArrivals()
    if (this.#arrived.length === 0) return
    this.#shuffle?.(this.#arrived)
    this.#groups = this.#groups.slice(this.#head).concat(this.#arrived)
    this.#head = 0
    this.#arrived = []
  }

  /** Makes groups of the jobs that arrived one by one, one group for each shared block. */
  #groupArrivals(): void {
    if (this.#arrivedJobs.size === 0) return
    for (const [block, jobs] of this.#arrivedJobs) {
      this.#shuffle?.(jobs)
      this.#arrived.push(new DueGroup(block, jobs))
    }
    this.#arrivedJobs.clear()
  }
}
