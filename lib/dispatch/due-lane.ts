import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { DueGroup } from './due-group.js'

/** The jobs of one priority whose due tick waits to be requested, in the order in which they are. */
export class DueLane {
  /** How many ticks of higher priorities were taken since the last of this one, see `DueQueue`. */
  passed = 0
  readonly #shuffle: ((items: unknown[]) => void) | null
  #groups: DueGroup[] = []
  #head = 0
  /** Arrivals not yet in `#groups`: whole blocks here, single jobs by their shared block in `#arrivedJobs`. */
  #arrived: DueGroup[] = []
  readonly #arrivedJobs = new Map<JobBlock | null, JobRecord[]>()
  #size = 0

  /** @param shuffle as in `DueQueue` */
  constructor(shuffle: ((items: unknown[]) => void) | null) {
    this.#shuffle = shuffle
  }

  /** How many jobs wait. */
  get size(): number {
    return this.#size
  }

  /** The next group, of those admitted. */
  get first(): DueGroup | undefined {
    return this.#groups[this.#head]
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
    const group = new DueGroup(block, block.jobs, tick)
    block.waiting = group
    this.pushGroup(group)
  }

  /** Queues a group. */
  pushGroup(group: DueGroup): void {
    // Without a shuffle, the group must stay behind the single jobs that came before it.
    if (this.#shuffle === null) this.#groupArrivals()
    this.#arrived.push(group)
    this.#size += group.size
  }

  /** Moves the arrivals to the end of the lane. */
  admitArrivals(): void {
    this.#groupArrivals()
    if (this.#arrived.length === 0) return
    this.#shuffle?.(this.#arrived)
    this.#groups = this.#groups.slice(this.#head).concat(this.#arrived)
    this.#head = 0
    this.#arrived = []
  }

  /** Removes the first jobs of the next group, `limit` at most. */
  takeFirst(limit: number): readonly JobRecord[] {
    const group = this.#groups[this.#head] as DueGroup
    const isWhole = group.size <= limit
    const jobs = group.takeFirst(limit)
    this.#size -= jobs.length
    if (isWhole) this.#head++
    return jobs
  }

  /** The next groups, `limit` at most; they stay in the lane. */
  peek(limit: number): readonly DueGroup[] {
    return this.#groups.slice(this.#head, this.#head + limit)
  }

  /** Removes a group whose jobs wait with a common tick; returns whether it was in the lane. */
  drop(group: DueGroup): boolean {
    const index = this.#groups.indexOf(group, this.#head)
    if (index < 0) return false
    this.#size -= group.size
    if (group.block !== null) group.block.waiting = null
    this.#groups.splice(index, 1)
    return true
  }

  /** Empties the lane and returns the groups that were in it. */
  clear(): DueGroup[] {
    this.admitArrivals()
    const groups = this.#groups.slice(this.#head)
    this.#groups = []
    this.#head = 0
    this.#size = 0
    return groups
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
