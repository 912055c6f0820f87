import { HOUR, SECOND } from '../base/duration.js'

// cron(8): a clock that is set back by more than three hours was corrected, and jobs go on by it at once.
const CORRECTION = 3 * HOUR

/** A step back of less than this puts no tick off for long. */
const TOLERANCE = 5 * SECOND

export interface WallClockOptions {
  readonly now: () => number
  readonly monotonic: () => number
  /** The clock was set back by a step: nothing is due until it is past `until` again, as all up to then has been. */
  readonly onSetBack: (until: number, step: number) => void
  /** The clock was corrected by a step back, to `now`: what is later than `floor` is still to come. */
  readonly onCorrected: (now: number, step: number, floor: number) => void
}

/** Notices that the clock by which ticks are due was set back. It is to be looked at every few seconds. */
export class WallClock {
  readonly #options: WallClockOptions
  /** Up to when ticks have been due. */
  #latest = Number.NEGATIVE_INFINITY
  /** Where the clock was before it last leapt forwards: what was due until then has been, also when the leap is taken back. */
  #beforeLeap = Number.NEGATIVE_INFINITY
  /** `latest` minus the monotonic clock. */
  #offset = 0
  #isTold = false

  constructor(options: WallClockOptions) {
    this.#options = options
  }

  look(): void {
    const now = this.#options.now()
    const offset = now - this.#options.monotonic()
    const step = this.#offset - offset
    const behind = this.#latest - now
    if (behind <= 0) {
      if (behind < -CORRECTION) this.#beforeLeap = this.#latest
      this.#latest = now
      this.#offset = offset
      this.#isTold = false
    } else if (behind > CORRECTION) {
      const before = this.#beforeLeap
      this.#latest = before > now && before - now <= CORRECTION ? before : now
      this.#offset = offset
      this.#options.onCorrected(now, step, this.#latest)
    } else if (behind > TOLERANCE && !this.#isTold) {
      this.#isTold = true
      this.#options.onSetBack(this.#latest, step)
    }
  }
}
