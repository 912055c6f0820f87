import type { JobRecord } from '../job-record.js'
import type { Block } from './blocks.js'

/** The most and the fewest ticks asked for in one call. */
const MAX_SLICE = 64
const MIN_SLICE = 16

/**
 * A busy second is asked for in about this many calls, with a turn of the event loop after each, so that replicas which
 * wake at the same time get a share of it each.
 */
const SLICES = 8

/** Jobs that came due together: of one block, or of none. */
export interface DueGroup {
  readonly block: Block | null
  readonly jobs: readonly JobRecord[]
}

/** Jobs whose due tick waits to be claimed; each job is in it once at most. */
export class DueQueue {
  readonly #shuffle: ((items: unknown[]) => void) | null
  #groups: DueGroup[] = []
  #head = 0
  #arrived: JobRecord[] = []
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
    this.#arrived.push(job)
    this.#size++
  }

  /** The next jobs to ask for: a share of those that wait, `limit` at most. Blocks are left whole where they fit. */
  take(limit: number): DueGroup[] {
    this.#arrange()
    let left = Math.min(limit, Math.max(MIN_SLICE, Math.min(MAX_SLICE, Math.ceil(this.#size / SLICES))))
    const taken: DueGroup[] = []
    for (let group = this.#groups[this.#head]; group !== undefined && left > 0; group = this.#groups[this.#head]) {
      const { block, jobs } = group
      if (jobs.length > left) {
        if (block !== null && taken.length > 0) break
        taken.push({ block, jobs: jobs.slice(0, left) })
        this.#groups[this.#head] = { block, jobs: jobs.slice(left) }
        left = 0
      } else {
        taken.push(group)
        left -= jobs.length
        this.#head++
      }
    }
    for (const { jobs } of taken) this.#size -= jobs.length
    return taken
  }

  /** The groups that are to be taken next, `limit` at most. */
  peek(limit: number): readonly DueGroup[] {
    return this.#groups.slice(this.#head, this.#head + limit)
  }

  /** Takes some jobs of a group out. */
  drop(group: DueGroup, isToGo: (job: JobRecord) => boolean): void {
    const at = this.#groups.indexOf(group, this.#head)
    if (at < 0) return
    const jobs = group.jobs.filter((job) => !isToGo(job))
    this.#size -= group.jobs.length - jobs.length
    if (jobs.length > 0) this.#groups[at] = { block: group.block, jobs }
    else this.#groups.splice(at, 1)
  }

  /** Empties the queue, and returns what was in it. */
  clear(): JobRecord[] {
    const left = [...this.#groups.slice(this.#head).flatMap(({ jobs }) => jobs), ...this.#arrived]
    this.#groups = []
    this.#head = 0
    this.#arrived = []
    this.#size = 0
    return left
  }

  /** Puts what has arrived behind what waits, those of a block together. */
  #arrange(): void {
    if (this.#arrived.length === 0) return
    const byBlock = new Map<Block | null, JobRecord[]>()
    for (const job of this.#arrived) {
      const jobs = byBlock.get(job.block)
      if (jobs === undefined) byBlock.set(job.block, [job])
      else jobs.push(job)
    }
    const arrived: DueGroup[] = []
    for (const [block, jobs] of byBlock) {
      this.#shuffle?.(jobs)
      arrived.push({ block, jobs })
    }
    this.#shuffle?.(arrived)
    this.#groups = this.#groups.slice(this.#head).concat(arrived)
    this.#head = 0
    this.#arrived = []
  }
}
