import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { MINUTE, SECOND } from '../base/duration.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import type { Warnings } from '../observability/warnings.js'
import type { Timetable } from '../timetable/timetable.js'
import { WallClock } from '../timetable/wall-clock.js'
import type { Dispatcher } from './dispatcher.js'
import type { LateTicks } from './late-ticks.js'

/** How often it is to look: at a process' own clock, which may jump, and at that of a store, of whose steps the store tells. */
export function lookEvery(isShared: boolean): number {
  return isShared ? MINUTE : 10 * SECOND
}

export interface ClockWatchOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  /** The largest tolerated difference from the fleet's clock, in milliseconds. */
  readonly maxClockSkew: number
  readonly jobs: JobRegistry
  readonly timetable: Timetable<JobRecord>
  readonly dispatcher: Dispatcher
  readonly lateTicks: LateTicks
  readonly warnings: Warnings
}

/**
 * Notices when the fleet's clock, by which ticks are due, has moved by a step, and corrects the times noted before. In
 * memory that clock is the process' own; with Redis it is the clock of Redis.
 */
export class ClockWatch {
  readonly #options: ClockWatchOptions
  /** Watches the process' own clock; `null` with Redis, whose clock is measured with each of its answers. */
  readonly #wallClock: WallClock | null
  /** The fleet's clock minus the monotonic clock, as last known. */
  #offset: number | null = null
  /** The latest tick that a warning was logged for, as it is taken although it lies in the future. */
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

  /** Checks the clock; the caller does so at least that often. A slow drift between two clocks is not a step. */
  look(): void {
    if (this.#wallClock !== null) this.#wallClock.look()
    else this.#lookBack()
  }

  /**
   * Called when the store is up again. A step of its clock during the outage says nothing about taken ticks; a survey
   * does.
   */
  restart(): void {
    this.#offset = null
    this.#lookBack()
  }

  /**
   * Called when the fleet's clock has moved by a step.
   *
   * @param measured the step in milliseconds if this process' own clock stood in for the fleet's until now; else 0
   */
  onStep(measured: number): void {
    const { coordination, maxClockSkew, timetable, warnings } = this.#options
    if (Math.abs(measured) > maxClockSkew) this.#moveTimes(measured)
    else timetable.resync()
    this.#lookBack()
    const skew = Math.round(coordination.state.skew)
    if (Math.abs(skew) > maxClockSkew) warnings.clockSkewed(skew)
  }

  /** Warns that ticks up to a time in the future may already be taken, so that they will not run. */
  onTakenAhead(until: number): void {
    const { coordination, maxClockSkew, warnings } = this.#options
    const wait = Math.round(until - coordination.now())
    if (wait <= Math.max(maxClockSkew, SECOND) || until <= this.#warnedUntil + SECOND) return
    this.#warnedUntil = until
    warnings.ticksTakenAhead(until, wait)
  }

  /** Corrects times noted by this process' own clock, which are off by `step`. */
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

  /** Checks whether the fleet's clock has gone back: then ticks up to its former time are taken. */
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
