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

/** A group of which the jobs before `at` are taken already. */
interface Waiting {
  readonly block: Block | null
  jobs: JobRecord[]
  at: number
}

/** Jobs whose due tick waits to be claimed; each job is in it once at most. */
export class DueQueue {
  readonly #shuffle: ((items: unknown[]) => void) | null
  #groups: Waiting[] = []
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
      const { block, at } = group
      const isWhole = group.jobs.length - at <= left
      if (!isWhole && block !== null && taken.length > 0) break
      const jobs = group.jobs.slice(at, at + left)
      taken.push({ block, jobs })
      left -= jobs.length
      group.at += jobs.length
      if (isWhole) this.#head++
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
    const index = this.#groups.indexOf(group as Waiting, this.#head)
    const waiting = this.#groups[index]
    if (waiting === undefined) return
    const before = waiting.jobs.length - waiting.at
    waiting.jobs = waiting.jobs.slice(waiting.at).filter((job) => !isToGo(job))
    waiting.at = 0
    this.#size -= before - waiting.jobs.length
    if (waiting.jobs.length === 0) this.#groups.splice(index, 1)
  }

  /** Empties the queue, and returns what was in it. */
  clear(): JobRecord[] {
    const left = [...this.#groups.slice(this.#head).flatMap(({ jobs, at }) => jobs.slice(at)), ...this.#arrived]
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
    const arrived: Waiting[] = []
    for (const [block, jobs] of byBlock) {
      this.#shuffle?.(jobs)
      arrived.push({ block, jobs, at: 0 })
    }
    this.#shuffle?.(arrived)
    this.#groups = this.#groups.slice(this.#head).concat(arrived)
    this.#head = 0
    this.#arrived = []
  }
}
