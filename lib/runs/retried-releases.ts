import type { Clock, TimerHandle } from '../../types/clock.js'
import type {
  Coordination,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  ReleaseAnswer
} from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'

/** How many releases go into one call. */
export const BATCH = 256

/** How long to wait before what was not answered is tried again. */
const RETRY_DELAY = SECOND / 4

/** Who hears of an end that the store did not answer for at first. */
export interface EndListener {
  /** Called with the first answer; before, with `unavailable`, when nobody waits for it any more. */
  onRecorded?(answer: ReleaseAnswer): void
}

/** The end of a run that the store is to hear of. */
export interface RetriedEnd {
  readonly ending: Ending
  /** Until when it is tried, on the monotonic clock. */
  readonly until: number
  /** Called once the store has answered. */
  readonly onAnswered?: () => void
  readonly listener?: EndListener
}

/** A claim that is handed back. */
export interface HandingBack extends HandedBack {
  /** Called once, with the answer, when it has come. */
  onHandedBack(answer: HandBackAnswer): void
}

/** A call that is repeated as it is, so that the store can tell a repetition from a new one. */
interface HandBackCall {
  readonly id: string
  readonly claims: readonly HandingBack[]
  /** Until when it is tried, on the monotonic clock. */
  readonly until: number
}

/**
 * What this process has still to release: ends of runs, claims that it hands back, and locks by name. Each is tried in the
 * background, again and again, until the store has answered or its time is over.
 */
export class RetriedReleases {
  readonly #coordination: Coordination
  readonly #clock: Clock
  readonly #newCallId: () => string
  #ends: RetriedEnd[] = []
  #handBacks: HandBackCall[] = []
  /** Locks by name; each is tried until it has ended by itself. */
  readonly #named = new Set<HeldLock>()
  /** The ends and the claims that are tried just now. */
  #triedEnds: readonly RetriedEnd[] = []
  #triedClaims: readonly HandedBack[] = []
  #lastTry = Promise.resolve()
  #timer: TimerHandle | null = null
  #closed = false

  /** @param newCallId makes an id that is unique across replicas */
  constructor(coordination: Coordination, clock: Clock, newCallId: () => string) {
    this.#coordination = coordination
    this.#clock = clock
    this.#newCallId = newCallId
  }

  /** The ids of the runs whose end is to be told, or whose claim is to be handed back. */
  get runIds(): string[] {
    const ends = [...this.#triedEnds, ...this.#ends].map(({ ending }) => ending)
    const claims = [...this.#triedClaims, ...this.#handBacks.flatMap((call) => call.claims)]
    return [...ends, ...claims].map(({ lock }) => lock.token)
  }

  addEnd(end: RetriedEnd): void {
    this.#ends.push(end)
    this.#tryLater()
  }

  addNamed(lock: HeldLock): void {
    this.#named.add(lock)
    this.#tryLater()
  }

  /** Tries at once. @param until on the monotonic clock */
  async handBack(claims: readonly HandingBack[], until: number): Promise<void> {
    this.#handBacks.push({ id: this.#newCallId(), claims, until })
    await this.tryNow()
  }

  /** Tries all at once, as the store answers again. */
  async tryNow(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    // One after the other: a store remembers the reply to one call of each replica.
    this.#lastTry = this.#lastTry.then(() => this.#try())
    await this.#lastTry
  }

  /** Nobody waits for an answer any more: listeners are called as if there were none, though the store is told on. */
  awaitNoMore(): void {
    for (const { listener } of [...this.#ends, ...this.#triedEnds]) listener?.onRecorded?.('unavailable')
  }

  /** A last try; what is left ends with its TTL. */
  async close(): Promise<void> {
    this.#closed = true
    await this.tryNow()
  }

  #tryLater(): void {
    if (this.#closed) return
    this.#timer ??= this.#clock.setTimeout(() => {
      void this.tryNow()
    }, RETRY_DELAY)
  }

  async #try(): Promise<void> {
    const now = this.#clock.monotonic()
    const isLive = ({ until }: { readonly until: number }): boolean => until > now
    const ends = this.#ends.filter(isLive)
    for (const each of this.#ends) if (!isLive(each)) each.listener?.onRecorded?.('unavailable')
    const calls = this.#handBacks.filter(isLive)
    const named = [...this.#named].filter((lock) => lock.validUntil > now)
    this.#triedEnds = ends
    this.#triedClaims = calls.flatMap(({ claims }) => claims)
    this.#ends = []
    this.#handBacks = []
    this.#named.clear()
    // A store that has not answered once is not asked for the rest, which would take as long each.
    let answers = await this.#tryEnds(ends, true)
    answers = await this.#tryHandBacks(calls, answers)
    await this.#tryNamed(named, answers)
    this.#triedEnds = []
    this.#triedClaims = []
    if (this.#ends.length + this.#handBacks.length + this.#named.size > 0) this.#tryLater()
  }

  /** @returns whether the store still answers, as of each of these */
  async #tryEnds(ends: readonly RetriedEnd[], answered: boolean): Promise<boolean> {
    let isAnswering = answered
    // What is left may be more than a call can have arguments.
    for (let at = 0; at < ends.length; at += BATCH) {
      const batch = ends.slice(at, at + BATCH)
      const answers = isAnswering ? await this.#coordination.finish(batch.map(({ ending }) => ending)) : []
      for (const [index, each] of batch.entries()) {
        const answer = answers[index] ?? 'unavailable'
        if (answer === 'unavailable') {
          this.#ends.push(each)
        } else {
          each.onAnswered?.()
          each.listener?.onRecorded?.(answer)
        }
      }
      isAnswering &&= !answers.includes('unavailable')
    }
    return isAnswering
  }

  async #tryHandBacks(calls: readonly HandBackCall[], answered: boolean): Promise<boolean> {
    let isAnswering = answered
    const unanswered: HandBackCall[] = []
    for (const call of calls) {
      const { id, claims } = call
      const answers = isAnswering ? await this.#coordination.handBack(claims, id) : []
      isAnswering &&= !answers.includes('unavailable')
      if (!isAnswering) unanswered.push(call)
      else for (const [index, claim] of claims.entries()) claim.onHandedBack(answers[index] as HandBackAnswer)
    }
    // Before those that have come meanwhile: after another call the store does not remember its reply to one that it has had.
    this.#handBacks = [...unanswered, ...this.#handBacks]
    return isAnswering
  }

  async #tryNamed(locks: readonly HeldLock[], answered: boolean): Promise<void> {
    let isAnswering = answered
    for (let at = 0; at < locks.length; at += BATCH) {
      const batch = locks.slice(at, at + BATCH)
      const answers = isAnswering ? await Promise.all(batch.map((lock) => this.#coordination.release(lock))) : []
      for (const [index, lock] of batch.entries()) {
        if ((answers[index] ?? 'unavailable') === 'unavailable') this.#named.add(lock)
      }
      isAnswering &&= !answers.includes('unavailable')
    }
  }
}
