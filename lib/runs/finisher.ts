import type { Clock } from '../../types/clock.js'
import type { Coordination, Ending, HeldLock, ReleaseAnswer, RunReport } from '../../types/coordination.js'
import { DAY, MINUTE } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import { TimeSlice } from '../base/time-slice.js'
import { BATCH, type EndListener, type HandingBack, RetriedReleases } from './retried-releases.js'

/** For how long the store is told of an end, while it does not answer: until it knows, the run counts as one that goes on. */
const END_LIMIT = DAY

/** For how long the store is told of a claim that is not used. */
const CLAIM_LIMIT = 10 * MINUTE

/** A run that has ended. */
export interface Finishing extends Ending, EndListener {
  /**
   * Called with the first answer. It is called with `unavailable` also when nobody waits for the answer any more, and then once
   * more if the answer comes. After `unavailable`, `onRecorded` is called.
   *
   * @param inTime whether the lock would still be held now; else `lost` says nothing
   */
  onReleased(answer: ReleaseAnswer, inTime: boolean): void
}

/**
 * Lets go of what this process holds: ends runs, those of one turn of the event loop in one call, hands claims back, and
 * releases locks. What the store does not answer for is tried again in the background: an end for `END_LIMIT`, a claim for
 * `CLAIM_LIMIT`, a lock by name until it has ended by itself.
 */
export class Finisher {
  readonly #coordination: Coordination
  readonly #clock: Clock
  readonly #retried: RetriedReleases
  readonly #idle = new Idle(() => this.#flushing)
  /** Those that the next call is to tell of. */
  #waiting: Finishing[] = []
  /** Those that the call under way tells of, and how many of these have been answered for. */
  #flushed: readonly Finishing[] = []
  #answered = 0
  /** Those whose `onReleased` was called with `unavailable`, while the call under way may still bring an answer. */
  readonly #notAwaited = new Set<Finishing>()
  #flushing = false

  /** @param newCallId makes an id that is unique across replicas */
  constructor(coordination: Coordination, clock: Clock, newCallId: () => string) {
    this.#coordination = coordination
    this.#clock = clock
    this.#retried = new RetriedReleases(coordination, clock, newCallId)
  }

  /** Ends a run, with the next call. */
  push(finishing: Finishing): void {
    this.#waiting.push(finishing)
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.setImmediate(() => void this.#flush())
  }

  /**
   * Tells the store that a run's outcome is known, or about to be, so that no other replica records it as abandoned. Its lock stays.
   *
   * @param report its outcome, where that is known
   * @param onRecorded as of `Finishing`: called with `abandoned` where another replica was first
   */
  noteOutcome(
    lock: HeldLock,
    report: RunReport | null = null,
    onRecorded: (answer: ReleaseAnswer) => void = () => {}
  ): void {
    const onReleased = (answer: ReleaseAnswer): void => {
      if (answer !== 'unavailable') onRecorded(answer)
    }
    this.push({ lock, finished: true, keepsLock: true, report, onReleased, onRecorded })
  }

  /** The ids of the runs whose end is to be told, or whose claim is to be handed back. */
  get runIds(): string[] {
    return [...[...this.#waiting, ...this.#flushed].map(({ lock }) => lock.token), ...this.#retried.runIds]
  }

  /** Releases the lock of a run that does not begin, as its claim was never answered or the answer came too late. */
  giveUp(lock: HeldLock): void {
    // Also when its lock is over: if it was granted, it stands among the runs that are open.
    this.#retried.addEnd({ ending: { lock, finished: true, unbegun: true }, until: this.#claimLimit })
  }

  /**
   * Leaves a run to whichever replica takes it over next. That it was taken over here counts as no attempt, also where its lock
   * is over.
   *
   * @param onAnswered called once the store has answered
   */
  giveUpTakeover(lock: HeldLock, onAnswered: () => void = () => {}): void {
    this.#retried.addEnd({ ending: { lock, finished: false, unbegun: true }, until: this.#claimLimit, onAnswered })
  }

  /** Releases a lock by name, if it is ours. */
  giveUpNamed(lock: HeldLock): void {
    this.#retried.addNamed(lock)
  }

  /** Hands claims back, whether or not they were ever answered, so that other replicas can have them. */
  async handBack(claims: readonly HandingBack[]): Promise<void> {
    if (claims.length > 0) await this.#retried.handBack(claims, this.#claimLimit)
  }

  /** Resolves when all that was pushed has its first answer. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Tries again at once what was not answered for, as the store answers again. */
  retryNow(): Promise<void> {
    return this.#retried.tryNow()
  }

  /** Nobody waits for an answer any more: listeners are called as if there were none, though the store is told on. */
  awaitNoMore(): void {
    this.#retried.awaitNoMore()
    for (const finishing of [...this.#flushed.slice(this.#answered), ...this.#waiting]) {
      if (this.#notAwaited.has(finishing)) continue
      this.#notAwaited.add(finishing)
      finishing.onReleased('unavailable', false)
      finishing.onRecorded?.('unavailable')
    }
  }

  /** A last try; what is left ends with its TTL. */
  async close(): Promise<void> {
    await this.settled()
    await this.#retried.close()
    this.awaitNoMore()
  }

  /** Until when a claim of now is tried, on the monotonic clock. */
  get #claimLimit(): number {
    return this.#clock.monotonic() + CLAIM_LIMIT
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      this.#flushed = batch
      this.#answered = 0
      const answers = await this.#coordination.finish(batch)
      const answeredAt = this.#clock.monotonic()
      const slice = new TimeSlice(this.#clock)
      for (let index = 0; index < batch.length; index++) {
        if (slice.isOver) await slice.pass()
        this.#answered = index + 1
        this.#onAnswer(batch[index] as Finishing, answers[index] as ReleaseAnswer, answeredAt)
      }
    }
    this.#flushed = []
    this.#flushing = false
    this.#idle.announce()
  }

  /** @param answeredAt on the monotonic clock */
  #onAnswer(finishing: Finishing, answer: ReleaseAnswer, answeredAt: number): void {
    if (answer === 'unavailable') this.#tellLater(finishing, answeredAt)
    const wasTold = this.#notAwaited.delete(finishing) && answer === 'unavailable'
    if (!wasTold) finishing.onReleased(answer, answeredAt < finishing.lock.validUntil)
  }

  /** Also when its lock is over, the store is to know that the run has ended: no replica is to run it again. */
  #tellLater(finishing: Finishing, now: number): void {
    const { lock, finished, unbegun = false, keepsLock = false, replaced = false, report = null } = finishing
    this.#retried.addEnd({
      ending: { lock, finished, unbegun, keepsLock, replaced, report, isToldAgain: true },
      until: now + END_LIMIT,
      listener: finishing
    })
  }
}
