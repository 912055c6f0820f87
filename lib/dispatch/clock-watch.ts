import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Warnings } from '../observability/warnings.js'
import type { Timetable } from '../timetable/timetable.js'
import { WallClock } from '../timetable/wall-clock.js'
import type { Dispatcher } from './dispatcher.js'
import type { LateTicks } from './late-ticks.js'

export interface ClockWatchOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  /** In milliseconds. */
  readonly maxClockSkew: number
  readonly jobs: JobRegistry
  readonly timetable: Timetable<JobRecord>
  readonly dispatcher: Dispatcher
  readonly lateTicks: LateTicks
  readonly warnings: Warnings
}

/**
 * Notices that the fleet's clock, by which ticks are due, has moved by a step, and puts right what was noted by it before. In
 * memory that clock is the process' own; with Redis it is that of Redis.
 */
export class ClockWatch {
  readonly #options: ClockWatchOptions
  /** In memory; `null` with Redis, whose clock is measured with each of its answers. */
  readonly #wallClock: WallClock | null
  /** The fleet's clock less the monotonic one, as last known. */
  #offset: number | null = null
  /** The latest tick that was warned of as taken ahead of its time. */
  #warnedUntil = Number.NEGATIVE_INFINITY

  constructor(options: ClockWatchOptions) {
    const { clock, coordination, warnings } = options
    this.#options = options
    const isShared = coordination.state.kind !== 'memory'
    this.#wallClock = isShared
      ? null
      : new WallClock({
          now: () => coordination.now(),
          monotonic: () => clock.monotonic(),
          onSetBack: (until, step) => warnings.clockSetBack(until, step),
          onCorrected: (now, step, floor) => this.#correct(now, step, floor)
        })
  }

  /** To be called every few seconds. That two clocks drift apart is no step. */
  look(): void {
    if (this.#wallClock !== null) this.#wallClock.look()
    else this.#lookBack()
  }

  /** The store is there again. How far its clock went back meanwhile says nothing of what is taken: it is asked for that. */
  restart(): void {
    this.#offset = null
    this.#lookBack()
  }

  /**
   * The fleet's clock has moved by a step.
   *
   * @param measured by how much in milliseconds, where it was this process' own clock until now, unmeasured
   */
  onStep(measured: number): void {
    const { coordination, maxClockSkew, timetable, warnings } = this.#options
    if (Math.abs(measured) > maxClockSkew) this.#moveTimes(measured)
    else timetable.resync()
    this.#lookBack()
    const skew = Math.round(coordination.state.skew)
    if (Math.abs(skew) > maxClockSkew) warnings.clockSkewed(skew)
  }

  /** Ticks up to a time of the future may be taken already: they will not come again. */
  onTakenAhead(until: number): void {
    const { coordination, maxClockSkew, warnings } = this.#options
    const wait = Math.round(until - coordination.now())
    if (wait <= Math.max(maxClockSkew, SECOND) || until <= this.#warnedUntil + SECOND) return
    this.#warnedUntil = until
    warnings.ticksTakenAhead(until, wait)
  }

  /** What was noted by this process' own clock is off by `step`. */
  #moveTimes(step: number): void {
    const { coordination, dispatcher, jobs, timetable, lateTicks } = this.#options
    const now = coordination.now()
    dispatcher.moveTimes(step)
    jobs.moveTimes(step, now)
    timetable.moveTimes(step)
    for (const job of jobs.values()) lateTicks.bringDue(job, now)
  }

  #correct(now: number, step: number, floor: number): void {
    const { coordination, jobs, timetable, warnings } = this.#options
    coordination.correct?.(now, floor)
    for (const job of jobs.values()) job.correct(now, floor)
    timetable.correct(step, floor)
    warnings.clockCorrected(step)
  }

  /** Looks whether the fleet's clock has gone back: ticks up to where it was are taken. */
  #lookBack(): void {
    const { clock, coordination } = this.#options
    if (!coordination.state.up) return
    const now = coordination.now()
    const offset = now - clock.monotonic()
    const back = this.#offset === null ? 0 : this.#offset - offset
    this.#offset = offset
    if (back > 0) this.onTakenAhead(now + back)
  }
}
