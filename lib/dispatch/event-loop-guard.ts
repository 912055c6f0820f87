import type { Clock, TimerHandle } from '../../types/clock.js'
import { MINUTE, SECOND } from '../base/duration.js'
import type { Part } from '../base/part.js'
import type { Journal } from '../observability/journal.js'

/**
 * How long the timers are by which the delay is measured: from 0.1 to 0.5 s, each of another length. With timers of one
 * length, turns of the event loop of a part of that length would always end in time for them.
 */
const SHORTEST = SECOND / 10
const SPREAD = (2 * SECOND) / 5

/** By which fraction of `SPREAD` each timer is longer than the one before: multiples of the golden ratio spread evenly. */
const STRIDE = (Math.sqrt(5) - 1) / 2

/** Over what time it is smoothed. */
const MEMORY = SECOND

/** How often at most the journal is told. */
const TELL_EVERY = MINUTE

export interface EventLoopGuardOptions {
  readonly clock: Clock
  /** The longest delay in milliseconds at which ticks of low priority are requested; 0 measures nothing. */
  readonly maxDelay: number
  readonly journal: Journal
  /** Called when the delay has risen above `maxDelay`: ticks of low priority are to wait. Returns how many do. */
  readonly onLate: () => number
  /** Called when it has fallen again. */
  readonly onTime: () => void
}

/**
 * Measures how late the event loop is, by how late its own timer fires, and says when ticks of low priority are to wait for
 * it. The delay is smoothed over about a second: one long turn of the event loop that is over is no reason to wait, but
 * many in a row are.
 *
 * A timer says how long something that is due waits for the event loop. `monitorEventLoopDelay` says the same at three
 * times the cost, as it wakes the process far more often; the event loop's utilization says something else, as an event
 * loop that always has work in short turns is late for nothing.
 */
export class EventLoopGuard implements Part {
  readonly #options: EventLoopGuardOptions
  #timer: TimerHandle | null = null
  /** The length of the next timer, as a fraction of `SPREAD`. */
  #fraction = 0
  /** The smoothed delay, in milliseconds. */
  #delay = 0
  /** Since when ticks wait, on the monotonic clock; `null` while none are to. */
  #lateSince: number | null = null
  /** When the journal was told last that ticks wait, on the monotonic clock. */
  #toldAt = Number.NEGATIVE_INFINITY
  /** Whether the journal was told of the present wait. */
  #isTold = false

  constructor(options: EventLoopGuardOptions) {
    this.#options = options
  }

  /** How late the event loop is, in milliseconds; 0 while it is not measured. */
  get delay(): number {
    return this.#delay
  }

  /** Whether ticks of low priority wait for it. */
  get isLate(): boolean {
    return this.#lateSince !== null
  }

  start(): void {
    if (this.#options.maxDelay > 0 && this.#timer === null) this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#delay = 0
    if (this.#lateSince === null) return
    this.#lateSince = null
    this.#options.onTime()
  }

  #arm(): void {
    const { clock } = this.#options
    const from = clock.monotonic()
    const length = Math.round(SHORTEST + this.#fraction * SPREAD)
    this.#fraction = (this.#fraction + STRIDE) % 1
    this.#timer = clock.setTimeout(() => this.#measure(from, length), length)
    this.#timer.unref?.()
  }

  #measure(from: number, length: number): void {
    const took = this.#options.clock.monotonic() - from
    // Timers are set in whole milliseconds, and fire up to one later.
    const late = Math.max(0, took - length - 1)
    // The longer ago the last measurement, the less it says.
    this.#delay = late + (this.#delay - late) * Math.exp(-took / MEMORY)
    this.#arm()
    if (this.#delay > this.#options.maxDelay) this.#begin()
    else this.#end()
  }

  #begin(): void {
    if (this.#lateSince !== null) return
    const { clock, journal, maxDelay, onLate } = this.#options
    const now = clock.monotonic()
    this.#lateSince = now
    const waiting = onLate()
    this.#isTold = now - this.#toldAt >= TELL_EVERY
    if (!this.#isTold) return
    this.#toldAt = now
    journal.eventLoopLate({ delay: Math.round(this.#delay), maxDelay, waiting })
  }

  #end(): void {
    if (this.#lateSince === null) return
    const { clock, journal, onTime } = this.#options
    const duration = Math.round(clock.monotonic() - this.#lateSince)
    this.#lateSince = null
    if (this.#isTold) journal.eventLoopOnTime(duration)
    onTime()
  }
}
