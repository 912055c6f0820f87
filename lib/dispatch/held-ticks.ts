import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import type { ClaimTemplate } from '../jobs/claim-template.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import { DEFAULT_GRACE } from '../jobs/options.js'
import type { DueTick } from '../timetable/timetable.js'
import { DueGroup } from './due-group.js'
import type { DueQueue } from './due-queue.js'

/** Ticks whose hold ends within this time are queued together. */
const STEP = SECOND / 20

export interface HeldTicksOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly queue: DueQueue
  /** Called when ticks have joined the queue by themselves. */
  readonly onReady: () => void
}

/** What is held, and until when on the monotonic clock. */
interface Held {
  /** One job with a tick of its own, or a block with a common one. */
  readonly group: DueGroup
  readonly until: number
}

/**
 * Ticks of low priority that wait for the event loop to be on time again. Each is held while its hold lasts (`holdOf`), and
 * queued then, whatever the event loop does: it still has the other half of its grace, to be run within it or counted
 * after it, by whichever replica claims it.
 */
export class HeldTicks {
  readonly #options: HeldTicksOptions
  #held: Held[] = []
  #size = 0
  #timer: TimerHandle | null = null
  #timerAt = Number.POSITIVE_INFINITY

  constructor(options: HeldTicksOptions) {
    this.#options = options
  }

  /** How many jobs are held. */
  get size(): number {
    return this.#size
  }

  /** Holds a job with the tick it has. */
  hold(job: JobRecord): void {
    const { pending } = job
    const end = pending === null ? Number.NEGATIVE_INFINITY : endOfHold(job, pending)
    this.#add(new DueGroup(null, [job]), end)
  }

  /** Holds all jobs of a block with one tick. */
  holdBlock(block: JobBlock, tick: DueTick): void {
    const group = new DueGroup(block, block.jobs, tick)
    block.waiting = group
    this.#addGroup(group, tick)
  }

  /** Holds jobs that were queued. */
  holdGroup(group: DueGroup): void {
    if (group.tick !== null) this.#addGroup(group, group.tick)
    else for (const job of group.jobs) this.hold(job)
  }

  /** Queues all that is held. The caller announces it. */
  releaseAll(): void {
    for (const { group } of this.#takeAll()) this.#queue(group)
  }

  /** Forgets all that is held and returns the jobs. */
  clear(): JobRecord[] {
    return this.#takeAll().flatMap(({ group }) => group.takeFirst(group.size))
  }

  #takeAll(): Held[] {
    const held = this.#held
    this.#held = []
    this.#size = 0
    this.#timer?.cancel()
    this.#timer = null
    this.#timerAt = Number.POSITIVE_INFINITY
    return held
  }

  #addGroup(group: DueGroup, tick: DueTick): void {
    const ends = new Set<number>()
    for (const job of group.jobs) ends.add(endOfHold(job, tick))
    const [end] = ends
    if (end !== undefined && ends.size === 1) {
      this.#add(group, end)
      return
    }
    // Jobs of a block may have different graces.
    group.spread()
    for (const job of group.jobs) this.hold(job)
  }

  /** @param end when its hold ends, on the fleet's clock */
  #add(group: DueGroup, end: number): void {
    const { clock, coordination } = this.#options
    const left = end - coordination.now()
    if (!(left > 0)) {
      this.#queue(group)
      return
    }
    const until = clock.monotonic() + left
    this.#held.push({ group, until })
    this.#size += group.size
    this.#arm(until)
  }

  #arm(until: number): void {
    if (until >= this.#timerAt) return
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#timerAt = until
    this.#timer = clock.setTimeout(() => this.#onTimer(), Math.max(1, Math.ceil(until - clock.monotonic())))
  }

  #onTimer(): void {
    const by = this.#options.clock.monotonic() + STEP
    let next = Number.POSITIVE_INFINITY
    for (const held of this.#takeAll()) {
      if (held.until <= by) {
        this.#queue(held.group)
      } else {
        this.#held.push(held)
        this.#size += held.group.size
        next = Math.min(next, held.until)
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next)
    this.#options.onReady()
  }

  #queue(group: DueGroup): void {
    const { queue } = this.#options
    // A block that has changed meanwhile has given each of its jobs the common tick as its own.
    if (group.tick !== null) queue.pushLow(group)
    else for (const job of group.jobs) queue.push(job)
  }
}

/**
 * When a tick is held no longer, on the fleet's clock: half of its grace after it is due, but of the time to the next tick
 * where that is shorter, as it would take this tick's place.
 */
function endOfHold({ template }: JobRecord, { scheduledTime, dueTime, firstLate, following }: DueTick): number {
  // Of several late ticks the first has the least time left.
  return Math.min(dueTime, firstLate < scheduledTime ? firstLate : dueTime) + holdOf(template, scheduledTime, following)
}

function holdOf({ afterCompletion, grace }: ClaimTemplate, scheduledTime: number, following: number | null): number {
  const period =
    afterCompletion > 0 ? afterCompletion : following === null ? Number.POSITIVE_INFINITY : following - scheduledTime
  return Math.min(grace ?? DEFAULT_GRACE, period) / 2
}
