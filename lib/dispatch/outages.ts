import type { Clock } from '../../types/clock.js'
import type { Journal } from '../observability/journal.js'

export interface OutagesOptions {
  readonly clock: Clock
  readonly journal: Journal
  /** How many locks this process has lost so far. */
  readonly locksLost: () => number
  /** How many due ticks wait for the store. */
  readonly waiting: () => number
}

/** Works out what each outage of the store has cost, for the journal. */
export class Outages {
  readonly #options: OutagesOptions
  /** The outage that lasts: since when, on the monotonic clock, and how many locks had been lost by then. */
  #outage: { readonly since: number; readonly locksLost: number } | null = null

  constructor(options: OutagesOptions) {
    this.#options = options
  }

  /**
   * The store does not answer, or answers and `refuses` what it is asked, which it may begin to do during an outage. That is
   * the same outage.
   */
  begin(error: Error, refuses: boolean): void {
    const { clock, journal, locksLost } = this.#options
    this.#outage ??= { since: clock.monotonic(), locksLost: locksLost() }
    journal.outageBegan(error, refuses)
  }

  /** Claims can be had. Whether that ends an outage: they can be had for the first time as well. */
  end(): boolean {
    const { clock, journal, locksLost, waiting } = this.#options
    const outage = this.#outage
    if (outage === null) return false
    this.#outage = null
    const duration = Math.round(clock.monotonic() - outage.since)
    journal.outageEnded({ duration, waiting: waiting(), locksLost: locksLost() - outage.locksLost })
    return true
  }
}
