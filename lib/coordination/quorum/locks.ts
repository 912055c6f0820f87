import type { Clock } from '../../../types/clock.js'
import type { AcquireVote } from '../../../types/coordination/node.js'
import type { AcquireAnswer, Ending, HeldLock, ReleaseAnswer } from '../../../types/coordination.js'
import { ballot } from './ballot.js'
import type { LockMender } from './lock-mender.js'
import type { Member } from './member.js'
import { decideAcquire, decideRelease, isFirstInSplit, majorityOf, noMajorityError, type Vote } from './votes.js'

/** How often a lock by name is asked for while the votes are split, and by the one that is to have it. */
const TRIES = 3
const TRIES_OF_THE_FIRST = 16

/** How many releases without an outcome are remembered. */
const MAX_RELEASES = 10_000

interface Extension {
  readonly answer: 'extended' | 'lost' | 'unavailable'
  readonly validUntil: number
}

/** What one try to take a lock has come to. */
interface Acquisition {
  /** `null` while the votes are split. */
  readonly answer: AcquireAnswer | null
  readonly votes: readonly Vote<AcquireVote>[]
  /** Until it is over, what nodes grant too late is released when it comes. */
  readonly giveBack: { isOver: boolean }
  /** Whether what was taken is kept for the next try. */
  readonly isKept: boolean
}

/** Locks that a majority holds. */
export class QuorumLocks {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  readonly #pause: () => Promise<void>
  readonly #raiseFence: (token: number) => Promise<unknown>
  readonly #mender: LockMender
  readonly #most: number
  /** What nodes have answered to releases that have no outcome yet: a node releases a lock only once. */
  readonly #releases = new Map<string, Vote<ReleaseAnswer>[]>()

  /**
   * @param pause waits for a random while
   * @param raiseFence lets all later fencing tokens be greater than one; resolves with `null` when no majority has heard
   */
  constructor(
    members: readonly Member[],
    clock: Clock,
    pause: () => Promise<void>,
    raiseFence: (token: number) => Promise<unknown>,
    mender: LockMender
  ) {
    this.#members = members
    this.#clock = clock
    this.#pause = pause
    this.#raiseFence = raiseFence
    this.#mender = mender
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
        // Each node writes into its own: how long it lets the lock live says nothing of the others.
        const copy = { ...lock }
        const answer = await member.node.extend(copy)
        return { answer, validUntil: copy.validUntil }
      },
      isAnswer: ({ answer }) => answer !== 'unavailable',
      isDecided: (votes) => count(votes, 'extended') >= this.#most || count(votes, 'lost') >= this.#most,
      onLate: (member, { answer }) => {
        if (isExtended && answer === 'lost') this.#mender.missed(lock, [member])
      }
    })
    if (count(votes, 'lost') >= this.#most) return 'lost'
    if (count(votes, 'extended') < this.#most) return 'unavailable'
    isExtended = true
    this.#mender.missed(
      lock,
      this.#members.filter((_, index) => votes[index]?.answer === 'lost')
    )
    const until = votes.flatMap((vote) => (vote?.answer === 'extended' ? [vote.validUntil] : []))
    lock.validUntil = until.sort((a, b) => b - a)[this.#most - 1] as number
    return 'extended'
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    for (const { lock, keepsLock } of endings) if (!keepsLock) this.#mender.forget(lock)
    const votesOf = (votes: readonly Vote<readonly ReleaseAnswer[]>[], index: number): Vote<ReleaseAnswer>[] => {
      return this.#withFormer(
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
    return endings.map(({ lock }, index) => this.#released(lock, votesOf(votes, index)))
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    for (let count = 1; ; count++) {
      const { answer, votes, giveBack, isKept } = await this.#tryToAcquire(name, ttl, token, count < TRIES_OF_THE_FIRST)
      if (answer !== null) return answer
      if (count >= TRIES && !isKept) {
        if (votes.some((vote) => vote?.status === 'held')) return { status: 'held' }
        return { status: 'unavailable', error: noMajorityError('take a lock', 'too few of them answered') }
      }
      await this.#pause()
      // From here on what comes late is for the next try.
      giveBack.isOver = true
    }
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    this.#mender.forget(lock)
    const votes = await ballot<Member, ReleaseAnswer>(this.#members, this.#clock, {
      ask: (member) => member.release(lock),
      isAnswer: (answer) => answer !== 'unavailable',
      onLate: (member, answer) => {
        if (answer === 'released') this.#noteReleased(member, lock)
      },
      isDecided: (votes) => decideRelease(this.#withFormer(lock, votes)) !== 'unavailable'
    })
    return this.#released(lock, this.#withFormer(lock, votes))
  }

  /** One try: all that was taken is released again when the lock is not had, unless others are to let go of theirs. */
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
        void member.pay()
        return { status: 'unavailable', error: noMajorityError('take a lock', 'one of them has not answered yet') }
      },
      isAnswer: ({ status }) => status !== 'unavailable',
      isDecided: (votes) => {
        const answer = decideAcquire(votes)
        // What the others grant meanwhile is to be given back.
        return answer !== null && answer.status !== 'unavailable'
      },
      onLate: (member, { status }) => {
        if (status === 'held') return
        if (status === 'granted') this.#mender.found(lock, member)
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
    const isKept = mayKeep && outcome === null && isFirstInSplit(token, votes)
    giveBack.isOver = isKept
    if (outcome?.status === 'granted') this.#mender.given(outcome.lock, votes)
    else if (!isKept) await this.#giveBack(lock, votes)
    for (const member of late) release(member)
    return { answer: outcome, votes, giveBack, isKept }
  }

  async #giveBack(lock: HeldLock, votes: readonly Vote<AcquireVote>[]): Promise<void> {
    await ballot<Member, boolean>(this.#members, this.#clock, {
      ask: async (member) => {
        const status = votes[this.#members.indexOf(member)]?.status
        if (status === undefined || status === 'held') return status === 'held'
        const released = member.release(lock)
        // One that did not answer before will hardly do so now.
        return status === 'granted' && (await released) !== 'unavailable'
      },
      isAnswer: (answered) => answered,
      isDecided: () => false
    })
  }

  /** The votes, with those of nodes that have released the lock when they were asked before. */
  #withFormer(lock: HeldLock, votes: readonly Vote<ReleaseAnswer>[]): Vote<ReleaseAnswer>[] {
    const former = this.#releases.get(keyOf(lock))
    return votes.map((vote, index) => (former?.[index] === 'released' ? 'released' : vote))
  }

  /** A node has released a lock when nobody waited for its answer any more. */
  #noteReleased(member: Member, lock: HeldLock): void {
    const votes = this.#releases.get(keyOf(lock))
    if (votes !== undefined) votes[this.#members.indexOf(member)] = 'released'
  }

  #released(lock: HeldLock, votes: Vote<ReleaseAnswer>[]): ReleaseAnswer {
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
