import type { Clock } from '../../types/clock.js'
import { SECOND } from '../base/duration.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueTick } from '../timetable/timetable.js'
import { DueQueue } from './due-queue.js'
import { ParkedJobs } from './parked-jobs.js'
import type { UnclaimedRuns } from './unclaimed.js'

/** How long a tick that waits for the lock of its job leaves it alone before it is asked for again. */
const LOCK_POLL = SECOND / 4

/** How long a job whose record cannot be read is left alone before it is asked for again. */
const RECORD_POLL = 5 * SECOND

export interface DueJobsOptions {
  readonly clock: Clock
  readonly unclaimed: UnclaimedRuns
  /** Puts what is due into an order of this replica's own; `null` where it shares with nobody. */
  readonly shuffle: ((items: unknown[]) => void) | null
  /** Called when jobs wait to be asked for which did not before. */
  readonly onReady: () => void
}

/** The jobs with a due tick: those that wait to be asked for, and those that are left alone for a while first. */
export class DueJobs {
  readonly queue: DueQueue
  readonly #unclaimed: UnclaimedRuns
  readonly #onReady: () => void
  /** Jobs whose tick waits for a lock that another run holds. */
  readonly #locked: ParkedJobs
  /** Jobs whose record in the store cannot be read. */
  readonly #unreadable: ParkedJobs
  #stopped = false

  constructor({ clock, unclaimed, shuffle, onReady }: DueJobsOptions) {
    this.queue = new DueQueue(shuffle)
    this.#unclaimed = unclaimed
    this.#onReady = onReady
    const askAll = (jobs: readonly JobRecord[]): void => {
      for (const job of jobs) this.push(job)
      onReady()
    }
    this.#locked = new ParkedJobs(clock, LOCK_POLL, askAll)
    this.#unreadable = new ParkedJobs(clock, RECORD_POLL, askAll)
  }

  /** Whether this replica takes no ticks at the moment, and leaves them to others. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** How many jobs there are. */
  get size(): number {
    return this.queue.size + this.#locked.size + this.#unreadable.size
  }

  /** Whether a job has a due tick that is to be asked for. */
  has(job: JobRecord): boolean {
    if (job.pending !== null || job.queued || job.block?.waiting != null) return true
    return this.#locked.has(job) || this.#unreadable.has(job)
  }

  /** Lets a job wait to be asked for, with the tick it has; `ask` at once where nobody else does. */
  push(job: JobRecord): void {
    this.#unclaimed.note(job)
    if (job.queued || this.#stopped) return
    job.enterQueue()
    this.#locked.delete(job)
    this.#unreadable.delete(job)
    this.queue.push(job)
  }

  /** As `push`, for all jobs of a block, with one tick. */
  pushBlock(block: JobBlock, tick: DueTick): void {
    this.queue.pushBlock(block, tick)
  }

  /** Asks for the tick that a job has, if it has one. */
  ask(job: JobRecord): void {
    if (job.pending === null || job.removed) return
    this.push(job)
    this.#onReady()
  }

  /** Lets a job wait for its lock, which another run holds. */
  waitForLock(job: JobRecord): void {
    if (!this.#stopped && !job.queued) this.#locked.park(job)
  }

  /** Lets a job wait until what the store has of it can be read. */
  waitForRecord(job: JobRecord): void {
    if (!this.#stopped && !job.queued) this.#unreadable.park(job)
  }

  start(): void {
    this.#stopped = false
  }

  /** Takes no more ticks, and lets all jobs go that have one; what they have is for the caller to take. */
  stop(): JobRecord[] {
    this.#stopped = true
    const jobs = [...this.clear(), ...this.#locked.clear(), ...this.#unreadable.clear()]
    return jobs
  }

  /** Empties the queue, and returns the jobs that were in it. */
  clear(): JobRecord[] {
    const jobs = this.queue.clear()
    for (const job of jobs) job.leaveQueue()
    return jobs
  }
}
