import type { JobBlock, JobRecord } from '../jobs/job.js'
import { LOW_LANE, PRIORITIES } from '../jobs/priority.js'
import type { DueTick } from '../timetable/timetable.js'
import type { DueGroup } from './due-group.js'
import { DueLane } from './due-lane.js'

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

/** After so many ticks of higher priorities one of a lower priority that waits is taken: one in ten. */
const MAX_PASSED = 9

/** Jobs taken from the queue, and the block they are from. */
export interface TakenJobs {
  readonly block: JobBlock | null
  readonly jobs: readonly JobRecord[]
}

/**
 * Jobs whose due tick waits to be requested. A job is in the queue once at most.
 *
 * There is a lane for each priority, and the highest that waits is taken from. None starves: a lane counts the ticks that
 * are taken from higher ones while it waits (`passed`), and has its turn after `MAX_PASSED`. A shared block is taken as a
 * whole, so it may be more than the lane's turn; that is counted too, and the lane waits longer for the next.
 */
export class DueQueue {
  readonly #isAlone: boolean
  readonly #lanes: readonly DueLane[]
  #size = 0

  /**
   * @param shuffle puts what arrives together into an order of this replica's own; `null` keeps the order of arrival
   */
  constructor(shuffle: ((items: unknown[]) => void) | null) {
    this.#isAlone = shuffle === null
    this.#lanes = PRIORITIES.map(() => new DueLane(shuffle))
  }

  /** How many jobs wait. */
  get size(): number {
    return this.#size
  }

  push(job: JobRecord): void {
    this.#size++
    this.#lane(job.lane).push(job)
  }

  /** Queues all jobs of a block with one tick. */
  pushBlock(block: JobBlock, tick: DueTick): void {
    this.#lane(block.lane).pushBlock(block, tick)
    this.#size += block.jobs.length
  }

  /** Queues a group of low priority. */
  pushLow(group: DueGroup): void {
    this.#lane(LOW_LANE).pushGroup(group)
    this.#size += group.size
  }

  /**
   * Removes the next jobs to request: a share of the queue, `limit` at most, and a shared block as a whole if it fits.
   */
  takeNext(limit: number): TakenJobs[] {
    for (const lane of this.#lanes) lane.admitArrivals()
    const maxSlice = this.#isAlone ? MAX_SLICE_ALONE : MAX_SLICE
    const firstLane = this.#nextLane()
    const first = firstLane < 0 ? undefined : this.#lane(firstLane).first
    // The jobs of a split block would be requested one by one, by this replica and by all others.
    const blockSize = first?.isShared ? Math.min(maxSlice, first.size) : 0
    let left = Math.min(limit, Math.max(MIN_SLICE, blockSize, Math.min(maxSlice, Math.ceil(this.#size / SLICES))))
    const taken: TakenJobs[] = []
    for (let index = firstLane; index >= 0 && left > 0; index = this.#nextLane()) {
      const lane = this.#lane(index)
      const { block, isShared, size } = lane.first as DueGroup
      // A call requests its shared blocks first: one of another lane would overtake what was taken before it.
      if (taken.length > 0 && isShared && (size > left || index !== firstLane)) break
      const jobs = lane.takeFirst(isShared ? left : Math.min(left, this.#turnOf(index)))
      taken.push({ block, jobs })
      left -= jobs.length
      this.#size -= jobs.length
      this.#countTaken(index, jobs.length)
    }
    return taken
  }

  /** The next groups of each priority, `limit` at most; they stay in the queue. */
  peek(limit: number): readonly DueGroup[] {
    return this.#lanes.flatMap((lane) => lane.peek(limit)).slice(0, limit)
  }

  /** Removes a group whose jobs wait with a common tick. */
  drop(group: DueGroup): void {
    const { size } = group
    if (this.#lanes.some((lane) => lane.drop(group))) this.#size -= size
  }

  /** Removes and returns the groups of low priority. */
  clearLow(): DueGroup[] {
    const lane = this.#lane(LOW_LANE)
    this.#size -= lane.size
    lane.passed = 0
    return lane.clear()
  }

  /** Empties the queue and returns the jobs that were in it. */
  clear(): JobRecord[] {
    this.#size = 0
    return this.#lanes.flatMap((lane) => {
      lane.passed = 0
      return lane.clear().flatMap((group) => group.takeFirst(group.size))
    })
  }

  #lane(index: number): DueLane {
    return this.#lanes[index] as DueLane
  }

  /** The lane to take from: one that was passed over often enough, the lowest of those first, else the highest; -1 for none. */
  #nextLane(): number {
    for (let index = LOW_LANE; index > 0; index--) {
      const { size, passed } = this.#lane(index)
      if (size > 0 && passed >= MAX_PASSED) return index
    }
    return this.#lanes.findIndex(({ size }) => size > 0)
  }

  /** How many ticks may be taken from a lane before it is another's turn. */
  #turnOf(index: number): number {
    let turn = this.#isPassing(index) ? Math.floor(this.#lane(index).passed / MAX_PASSED) : Number.POSITIVE_INFINITY
    for (let lower = index + 1; lower < this.#lanes.length; lower++) {
      const { size, passed } = this.#lane(lower)
      if (size > 0) turn = Math.min(turn, MAX_PASSED - passed)
    }
    return turn
  }

  /** Whether a higher lane waits while this one is taken from. */
  #isPassing(index: number): boolean {
    for (let higher = 0; higher < index; higher++) if (this.#lane(higher).size > 0) return true
    return false
  }

  #countTaken(index: number, count: number): void {
    const lane = this.#lane(index)
    lane.passed = lane.size > 0 && this.#isPassing(index) ? lane.passed - MAX_PASSED * count : 0
    for (let lower = index + 1; lower < this.#lanes.length; lower++) {
      const { size } = this.#lane(lower)
      if (size > 0) this.#lane(lower).passed += count
    }
  }
}
