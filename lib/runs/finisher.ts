import type { Clock, TimerHandle } from '../../types/clock.js'
import type {
  Coordination,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  ReleaseAnswer
} from '../../types/coordination.js'
import { DAY, MINUTE, SECOND } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import { TimeSlice } from '../base/time-slice.js'

/** How many runs end in one call. */
const BATCH = 256

/** How long to wait before a release that was not answered is tried again. */
const RETRY_DELAY = SECOND / 4

/** For how long the store is told of an end, while it does not answer: until it knows, the run counts as one that goes on. */
const END_LIMIT = DAY

/** For how long the store is told of a claim that is taken back. */
const RETRY_LIMIT = 10 * MINUTE

/** A run that has ended. */
export interface Finishing extends Ending {
  /**
   * Called with the first answer; `unavailable` also when nobody waits for it any more, and then with the answer once more
   * should it come.
   *
   * @param inTime whether the lock would still be held now; else `lost` says nothing
   */
  onReleased(answer: ReleaseAnswer, inTime: boolean): void
  /** Called where that was `unavailable`: with the first other answer, and before when nobody waits for it any more. */
  onRecorded?(answer: ReleaseAnswer): void
}

/** A claim that is taken back. */
export interface HandingBack extends HandedBack {
  /** Called once, with the answer, when it has come. */
  onHandedBack(answer: HandBackAnswer): void
}

/** An end that is told until it is answered, or has had its time. */
interface GivenUp {
  readonly ending: Ending
  readonly until: number
  /** Called once the store has heard of it. */
  readonly onTold?: () => void
  /** The run that has ended. */
  readonly finishing?: Finishing
}

/**
 * Lets go of what this process holds: ends runs, those of one turn of the event loop in one call, takes claims back, and
 * releases locks. What Redis does not answer for is tried again in the background: an end for `END_LIMIT`, a claim for
 * `RETRY_LIMIT`, a lock alone until it has ended by itself.
 */
export class Finisher {
  readonly #coordination: Coordination
  readonly #clock: Clock
  readonly #newCallId: () => string
  #waiting: Finishing[] = []
  /** Those that are told of now. */
  #flushed: readonly Finishing[] = []
  /** How many of these have been answered for. */
  #answered = 0
  #retrying: GivenUp[] = []
  /** What is told again now. */
  #retried: readonly GivenUp[] = []
  #handedBack: readonly HandedBack[] = []
  /** Those of which it was said that there is no answer, while there may be one yet. */
  readonly #notAwaited = new Set<Finishing>()
  readonly #named = new Set<HeldLock>()
  /** Calls that are repeated as they are until they are answered. */
  #handingBack: { readonly id: string; readonly claims: readonly HandingBack[]; readonly until: number }[] = []
  #lastRetry = Promise.resolve()
  #flushing = false
  #retryTimer: TimerHandle | null = null
  #closed = false
  readonly #idle = new Idle(() => this.#flushing)

  /** @param newCallId makes an id that is unique across replicas */
  constructor(coordination: Coordination, clock: Clock, newCallId: () => string) {
    this.#coordination = coordination
    this.#clock = clock
    this.#newCallId = newCallId
  }

