import type { Clock } from '../../../types/clock.js'
import type { AcquireVote } from '../../../types/coordination/node.js'
import type { AcquireAnswer, Ending, HeldLock, ReleaseAnswer } from '../../../types/coordination.js'
import { ballot } from './ballot.js'
import type { LockRestorer } from './lock-restorer.js'
import type { Member } from './member.js'
import { decideAcquire, decideRelease, isFirstInSplit, majorityOf, noMajorityError, type Vote } from './votes.js'

/** How often a lock by name is asked for while the votes are split, and how often by the request that keeps its votes. */
const TRIES = 3
const TRIES_OF_THE_FIRST = 16

/** How many releases without an outcome are remembered. */
const MAX_RELEASES = 10_000

interface Extension {
  readonly answer: 'extended' | 'lost' | 'unavailable'
  readonly validUntil: number
}

/** The outcome of one try to take a lock. */
interface Acquisition {
  /** `null` while the votes are split. */
  readonly answer: AcquireAnswer | null
  readonly votes: readonly Vote<AcquireVote>[]
  /** Until it is over, a vote that comes too late is released when it comes. */
  readonly giveBack: { isOver: boolean }
  /** Whether the votes are kept for the next try. */
  readonly keepsVotes: boolean
}

/** Locks that a majority holds. */
export class QuorumLocks {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  readonly #pause: () => Promise<void>
  readonly #raiseFence: (token: number) => Promise<unknown>
  readonly #restorer: LockRestorer
  readonly #most: number
  /** The nodes' answers to releases that have no outcome yet: a node says only once that it has released a lock. */
  readonly #releases = new Map<string, Vote<ReleaseAnswer>[]>()

  /**
   * @param pause waits for a random delay
   * @param raiseFence makes all later fencing tokens greater than one; resolves with `null` when no majority has heard
   */
  constructor(
    members: readonly Member[],
    clock: Clock,
    pause: () => Promise<void>,
    raiseFence: (token: number) => Promise<unknown>,
    restorer: LockRestorer
  ) {
    this.#members = members
    this.#clock = clock
    this.#pause = pause
    this.#raiseFence = raiseFence
    this.#restorer = restorer
    this.#most = majorityOf(members.length)
    for (const member of members) member.onReleased = (lock) => this.#noteReleased(member, lock)
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const count = (votes: readonly Vote<Extension>[], wanted: Extension['answer']): number => {
      return votes.filter((vote) => vote?.answer === wanted).length
    }
    let isExtended = false
    const votes = await ballot<Member, Extension>(this.#members, this.#clock, {
      ask: async (member) => {
        // Each node has a copy: how long one lets the lock live says nothing about the others.
        const copy = { ...lock }
        const answer = await member.node.extend(copy)
        return { answer, validUntil: copy.validUntil }
      },
      isAnswer: ({ answer }) => answer !== 'unavailable',
      isDecided: (votes) => count(votes, 'extended') >= this.#most || count(votes, 'lost') >= this.#most,
      onLate: (member, { answer }) => {
        if (isExtended && answer === 'lost') this.#restorer.restore(lock, [member])
      }
    })
    if (count(votes, 'lost') >= this.#most) return 'lost'
    if (count(votes, 'extended') < this.#most) return 'unavailable'
    isExtended = true
    this.#restorer.restore(
      lock,
      this.#members.filter((_, index) => votes[index]?.answer === 'lost')
    )
    const until = votes.flatMap((vote) => (vote?.answer === 'extended' ? [vote.validUntil] : []))
    lock.validUntil = until.sort((a, b) => b - a)[this.#most - 1] as number
    return 'extended'
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    for (const { lock, keepsLock } of endings) if (!keepsLock) this.#restorer.forget(lock)
    const votesOf = (votes: readonly Vote<readonly ReleaseAnswer[]>[], index: number): Vote<ReleaseAnswer>[] => {
      return this.#withEarlier(
        (endings[index] as Ending).lock,
        votes.map((vote) => vote?.[index] ?? null)
      )
    }
    const votes = await ballot<Member, readonly ReleaseAnswer[]>(this.#members, this.#clock, {
      ask: (member) => member.finish(endings),
      isAnswer: (answers) => answers[0] !== 'unavailable',
      onLate: (member, answers) => {
        for (const [index, { lock }] of endings.entries()) {
          if (answers[index] === 'released') this.#noteReleased(member, lock)
        }
      },
      isDecided: (votes) => endings.every((_, index) => decideRelease(votesOf(votes, index)) !== 'unavailable')
    })
    return endings.map(({ lock }, index) => this.#outcomeOf(lock, votesOf(votes, index)))
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    for (let count = 1; ; count++) {
      const { answer, votes, giveBack, keepsVotes } = await this.#tryToAcquire(
        name,
        ttl,
        token,
        count < TRIES_OF_THE_FIRST
      )
      if (answer !== null) return answer
      if (count >= TRIES && !keepsVotes) {
        if (votes.some((vote) => vote?.status === 'held')) return { status: 'held' }
        return { status: 'unavailable', error: noMajorityError('take a lock', 'too few of them answered') }
      }
      await this.#pause()
      // A vote that comes from here on is for the next try.
      giveBack.isOver = true
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    this.#restorer.forget(lock)
    const votes = await ballot<Member, ReleaseAnswer>(this.#members, this.#clock, {
      ask: (member) => member.release(lock),
      isAnswer: (answer) => answer !== 'unavailable',
      onLate: (member, answer) => {
        if (answer === 'released') this.#noteReleased(member, lock)
      },
      isDecided: (votes) => decideRelease(this.#withEarlier(lock, votes)) !== 'unavailable'
    })
    return this.#outcomeOf(lock, this.#withEarlier(lock, votes))
  }

