import type { Clock } from '../../../types/clock.js'
import { SECOND } from '../../base/duration.js'
import { RedisDatabaseError, RedisUnavailableError } from '../../errors.js'
import { isAuthError, isLoading, isRefusal, isReplyError, isUndone, isVague, messageOf } from './refusals.js'

/** What a link tells its owner. */
export interface LinkListener {
  /** Claims can be had (again). */
  onUp(): void
  /**
   * No claim can be had: Redis is silent, or refuses. Called once an outage, and once more when a Redis that was silent
   * refuses.
   */
  onDown(error: Error, refuses: boolean): void
  /** Redis refuses one request, and grants claims. */
  onRefused(message: string): void
}

/**
 * For how long after a claim was refused only a claim shows that one can be had, where the probes find nothing: longer than
 * a claim that was refused waits until it is asked for again. Beyond it nobody asks for that one any more.
 */
const CLAIM_DOUBT = 4 * SECOND

/** A command that was never sent, so that it has certainly not been executed. */
export class NotConnectedError extends Error {}

/**
 * Whether claims can be had of one Redis, as far as is known, and who is told: from when one was had, or all that they need
 * was tried, until Redis is silent or refuses.
 */
export class Availability {
  readonly #address: string
  readonly #clock: Clock
  readonly #listener: LinkListener
  readonly #tryAll: () => Promise<unknown>
  #isUp: boolean | null = null
  /** Whether a refusal was told in this outage. */
  #refusalTold = false
  /** When a claim was last refused for a reason that the probes may not see, on the monotonic clock. */
  #claimRefusedAt = Number.NEGATIVE_INFINITY
  #findingOut = false
  #closed = false

  /** @param tryAll tries all that claims need: it fails where one of them would */
  constructor(address: string, clock: Clock, listener: LinkListener, tryAll: () => Promise<unknown>) {
    this.#address = address
    this.#clock = clock
    this.#listener = listener
    this.#tryAll = tryAll
  }

  /** `null` before anything is known. */
  get isUp(): boolean | null {
    return this.#isUp
  }

  /** Whether only a claim can show that one can be had. */
  get isClaimDoubted(): boolean {
    return this.#clock.monotonic() - this.#claimRefusedAt < CLAIM_DOUBT
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#closed = true
  }

  /** Claims can be had: Redis has written one. */
  proven(): void {
    if (this.#isUp === true || this.#closed) return
    this.#isUp = true
    this.#refusalTold = false
    this.#claimRefusedAt = Number.NEGATIVE_INFINITY
    this.#listener.onUp()
  }

  /** The error for a claim that failed. */
  claimFailed(what: string, cause: unknown): Error {
    if (isReplyError(cause) && !isUndone(cause)) this.#claimRefusedAt = this.#clock.monotonic()
    return this.unproven(what, cause)
  }

  /** The error for a claim, or a try of what claims need, that failed: whatever Redis says by it, none can be had. */
  unproven(what: string, cause: unknown): Error {
    if (isReplyError(cause) && !isRefusal(cause)) this.down(cause, true)
    return this.failed(what, cause)
  }

  /** The error for an exchange that failed; notes the outage when it is one. */
  failed(what: string, cause: unknown): Error {
    if (!isReplyError(cause)) {
      // That a connection is away is known, or will be soon.
      if (!(cause instanceof NotConnectedError)) this.down(cause, false)
    } else if (isVague(cause)) void this.#findOut(cause)
    else if (isRefusal(cause)) this.down(cause, true)
    else if (this.#isUp !== false) this.#listener.onRefused(messageOf(cause))
    return new RedisUnavailableError(what, messageOf(cause))
  }

  /** No claim can be had. */
  down(reason: unknown, isRefusal: boolean): void {
    // What is refused at the start is told by `open` itself.
    if (this.#closed || (this.#isUp === null && (isAuthError(reason) || reason instanceof RedisDatabaseError))) return
    const isNew = this.#isUp !== false
    // That it loads its data is how it comes back.
    const isTold = this.#refusalTold || !isRefusal || isLoading(reason as Error)
    if (!isNew && isTold) return
    this.#isUp = false
    this.#refusalTold ||= isRefusal
    const what = isRefusal ? `be used at ${this.#address}` : `be reached at ${this.#address}`
    this.#listener.onDown(new RedisUnavailableError(what, messageOf(reason)), isRefusal)
  }

  /** A script may not run some command: tries which. */
  async #findOut(cause: Error): Promise<void> {
    if (this.#findingOut || this.#isUp === false) return
    this.#findingOut = true
    const reason = await this.#tryAll().then(
      () => cause,
      (error) => (isReplyError(error) ? error : cause)
    )
    this.#findingOut = false
    this.down(reason, true)
  }
}
