import type { Clock, TimerHandle } from '../../../types/clock.js'
import { SECOND } from '../../base/duration.js'
import { majorityOf, type Vote } from './votes.js'

/** How long the rest are waited for once a majority has answered, or cannot answer any more, and nothing is decided. */
const STRAGGLER_LIMIT = SECOND / 5

/** Whoever can be asked. */
export interface Voter {
  /** Whether it was waited for in vain, and has not answered since: it is not waited for again. */
  silent: boolean
}

export interface Question<Member extends Voter, Answer> {
  ask(voter: Member): Promise<Answer>
  /** Whether an answer is one: to say that the store behind the voter did not answer is none. */
  isAnswer(answer: Answer): boolean
  /** Whether the votes so far decide the matter. */
  isDecided(votes: readonly Vote<Answer>[]): boolean
  /** Called for each answer that comes too late to count. */
  onLate?(voter: Member, answer: Answer): void
}

/**
 * Asks all voters at once. Resolves with the votes, in the voters' order, as soon as they decide the matter or all are
 * there. Once a majority has answered, or cannot answer any more, voters that hang are waited for only briefly, and the
 * next time not at all.
 */
export function ballot<Member extends Voter, Answer>(
  voters: readonly Member[],
  clock: Clock,
  { ask, isAnswer, isDecided, onLate }: Question<Member, Answer>
): Promise<Vote<Answer>[]> {
  return new Promise((resolve) => {
    const votes: Vote<Answer>[] = voters.map(() => null)
    const waited = new Set(voters)
    const most = majorityOf(voters.length)
    let heard = 0
    let failed = 0
    let over = false
    let timer: TimerHandle | null = null
    const end = (): void => {
      if (over) return
      over = true
      timer?.cancel()
      resolve(votes)
    }
    const giveUp = (): void => {
      if (over) return
      for (const voter of waited) voter.silent = true
      end()
    }
    for (const [index, voter] of voters.entries()) {
      void ask(voter).then((answer) => {
        const isHeard = isAnswer(answer)
        if (isHeard) voter.silent = false
        if (over) {
          onLate?.(voter, answer)
          return
        }
        waited.delete(voter)
        votes[index] = answer
        if (isHeard) heard++
        else failed++
        if (waited.size === 0 || isDecided(votes)) end()
        else if (heard < most && failed <= voters.length - most) return
        else if ([...waited].every((each) => each.silent)) end()
        // After a turn of the event loop: if it was blocked, answers may have arrived that are only not read yet.
        else timer ??= clock.setTimeout(() => clock.setImmediate(giveUp), STRAGGLER_LIMIT)
      })
    }
  })
}