  /** One try. If the lock was not to be had the votes are released again, unless this request is to keep its votes. */
  async #tryToAcquire(name: string, ttl: number, token: string, mayKeep: boolean): Promise<Acquisition> {
    const lock: HeldLock = { name, kind: 'named', token, ttl, validUntil: this.#clock.monotonic() + ttl }
    const giveBack = { isOver: false }
    let outcome: AcquireAnswer | null | undefined
    const late: Member[] = []
    const release = (member: Member): void => {
      if (!giveBack.isOver && outcome?.status !== 'granted') void member.release(lock)
    }
    const votes = await ballot<Member, AcquireVote>(this.#members, this.#clock, {
      ask: async (member): Promise<AcquireVote> => {
        if (!member.isLettingGo(name, token)) return member.node.acquire(name, ttl, token)
        void member.catchUp()
        return { status: 'unavailable', error: noMajorityError('take a lock', 'one of them has not answered yet') }
      },
      isAnswer: ({ status }) => status !== 'unavailable',
      isDecided: (votes) => {
        const answer = decideAcquire(votes)
        // What is unavailable is not decided early: other nodes may still grant it, and that is to be given back.
        return answer !== null && answer.status !== 'unavailable'
      },
      onLate: (member, { status }) => {
        if (status === 'held') return
        if (status === 'granted') this.#restorer.noteHeldBy(lock, member)
        if (outcome === undefined) late.push(member)
        else release(member)
      }
    })
    const answer = decideAcquire(votes)
    outcome = answer
    if (answer?.status === 'granted') {
      const isRaised = (await this.#raiseFence(answer.fencingToken)) !== null
      if (!isRaised || answer.lock.validUntil <= this.#clock.monotonic()) outcome = null
    }
    const keepsVotes = mayKeep && outcome === null && isFirstInSplit(token, votes)
    giveBack.isOver = keepsVotes
    if (outcome?.status === 'granted') this.#restorer.noteGranted(outcome.lock, votes)
    else if (!keepsVotes) await this.#giveBack(lock, votes)
    for (const member of late) release(member)
    return { answer: outcome, votes, giveBack, keepsVotes }
  }

  async #giveBack(lock: HeldLock, votes: readonly Vote<AcquireVote>[]): Promise<void> {
    await ballot<Member, boolean>(this.#members, this.#clock, {
      ask: async (member) => {
        const status = votes[this.#members.indexOf(member)]?.status
        if (status === undefined || status === 'held') return status === 'held'
        const released = member.release(lock)
        // A node that did not answer before will hardly do so now.
        return status === 'granted' && (await released) !== 'unavailable'
      },
      isAnswer: (answered) => answered,
      isDecided: () => false
    })
  }

  /** The votes, with those of nodes that released the lock when they were asked earlier. */
  #withEarlier(lock: HeldLock, votes: readonly Vote<ReleaseAnswer>[]): Vote<ReleaseAnswer>[] {
    const earlier = this.#releases.get(keyOf(lock))
    return votes.map((vote, index) => (earlier?.[index] === 'released' ? 'released' : vote))
  }

  /** A node's answer that it has released a lock came too late to count with the others. */
  #noteReleased(member: Member, lock: HeldLock): void {
    const votes = this.#releases.get(keyOf(lock))
    if (votes !== undefined) votes[this.#members.indexOf(member)] = 'released'
  }

  #outcomeOf(lock: HeldLock, votes: Vote<ReleaseAnswer>[]): ReleaseAnswer {
    const key = keyOf(lock)
    const outcome = decideRelease(votes)
    this.#releases.delete(key)
    if (outcome === 'unavailable') this.#releases.set(key, votes)
    if (this.#releases.size > MAX_RELEASES) this.#releases.delete(this.#releases.keys().next().value as string)
    return outcome
  }
}

function keyOf({ name, kind, token }: HeldLock): string {
  return `${kind} ${token} ${name}`
}