  push(finishing: Finishing): void {
    this.#waiting.push(finishing)
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.setImmediate(() => void this.#flush())
  }

  /**
   * Tells the store that a run's outcome is known, and its lock stays: nobody is to hold it to be abandoned.
   *
   * @param onRecorded called as `Finishing.onRecorded`: with `abandoned` where others were first
   */
  noteOutcome(lock: HeldLock, onRecorded: (answer: ReleaseAnswer) => void = () => {}): void {
    const onReleased = (answer: ReleaseAnswer): void => {
      if (answer !== 'unavailable') onRecorded(answer)
    }
    this.push({ lock, finished: true, keepsLock: true, onReleased, onRecorded })
  }

  /** The ids of the runs whose end is to be told. */
  get runIds(): string[] {
    const again = [...this.#retried, ...this.#retrying].map(({ ending }) => ending)
    const handedBack = [...this.#handedBack, ...this.#handingBack.flatMap(({ claims }) => claims)]
    return [...this.#waiting, ...this.#flushed, ...again, ...handedBack].map(({ lock }) => lock.token)
  }

  /** Releases the lock of a run that does not begin, as its claim was never answered or came too late. */
  giveUp(lock: HeldLock): void {
    // Also when its lock is over: should it have been granted, it stands among the runs that are open.
    this.#retrying.push({ ending: { lock, finished: true }, until: this.#clock.monotonic() + RETRY_LIMIT })
    this.#retryLater()
  }

  /**
   * Leaves a run to whoever takes it over next: that it was taken over here is no attempt, also where its lock is over.
   *
   * @param onTold called once the store has heard of it
   */
  giveUpTakeover(lock: HeldLock, onTold: () => void = () => {}): void {
    const until = this.#clock.monotonic() + RETRY_LIMIT
    this.#retrying.push({ ending: { lock, finished: false, unbegun: true }, until, onTold })
    this.#retryLater()
  }

  /** Releases a lock by name, should it be ours. */
  giveUpNamed(lock: HeldLock): void {
    this.#named.add(lock)
    this.#retryLater()
  }

  /** Takes claims back, whether or not they were ever answered, so that other replicas can have them. */
  async handBack(claims: readonly HandingBack[]): Promise<void> {
    if (claims.length === 0) return
    const until = this.#clock.monotonic() + RETRY_LIMIT
    this.#handingBack.push({ id: this.#newCallId(), claims, until })
    await this.retryNow()
  }

  /** Resolves when all that was pushed has its first answer. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Tries again at once what was not answered for, as Redis answers again. */
  async retryNow(): Promise<void> {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    // One after the other: a store remembers the reply to one call of each replica.
    this.#lastRetry = this.#lastRetry.then(() => this.#retry())
    await this.#lastRetry
  }

  /** Nobody waits for an answer any more: what has none is as if it will have none, though the store is told on. */
  awaitNoMore(): void {
    for (const { finishing } of [...this.#retrying, ...this.#retried]) finishing?.onRecorded?.('unavailable')
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
    this.#closed = true
    await this.retryNow()
    this.awaitNoMore()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      this.#flushed = batch
      this.#answered = 0
      const answers = await this.#coordination.finish(batch)
      const answeredAt = this.#clock.monotonic()
      const turns = new TimeSlice(this.#clock)
      for (let index = 0; index < batch.length; index++) {
        if (turns.isOver) await turns.pass()
        const finishing = batch[index] as Finishing
        this.#answered = index + 1
        const { lock, finished, keepsLock = false } = finishing
        const answer = answers[index] as ReleaseAnswer
        if (answer === 'unavailable') {
          // That it has ended is to be known also when its lock is over: nobody is to run it again.
          this.#retrying.push({ ending: { lock, finished, keepsLock }, until: answeredAt + END_LIMIT, finishing })
          this.#retryLater()
        }
        const isSaid = this.#notAwaited.delete(finishing) && answer === 'unavailable'
        if (!isSaid) finishing.onReleased(answer, answeredAt < lock.validUntil)
      }
    }
    this.#flushed = []
    this.#flushing = false
    this.#idle.announce()
  }

  #retryLater(): void {
    if (this.#closed) return
    this.#retryTimer ??= this.#clock.setTimeout(() => {
      void this.retryNow()
    }, RETRY_DELAY)
  }

  async #retry(): Promise<void> {
    const now = this.#clock.monotonic()
    const isLive = ({ until }: { readonly until: number }): boolean => until > now
    const endings = this.#retrying.filter(isLive)
    for (const each of this.#retrying) if (!isLive(each)) each.finishing?.onRecorded?.('unavailable')
    const calls = this.#handingBack.filter(isLive)
    const named = [...this.#named].filter((lock) => lock.validUntil > now)
    this.#retried = endings
    this.#handedBack = calls.flatMap(({ claims }) => claims)
    this.#retrying = []
    this.#handingBack = []
    this.#named.clear()
    // A store that has not answered once is not asked for the rest, which would take as long each. What is left may be
    // more than a call can have arguments.
    let silent = false
    for (let at = 0; at < endings.length; at += BATCH) {
      const batch = endings.slice(at, at + BATCH)
      const answers: readonly ReleaseAnswer[] = silent
        ? []
        : await this.#coordination.finish(batch.map(({ ending }) => ending))
      for (const [index, each] of batch.entries()) {
        const answer = silent ? 'unavailable' : (answers[index] as ReleaseAnswer)
        if (answer === 'unavailable') {
          this.#retrying.push(each)
          continue
        }
        each.onTold?.()
        each.finishing?.onRecorded?.(answer)
      }
      silent ||= answers.includes('unavailable')
    }
    for (const call of calls) {
      const { id, claims } = call
      const answers: readonly HandBackAnswer[] = silent ? [] : await this.#coordination.handBack(claims, id)
      silent ||= answers.includes('unavailable')
      if (silent) this.#handingBack.push(call)
      else for (const [index, claim] of claims.entries()) claim.onHandedBack(answers[index] as HandBackAnswer)
    }
    for (let at = 0; at < named.length; at += BATCH) {
      const batch = named.slice(at, at + BATCH)
      const answers = silent ? [] : await Promise.all(batch.map((lock) => this.#coordination.release(lock)))
      for (const [index, lock] of batch.entries()) {
        if (silent || answers[index] === 'unavailable') this.#named.add(lock)
      }
      silent ||= answers.includes('unavailable')
    }
    this.#retried = []
    this.#handedBack = []
    if (this.#retrying.length + this.#handingBack.length + this.#named.size > 0) this.#retryLater()
  }
}
