import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'

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

  /** The jobs that are left. */
  get jobs(): readonly JobRecord[] {
    return this.#start === 0 ? this.#jobs : this.#jobs.slice(this.#start)
  }

  /** Whether the jobs are of a block that other replicas may have too. */
  get isShared(): boolean {
    return this.block?.isShared === true
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
