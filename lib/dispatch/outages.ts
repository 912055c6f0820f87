import type { Clock } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import type { Journal } from '../observability/journal.js'

/** An outage that is over, by the fleet's clock. */
export interface PastOutage {
  readonly from: number
  readonly to: number
}

export interface OutagesOptions {
  readonly clock: Clock
  readonly coordination: Pick<Coordination, 'now'>
  readonly journal: Journal
  /** How many locks this process has lost so far. */
  readonly locksLost: () => number
  /** How many due ticks wait for the store. */
  readonly waiting: () => number
}

/** Works out what each outage of the store has cost, for the journal. */
export class Outages {
  readonly #options: OutagesOptions
  /** The present outage: since when, on the monotonic clock, and how many locks had been lost before it. */
  #outage: { readonly since: number; readonly locksLost: number } | null = null
  #reason: string | null = null
  #last: PastOutage | null = null

  constructor(options: OutagesOptions) {
    this.#options = options
  }

  /** Why claims cannot be had, as it was last said; `null` where that was not said. */
  get reason(): string | null {
    return this.#reason
  }

  /** Since when claims cannot be had, by the fleet's clock; `null` while they can. */
  get since(): number | null {
    const { clock, coordination } = this.#options
    return this.#outage === null ? null : Math.round(coordination.now() - clock.monotonic() + this.#outage.since)
  }

  /** The last one that is over; `null` before the first. */
  get last(): PastOutage | null {
    return this.#last
  }

  /**
   * Called when the store does not answer, or answers but `refuses` its calls. A store that changes from one to the
   * other during an outage does not begin another outage.
   */
  begin(error: Error, refuses: boolean): void {
    const { clock, journal, locksLost } = this.#options
    this.#outage ??= { since: clock.monotonic(), locksLost: locksLost() }
    this.#reason = error.message
    journal.outageBegan(error, refuses)
  }

  /** Called when the store grants claims; returns whether that ends an outage, and is not the first time. */
  end(): boolean {
    const { clock, coordination, journal, locksLost, waiting } = this.#options
    const outage = this.#outage
    if (outage === null) return false
    this.#outage = null
    this.#reason = null
    const duration = Math.round(clock.monotonic() - outage.since)
    const to = Math.round(coordination.now())
    this.#last = { from: to - duration, to }
    journal.outageEnded({ duration, waiting: waiting(), locksLost: locksLost() - outage.locksLost })
    return true
  }
}
