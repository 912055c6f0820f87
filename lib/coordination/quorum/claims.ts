import type { Clock } from '../../../types/clock.js'
import type { ClaimVote, Confirmation } from '../../../types/coordination/node.js'
import type {
  ClaimAnswer,
  ClaimRequest,
  ConfirmedClaim,
  Ending,
  HandedBack,
  HeldLock
} from '../../../types/coordination.js'
import { ballot } from './ballot.js'
import {
  agreeOnDue,
  agreeOnPrevious,
  type Decision,
  decideClaim,
  decideWithoutMajority,
  isFirstByHand,
  isHeldByMost,
  isMine,
  isToConfirm,
  leftover,
  noMajority
} from './claim-votes.js'
import type { LockRestorer } from './lock-restorer.js'
import type { Member } from './member.js'
import { decideConfirm, majorityOf, noMajorityError, type Vote } from './votes.js'

/** How often a claim is asked for while the votes are split, and how often by the run by hand that keeps its votes. */
const TRIES = 5
const TRIES_OF_THE_FIRST = 16

type Votes = readonly ClaimVote[]

/** A request, and where its answer goes. */
interface Asked {
  readonly request: ClaimRequest
  readonly index: number
}

/** One time that all nodes are asked for the same requests. */
interface Round {
  readonly asked: readonly Asked[]
  /** What was decided for each request, `null` where the votes are split; `null` altogether until that is known. */
  outcomes: readonly (Decision | null)[] | null
  /** Whether a majority held each request's tick when that was decided, or the other requests are to give theirs back. */
  held: readonly boolean[]
  /** How many nodes have not answered. */
  left: number
  readonly late: [member: Member, answers: Votes][]
  /** Nodes that have not confirmed some of the claims, which a majority may confirm. */
  readonly refusals: [member: Member, refused: readonly ClaimRequest[]][]
}

/**
 * Claims by a majority, in two steps: a majority grants a tick, and then confirms it. If a later tick is granted in between,
 * the earlier one can be confirmed no more, and the later one's replica counts it: so each tick is accounted for by one
 * replica. Nodes that did not confirm a claim adopt it once a majority has, so that any one node may forget it.
 *
 * Where there is no majority the votes are given back, and asked for again after a random delay. A vote that comes too late
 * for the decision is given back when it comes.
 */
export class QuorumClaims {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  readonly #pause: () => Promise<void>
  readonly #restorer: LockRestorer
  readonly #most: number
  /** For each request the last round it was part of, while nodes may still answer. */
  readonly #rounds = new Map<string, Round>()

  /** @param pause waits for a random delay */
  constructor(members: readonly Member[], clock: Clock, pause: () => Promise<void>, restorer: LockRestorer) {
    this.#members = members
    this.#clock = clock
    this.#pause = pause
    this.#restorer = restorer
    this.#most = majorityOf(members.length)
  }

