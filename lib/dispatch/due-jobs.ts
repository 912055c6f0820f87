import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import { LOW_LANE } from '../jobs/priority.js'
import type { DueTick } from '../timetable/timetable.js'
import { DueQueue } from './due-queue.js'
import { HeldTicks } from './held-ticks.js'
import { ParkedJobs } from './parked-jobs.js'
import type { UnclaimedRuns } from './unclaimed.js'

/** How long a tick that waits for its job's lock is parked before it is requested again. */
const LOCK_POLL = SECOND / 4

/** How long a job that was overridden is parked: by then this replica has heard of it. */
const CHANGE_POLL = SECOND / 20

/** How long a job whose record in the store cannot be read is parked before its tick is requested again. */
const RECORD_POLL = 5 * SECOND

export interface DueJobsOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly unclaimed: UnclaimedRuns
  /** Shuffles due jobs into an order of this replica's own; `null` when there are no other replicas. */
  readonly shuffle: ((items: unknown[]) => void) | null
  /** Called when jobs have joined the queue. */
  readonly onReady: () => void
}

/** The jobs with a due tick: those queued to be requested, and those parked for a while first. */
export class DueJobs {
  readonly queue: DueQueue
  readonly #unclaimed: UnclaimedRuns
  readonly #onReady: () => void
  /** Jobs whose tick waits for a lock that another run holds. */
  readonly #locked: ParkedJobs
  /** Jobs whose record in the store cannot be read. */
  readonly #unreadable: ParkedJobs
  /** Jobs that were overridden, of which this replica has not heard yet. */
  readonly #stale: ParkedJobs
  /** Ticks of low priority that wait for the event loop. */
  readonly #held: HeldTicks
  #isHolding = false
  #stopped = false

  constructor({ clock, coordination, unclaimed, shuffle, onReady }: DueJobsOptions) {
    this.queue = new DueQueue(shuffle)
    this.#held = new HeldTicks({ clock, coordination, queue: this.queue, onReady })
    this.#unclaimed = unclaimed
    this.#onReady = onReady
    const askAll = (jobs: readonly JobRecord[]): void => {
      for (const job of jobs) this.push(job)
      onReady()
    }
    this.#locked = new ParkedJobs(clock, LOCK_POLL, askAll)
    this.#unreadable = new ParkedJobs(clock, RECORD_POLL, askAll)
    this.#stale = new ParkedJobs(clock, CHANGE_POLL, askAll)
  }

  /** Whether this replica takes no ticks at present, and leaves them to the others. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** How many jobs have a due tick. */
  get size(): number {
    return this.queue.size + this.#locked.size + this.#unreadable.size + this.#stale.size + this.#held.size
  }

  /** Whether a job has a due tick that waits to be requested. */
  has(job: JobRecord): boolean {
    if (job.pending !== null || job.queued || job.block?.waiting != null) return true
    return this.#locked.has(job) || this.#unreadable.has(job) || this.#stale.has(job)
  }

  /** Queues a job with the tick it has, without announcing it: the caller does, or uses `ask`. */
  push(job: JobRecord): void {
    this.#unclaimed.noteDue(job)
    if (job.queued || this.#stopped) return
    job.enterQueue()
    this.#locked.delete(job)
    this.#unreadable.delete(job)
    this.#stale.delete(job)
    if (this.#isHolding && job.lane === LOW_LANE) this.#held.hold(job)
    else this.queue.push(job)
  }

  /** Queues all jobs of a block with one tick. */
  pushBlock(block: JobBlock, tick: DueTick): void {
    if (this.#isHolding && block.lane === LOW_LANE) this.#held.holdBlock(block, tick)
    else this.queue.pushBlock(block, tick)
  }

  /** How many jobs of low priority are held. */
  get heldCount(): number {
    return this.#held.size
  }

  /** From now on ticks of low priority are held, those that wait already too. */
  holdLow(): void {
    if (this.#isHolding) return
    this.#isHolding = true
    for (const group of this.queue.clearLow()) this.#held.holdGroup(group)
  }

  /** Queues the ticks that are held, and holds none any more. */
  releaseLow(): void {
    this.#isHolding = false
    this.#held.releaseAll()
  }

  /** Queues a job and announces it, if it has a due tick. */
  ask(job: JobRecord): void {
    if (job.pending === null || job.removed) return
    this.push(job)
    this.#onReady()
  }

  /** Parks a job whose lock another run holds. */
  waitForLock(job: JobRecord): void {
    if (!this.#stopped && !job.queued) this.#locked.park(job)
  }

  /** Parks a job whose record in the store cannot be read. */
  waitForRecord(job: JobRecord): void {
    if (!this.#stopped && !job.queued) this.#unreadable.park(job)
  }

  /** Parks a job that was overridden, of which this replica has not heard yet. */
  waitForChange(job: JobRecord): void {
    if (!this.#stopped && !job.queued) this.#stale.park(job)
  }

  start(): void {
    this.#stopped = false
  }

  /** Takes no more ticks and forgets all jobs. Returns them; the caller takes their due ticks. */
  stop(): JobRecord[] {
    this.#stopped = true
    return [...this.clear(), ...this.#locked.clear(), ...this.#unreadable.clear(), ...this.#stale.clear()]
  }

  /** Empties the queue and returns the jobs that were in it, and those that were held. */
  clear(): JobRecord[] {
    const jobs = [...this.queue.clear(), ...this.#held.clear()]
    for (const job of jobs) job.leaveQueue()
    return jobs
  }
}
