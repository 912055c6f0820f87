import { PerformanceObserver } from 'node:perf_hooks'

/** What one process measured of itself over its window. */
export interface Measured {
  /** How many fires began in the window. */
  readonly fires: number
  /**
   * How many of the ticks that were due in the window ran. Of a peer that does not tell a run's nominal time, it is the
   * fires in the window and what was due in its real length.
   */
  readonly ran: number
  readonly due: number
  /** CPU time of the process in the window, in microseconds. */
  readonly cpu: number
  /** By how much the heap grew, in bytes: what was allocated, unless something was collected meanwhile. */
  readonly allocated: number
  /** How often garbage was collected in the window. */
  readonly collections: number
  /** Start minus nominal time of every 16th fire, in milliseconds. */
  readonly lags: readonly number[]
  /** Ticks that ran more than once; only of peers that tell a run's nominal time. */
  readonly doubled: number
}

/** Counts a peer's fires. All that a handler does is to call it, so it must cost next to nothing. */
export class Meter {
  readonly jobs: number
  /** When in a second jobs are due, in milliseconds. */
  readonly offset: number
  readonly #lags: number[] = []
  /** By period of a second since `#base`, then by job: how often it ran. */
  #counts: Uint8Array
  #base = 0
  #fires = 0
  #measuring = false

  constructor(jobs: number, offset = 0) {
    this.jobs = jobs
    this.offset = offset
    this.#counts = new Uint8Array(0)
  }

  /** A run of a job began, due at `scheduledTime`. */
  fire(job: number, scheduledTime: number): void {
    const second = (scheduledTime - this.#base) / 1000
    const slot = second * this.jobs + job
    if (slot >= 0 && slot < this.#counts.length) this.#counts[slot]!++
    if (this.#measuring && (this.#fires++ & 15) === 0) this.#lags.push(Date.now() - scheduledTime)
  }

  /** Measures from the middle between two ticks to the middle between two others. */
  async measure(warmUp: number, seconds: number, tellsTime: boolean): Promise<Measured> {
    await until(Math.ceil((Date.now() + warmUp) / 1000) * 1000 - 500 + this.offset)
    const from = Date.now()
    // The first tick of the window; a process that is behind begins its window later than asked.
    this.#base = Math.ceil((from - this.offset) / 1000) * 1000 + this.offset
    this.#counts = new Uint8Array(this.jobs * seconds)
    const began = performance.now()
    let collections = 0
    const observer = new PerformanceObserver((list) => {
      collections += list.getEntries().length
    })
    observer.observe({ entryTypes: ['gc'] })
    const heap = process.memoryUsage().heapUsed
    const before = process.cpuUsage()
    this.#measuring = true
    await until(from + seconds * 1000)
    const { user, system } = process.cpuUsage(before)
    const allocated = process.memoryUsage().heapUsed - heap
    this.#measuring = false
    const length = (performance.now() - began) / 1000
    // A collection is told of a turn of the loop later.
    await until(Date.now() + 10)
    observer.disconnect()
    // What was due in the window and is late still counts as run.
    if (tellsTime) await until(Date.now() + 1500)
    const all = this.#counts.length
    return {
      fires: this.#fires,
      ran: tellsTime ? all - this.#counts.filter((count) => count === 0).length : this.#fires,
      due: tellsTime ? all : Math.round(length) * this.jobs,
      cpu: user + system,
      allocated,
      collections,
      lags: this.#lags,
      doubled: tellsTime ? this.#counts.filter((count) => count > 1).length : 0
    }
  }
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time - Date.now()))
}