  async claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimAnswer[]> {
    const answers: ClaimAnswer[] = []
    let open: readonly Asked[] = requests.map((request, index) => ({ request, index }))
    for (let count = 1; open.length > 0; count++) {
      if (count > 1) await this.#pause()
      const outcomes = await this.#try(open, count)
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome !== null) answers[(open[index] as Asked).index] = outcome
      }
      open = open.filter((_, index) => outcomes[index] === null)
    }
    return answers
  }

  /**
   * Confirms claims, and makes all later fencing tokens greater than this one, whichever majority gives them.
   *
   * @param onRefused called for each node that refuses to confirm some of them, also when it answers too late to count
   * @param decided the claims as the nodes are to confirm them
   * @returns for each claim whether a majority has confirmed it; `null` when no majority answered
   */
  async confirm<Claim extends Confirmation>(
    claims: readonly Claim[],
    fencingToken: number,
    onRefused?: (member: Member, refused: readonly Claim[]) => void,
    decided: readonly Confirmation[] = claims
  ): Promise<readonly boolean[] | null> {
    const votes = await ballot<Member, readonly boolean[] | null>(this.#members, this.#clock, {
      ask: async (member) => {
        const answers = await member.node.confirm(decided, fencingToken)
        const refused = claims.filter((_, index) => answers?.[index] === false)
        if (refused.length > 0) onRefused?.(member, refused)
        // A claim that the node was told to let go of is held only until it hears of that: no vote.
        return answers?.map((own, index) => own && !isLettingGo(member, claims[index] as Claim)) ?? null
      },
      isAnswer: (answer) => answer !== null,
      isDecided: (votes) => {
        if (votes.filter((vote) => vote !== null).length < this.#most) return false
        return claims.every((_, index) => decideConfirm(votesOf(votes, index)) !== null)
      }
    })
    if (votes.filter((vote) => vote !== null).length < this.#most) return null
    return claims.map((_, index) => decideConfirm(votesOf(votes, index)) === true)
  }

  async #try(asked: readonly Asked[], count: number): Promise<readonly (Decision | null)[]> {
    const requests = asked.map(({ request }) => request)
    const round: Round = { asked, outcomes: null, held: [], left: this.#members.length, late: [], refusals: [] }
    for (const { runId } of requests) this.#rounds.set(runId, round)
    const ballots = await ballot<Member, Votes>(this.#members, this.#clock, {
      ask: async (member) => {
        const answers = await this.#ask(member, requests)
        round.left--
        return answers
      },
      isAnswer: hasAnswered,
      isDecided: (ballots) => {
        if (ballots.filter((each) => each !== null).length < this.#most) return false
        return requests.every((request, index) => {
          const votes = votesOf(ballots, index)
          const answer = decideClaim(request, votes)
          if (answer?.status === 'early') return agreeOnDue(votes)
          // What is unavailable is not decided early: other nodes may still grant it, and that is to be given back.
          return answer !== null && answer.status !== 'unavailable' && (!isMine(answer) || agreeOnPrevious(votes))
        })
      },
      onLate: (member, answers) => {
        if (round.outcomes === null) round.late.push([member, answers])
        else this.#giveBackLate(round, member, answers)
      }
    })
    const isLast = count >= TRIES
    const isFirst = requests.map((request, index) => {
      return count < TRIES_OF_THE_FIRST && isFirstByHand(request, votesOf(ballots, index))
    })
    const decided = requests.map((request, index) => {
      const votes = votesOf(ballots, index)
      return decideClaim(request, votes) ?? (isLast && !isFirst[index] ? decideWithoutMajority(request, votes) : null)
    })
    const outcomes = await this.#confirmDecided(round, requests, decided, isLast)
    const isRefused = (index: number): boolean => outcomes[index] !== decided[index]
    round.outcomes = outcomes
    round.held = requests.map((_, index) => {
      return !isRefused(index) && (isFirst[index] === true || isHeldByMost(votesOf(ballots, index)))
    })
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome?.status !== 'granted' || outcome.lock === null) continue
      this.#restorer.noteGranted(outcome.lock, votesOf(ballots, index))
    }
    for (const [member, refused] of round.refusals.splice(0)) this.#letAdopt(round, member, refused)
    return this.#giveBackUnused(round, outcomes, ballots)
  }

  /** Asks a node for all but what it was told to let go of in an earlier round and may still have to. */
  async #ask(member: Member, requests: readonly ClaimRequest[]): Promise<Votes> {
    const asked = requests.filter((request) => !isLettingGo(member, request))
    if (asked.length === requests.length) return member.node.vote(requests)
    void member.catchUp()
    const answers = asked.length > 0 ? await member.node.vote(asked) : []
    const byRequest = new Map(asked.map((request, index) => [request, answers[index] as ClaimVote]))
    const error = noMajorityError('claim ticks', 'one of them has not answered yet')
    return requests.map((request) => byRequest.get(request) ?? { status: 'unavailable', error, maybe: true })
  }

  /** Has the decisions confirmed: one that no majority confirms, or whose lock is over by then, is none. */
  async #confirmDecided(
    round: Round,
    requests: readonly ClaimRequest[],
    decided: readonly (Decision | null)[],
    isLast: boolean
  ): Promise<(Decision | null)[]> {
    const claims = requests.filter((request, index) => isToConfirm(request, decided[index] ?? null))
    const token = Math.max(-1, ...decided.map((answer) => (answer === null ? -1 : tokenOf(answer))))
    if (claims.length === 0 && token < 0) return [...decided]
    const onRefused = (member: Member, refused: readonly ClaimRequest[]): void => {
      if (round.outcomes === null) round.refusals.push([member, refused])
      else this.#letAdopt(round, member, refused)
    }
    const confirmed = await this.confirm(
      claims,
      token,
      onRefused,
      claims.map((claim) => {
        return confirmationOf(claim, decided[requests.indexOf(claim)] ?? null)
      })
    )
    const refused = new Set(claims.filter((_, index) => confirmed?.[index] !== true))
    const now = this.#clock.monotonic()
    return decided.map((answer, index) => {
      const isGranted = answer?.status === 'granted' && answer.lock !== null
      const isLost = isGranted && (confirmed === null || (answer.lock?.validUntil ?? 0) <= now)
      if (!isLost && !refused.has(requests[index] as ClaimRequest)) return answer
      return isLast ? noMajority(undefined) : null
    })
  }

  /** Lets a node adopt claims that it has not confirmed and a majority has, unless they were handed back since. */
  #letAdopt({ asked, outcomes }: Round, member: Member, refused: readonly ClaimRequest[]): void {
    const claims = asked.flatMap(({ request }, index) => {
      const outcome = outcomes?.[index] ?? null
      if (outcome === null || !refused.includes(request) || !isToConfirm(request, outcome)) return []
      if (member.isEnding(request.jobId, request.runId))
        return [{ ...confirmedClaimOf(request, outcome), runId: '', run: null }]
      return isLettingGo(member, request) ? [] : [confirmedClaimOf(request, outcome)]
    })
    if (claims.length > 0) void member.node.adopt(claims)
  }

  /**
   * Gives back the votes that the decisions do not use.
   *
   * @returns the decisions; one that is unavailable says whether a majority may hold the claim all the same
   */
  async #giveBackUnused(
    round: Round,
    outcomes: readonly (Decision | null)[],
    ballots: readonly Vote<Votes>[]
  ): Promise<readonly (Decision | null)[]> {
    const given = await ballot<Member, boolean>(this.#members, this.#clock, {
      ask: async (member) => {
        const answers = ballots[this.#members.indexOf(member)] ?? null
        if (answers === null) return false
        const sent = this.#giveBack(round, member, answers)
        // A node that did not answer before will hardly do so now.
        return hasAnswered(answers) && (await sent)
      },
      isAnswer: (answered) => answered,
      isDecided: () => false
    })
    for (const [member, answers] of round.late.splice(0)) this.#giveBackLate(round, member, answers)
    if (round.left === 0) this.#forget(round)
    return outcomes.map((outcome, index) => {
      if (outcome?.status !== 'unavailable') return outcome
      const standing = votesOf(ballots, index).filter((vote, at) => {
        return vote === null || (vote.status === 'unavailable' ? vote.maybe : isMine(vote) && !given[at])
      })
      return { ...outcome, maybe: standing.length >= this.#most }
    })
  }

  /** Gives back votes that came too late for the decision, unless they are asked for again meanwhile. */
  #giveBackLate(round: Round, member: Member, answers: Votes): void {
    for (const [index, { request }] of round.asked.entries()) {
      if (answers[index]?.status !== 'granted') continue
      this.#restorer.noteHeldBy({ name: request.jobId, token: request.runId }, member)
    }
    void this.#giveBack(round, member, answers)
    if (round.left === 0) this.#forget(round)
  }

  /**
   * Lets a node let go of what it holds, or may hold, by its answers, and the decisions do not use.
   *
   * @returns whether it has heard
   */
  async #giveBack(round: Round, member: Member, answers: Votes): Promise<boolean> {
    const ends: Ending[] = []
    const backs: HandedBack[] = []
    for (const [index, { request }] of round.asked.entries()) {
      const { jobId, runId, ttl, afterCompletion } = request
      if (this.#rounds.get(runId) !== round || isLettingGo(member, request)) continue
      const vote = answers[index] as ClaimVote
      const fate = leftover(request, round.outcomes?.[index] ?? null, vote, round.held[index])
      if (fate === 'keep') continue
      const lock: HeldLock = { name: jobId, kind: 'job', token: runId, ttl, validUntil: this.#clock.monotonic() + ttl }
      const { scheduledTime } = vote.status === 'granted' ? vote : request
      // A takeover has no tick to hand back: its run stays unfinished.
      if (fate === 'unused') ends.push({ lock, finished: true, unbegun: true })
      else if (fate === 'end' || fate === 'leave') ends.push({ lock, finished: fate === 'end' })
      else if (request.kind === 'recover') ends.push({ lock, finished: false, unbegun: true })
      else backs.push({ lock, scheduledTime, tell: false, afterCompletion })
    }
    const [released, taken] = await Promise.all([
      ends.length > 0 ? member.finish(ends) : null,
      backs.length > 0 ? member.handBack(backs) : null
    ])
    return taken?.[0] !== 'unavailable' && released?.[0] !== 'unavailable'
  }

  #forget({ asked }: Round): void {
    for (const { request } of asked) {
      const round = this.#rounds.get(request.runId)
      if (round?.asked === asked) this.#rounds.delete(request.runId)
    }
  }
}

