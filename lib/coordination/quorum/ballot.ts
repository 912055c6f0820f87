import type { Clock, TimerHandle } from '../../../types/clock.js'
import { SECOND } from '../../base/duration.js'
import { majorityOf, type Vote } from './votes.js'

/** How long the others are waited for once a majority has answered, or failed to, and nothing is decided. */
const STRAGGLER_LIMIT = SECOND / 5

/** Somebody who is asked. */
export interface Voter {
  /** Whether it has kept others waiting, and has not answered since: it is not waited for. */
  silent: boolean
}

export interface Question<Member extends Voter, Answer> {
  ask(voter: Member): Promise<Answer>
  /** Whether a voter did answer: that the store behind it did not is none. */
  isAnswer(answer: Answer): boolean
  /** Whether the votes there are decide the matter. */
  isDecided(votes: readonly Vote<Answer>[]): boolean
  /** Called for each answer that comes when nobody waits for it any more. */
  onLate?(voter: Member, answer: Answer): void
}

/**
 * Asks all voters at once. Resolves with the votes, in the voters' order, as soon as they decide the matter, or all are
 * there. Where a majority has answered, or failed to, those that hang are waited for shortly, and the next time not at
 * all.
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
        // After a turn of the event loop: where it was blocked, the answers may be there, and only not be read.
        else timer ??= clock.setTimeout(() => clock.setImmediate(giveUp), STRAGGLER_LIMIT)
      })
    }
  })
}