/** A claim as it is confirmed: all nodes have the tick that was decided on, whoever takes its run over later. */
function confirmationOf(request: ClaimRequest, decided: Decision | null): Confirmation {
  if (request.afterCompletion === 0 || decided?.status !== 'granted') return request
  return { jobId: request.jobId, runId: request.runId, due: decided.scheduledTime }
}

/** A claim as a node that has not confirmed it adopts it. */
function confirmedClaimOf(request: ClaimRequest, answer: Decision): ConfirmedClaim {
  const { jobId, runId, coversUntil, retention, fingerprint, rerun, afterCompletion } = request
  const common = { jobId, runId, retention, fingerprint }
  if (answer.status !== 'granted' || answer.lock === null) return { ...common, tick: coversUntil, run: null }
  const { scheduledTime, fencingToken } = answer
  const tick = afterCompletion > 0 ? scheduledTime : coversUntil
  return { ...common, tick, run: { scheduledTime, fencingToken, attempt: rerun ? 1 : 0 } }
}

/** What each node answered to one of the questions that were asked together. */
function votesOf<Answer>(ballots: readonly Vote<readonly Answer[]>[], index: number): Vote<Answer>[] {
  return ballots.map((answers) => answers?.[index] ?? null)
}

/** Whether a node was told to let go of a claim, and may not have heard of that yet. */
function isLettingGo(member: Member, { jobId, runId }: Confirmation): boolean {
  return member.isLettingGo(jobId, runId)
}

function hasAnswered(answers: Votes): boolean {
  return answers.some(({ status }) => status !== 'unavailable')
}

function tokenOf(answer: Decision): number {
  return answer.status === 'granted' && answer.lock !== null ? answer.fencingToken : -1
}
