import type { ClaimVote } from '../../../types/coordination/node.js'
import type { ClaimAnswer, ClaimRequest } from '../../../types/coordination.js'
import { SECOND } from '../../base/duration.js'
import { largest, majorityOf, noMajorityError, type Vote } from './votes.js'

// What the answers of several independent nodes to a claim come to: pure functions of those answers.

/** How far apart nodes' clocks, and their news of an end, may be for the same due time. */
const SAME_DUE = SECOND / 10

type Voted<Status> = Extract<ClaimVote, { status: Status }>

/** What the votes come to: an answer, with the request that has a tick which was claimed elsewhere. */
export type Decision = Exclude<ClaimVote, { status: 'overlap' }> | Extract<ClaimAnswer, { status: 'overlap' }>

/** Whether a node that answered so holds the tick, the lock, or both for the request. */
export function isMine(answer: ClaimAnswer): boolean {
  switch (answer.status) {
    case 'granted':
      return true
    case 'overlap':
      return answer.taken
    case 'paused':
      return answer.first
    default:
      return false
  }
}

/**
 * The answer to a claim that a majority of nodes agrees on and that no vote still to come can change; `null` while there
 * is none.
 *
 * A tick is claimed elsewhere when a majority has it claimed by one request. Where the nodes' votes are split, each of
 * several replicas sees a majority that refuses it: should all of them leave, nobody would run the tick. So one that has
 * a vote of its own stays and asks again, and only one that has none leaves. The last of the replicas to ask then finds
 * either nodes that nobody holds or a replica that has not left.
 */
export function decideClaim(request: ClaimRequest, votes: readonly Vote<ClaimVote>[]): Decision | null {
  const most = majorityOf(votes.length)
  const count = new Count(votes)
  const { granted, overlaps, elsewhere, paused, early, running, mine } = count
  // A majority has the change, so that one of these does: one who has not heard of it is not to claim, whoever else has not.
  if (count.isStale) return { status: 'stale' }
  if (granted.length >= most) return grant(count)
  if (count.unavailable.length > votes.length - most) {
    const unreadable = count.unavailable.filter((answer) => answer.unreadable)
    if (unreadable.length > votes.length - most) return unreadable[0] as ClaimVote
    return noMajority(count.unavailable[0]?.error)
  }
  if (mine >= most) {
    if (overlaps.length >= most) return count.overlap(true)
    if (paused.length >= most) return { status: 'paused', first: true, previous: count.previous }
    return null
  }
  if (overlaps.length >= most && (request.waits || mine === 0 || isOthers(request, overlaps, most))) {
    return count.overlap(false)
  }
  if (request.kind === 'recover') {
    if (paused.length >= most) return { status: 'paused', first: false, previous: null, by: '' }
    if (elsewhere.length >= most) return elsewhere[0] as ClaimVote
    return mine === 0 && running.length >= most ? later(count, most) : null
  }
  const others = [...elsewhere, ...paused.filter((answer) => !answer.first)] as Claimed[]
  const by = mostFrequent(others.map((answer) => answer.by))
  if (by.count >= most || (others.length >= most && mine === 0 && !votes.includes(null))) {
    if (paused.length >= most) return { status: 'paused', first: false, previous: null, by: by.value }
    return { status: 'claimed_elsewhere', last: lastOf(elsewhere, most), by: by.value, previous: null }
  }
  // A node on which another replica holds an interval from the last end is early too: as above, one with a vote stays.
  const isSplit = mine > 0 && request.afterCompletion > 0
  const all = !votes.includes(null)
  const isEarly = early.length >= most || (all && early.length > 0 && early.length + granted.length >= most)
  return isEarly && !isSplit ? later(count, most) : null
}

/**
 * Whether the nodes that hold the tick agree on the tick before it. If they do not, one of them may name a tick that no
 * majority has confirmed, which is known once all have answered.
 */
export function agreeOnPrevious(votes: readonly Vote<ClaimVote>[]): boolean {
  const ticks = votes.flatMap((vote) => (vote !== null && isMine(vote) && 'previous' in vote ? [vote.previous] : []))
  return ticks.every((previous) => previous === ticks[0])
}

/**
 * Whether the nodes on which a tick is not due yet agree on when it is, as far as their clocks do. One that has forgotten the end
 * of the last run says one interval from now: what a majority knows, of which not all were heard, is known once all have answered.
 */
export function agreeOnDue(votes: readonly Vote<ClaimVote>[]): boolean {
  const dues = votes.flatMap((vote) => (vote?.status === 'early' ? [vote.due] : []))
  return Math.max(...dues) - Math.min(...dues) <= SAME_DUE
}

/** Whether a run is asked for that has no tick: by hand, or as a replica starts. */
function isWithoutTick({ kind }: ClaimRequest): boolean {
  return kind === 'manual' || kind === 'start'
}

/** Whether a majority has given the lock of such a run to one other request. */
function isOthers(request: ClaimRequest, overlaps: readonly Voted<'overlap'>[], most: number): boolean {
  return isWithoutTick(request) && mostFrequent(overlaps.flatMap(({ by }) => (by === '' ? [] : [by]))).count >= most
}

/**
 * Whether a run without a tick keeps its votes while they are split: as with locks by name, that is the request with the lowest id
 * of those that have any. Ticks need no such order, as a tick that stays split is asked for again.
 */
export function isFirstByHand(request: ClaimRequest, votes: readonly Vote<ClaimVote>[]): boolean {
  return (
    isWithoutTick(request) &&
    votes.some((vote) => vote?.status === 'granted') &&
    votes.every((vote) => vote?.status !== 'overlap' || vote.by > request.runId)
  )
}

/** Whether a tick was taken by the request, and is to be confirmed before it is run or counted. */
export function isToConfirm(request: ClaimRequest, answer: ClaimAnswer | null): boolean {
  return answer !== null && isMine(answer) && !isWithoutTick(request) && request.kind !== 'recover'
}

/** Whether a majority of nodes holds the tick, or the run by hand, for the request. */
export function isHeldByMost(votes: readonly Vote<ClaimVote>[]): boolean {
  return votes.filter((vote) => vote !== null && isMine(vote)).length >= majorityOf(votes.length)
}

/** The answer to a claim that found no majority, however often it was asked for. */
export function decideWithoutMajority(request: ClaimRequest, votes: readonly Vote<ClaimVote>[]): Decision {
  const most = majorityOf(votes.length)
  const count = new Count(votes)
  const { granted, overlaps, early, running, mine } = count
  const taken = overlaps.some((answer) => answer.taken)
  // A majority holds the tick for this request, though not the lock: it is counted here, and nobody else can have it.
  if (taken && mine >= most) return count.overlap(true)
  if (overlaps.length > 0 && !taken) return count.overlap(false)
  const isLater = early.length > 0 || running.length > 0
  if (isLater && early.length + running.length + granted.length >= most && !isWithoutTick(request)) {
    return later(count, most)
  }
  return noMajority(count.unavailable[0]?.error)
}

/**
 * What is to become of what a node holds, or may hold, for a request once the matter is decided:
 *
 * - `keep`: it is as it should be
 * - `end`: its lock is released, its tick stays claimed, as the tick is accounted for
 * - `unused`: its lock is released, its run has not begun
 * - `leave`: the same for a tick that another request has and may still hand back
 * - `back`: its lock is released, and its tick can be claimed again
 *
 * @param answer what was decided, or `null` when nothing was
 * @param vote what the node answered
 * @param isHeld whether a majority holds the tick for the request
 */
export function leftover(
  request: ClaimRequest,
  answer: Decision | null,
  vote: ClaimVote,
  isHeld = false
): 'keep' | 'end' | 'unused' | 'leave' | 'back' {
  // Others may have given up because of these votes: only the lock is still to be had.
  if (answer === null && isHeld) return 'keep'
  const maybe = vote.status === 'unavailable' && vote.maybe
  if ((!isMine(vote) && !maybe) || answer?.status === 'granted') return 'keep'
  const isOver =
    answer !== null &&
    (answer.status === 'claimed_elsewhere' ||
      (answer.status === 'overlap' && answer.taken) ||
      // A run to be taken over stays one while its job is paused.
      (answer.status === 'paused' && request.kind !== 'recover'))
  if (isOver) {
    if (!maybe && (vote.status !== 'granted' || vote.lock === null)) return 'keep'
    // A request whose run has ended had its claim confirmed; another one may still hand it back.
    return 'by' in answer && answer.by !== '' ? 'leave' : 'end'
  }
  // A run without a tick: but the node has recorded that it goes on.
  return isWithoutTick(request) ? 'unused' : 'back'
}

type Claimed = Voted<'claimed_elsewhere'> | Extract<ClaimVote, { status: 'paused'; first: false }>

/** The votes of one claim, by what they say. */
class Count {
  readonly granted: Voted<'granted'>[] = []
  readonly overlaps: Voted<'overlap'>[] = []
  readonly paused: Voted<'paused'>[] = []
  readonly elsewhere: Voted<'claimed_elsewhere'>[] = []
  readonly early: Voted<'early'>[] = []
  readonly running: Voted<'running'>[] = []
  readonly unavailable: Voted<'unavailable'>[] = []
  mine = 0
  isStale = false
  readonly #nodes: number

  constructor(votes: readonly Vote<ClaimVote>[]) {
    this.#nodes = votes.length
    for (const vote of votes) {
      if (vote === null) continue
      if (isMine(vote)) this.mine++
      if (vote.status === 'granted') this.granted.push(vote)
      else if (vote.status === 'overlap') this.overlaps.push(vote)
      else if (vote.status === 'paused') this.paused.push(vote)
      else if (vote.status === 'claimed_elsewhere') this.elsewhere.push(vote)
      else if (vote.status === 'early') this.early.push(vote)
      else if (vote.status === 'running') this.running.push(vote)
      else if (vote.status === 'stale') this.isStale = true
      else this.unavailable.push(vote)
    }
  }

  /**
   * The tick before, as the node says that knows the latest: a majority has confirmed it, so that every other majority has a
   * node that knows it. Once all nodes have answered it is the one of a majority, as a claim that fewer confirmed was given up.
   */
  get previous(): number | null {
    // A node that has not taken the tick may still confirm an earlier one.
    const overlaps = this.overlaps.filter(({ taken }) => taken)
    const mine = [...this.granted, ...overlaps, ...this.paused.filter((answer) => answer.first)]
    const others = [...this.elsewhere, ...this.paused.filter((answer) => !answer.first)]
    const isKnown = mine.length + others.length === this.#nodes
    const ticks = (isKnown ? [...mine, ...others] : mine).map((answer) => answer.previous ?? -1).sort((a, b) => b - a)
    const tick = ticks[isKnown ? majorityOf(this.#nodes) - 1 : 0] ?? -1
    return tick < 0 ? null : tick
  }

  /** When the job was resumed, if that was later than the tick before. */
  get resumedAt(): number | null {
    const resumedAt = largest([...this.granted, ...this.overlaps].map((answer) => answer.resumedAt))
    return resumedAt !== null && resumedAt > (this.previous ?? Number.NEGATIVE_INFINITY) ? resumedAt : null
  }

  overlap(taken: boolean): Decision {
    const { previous, resumedAt } = this
    return { status: 'overlap', taken, isLeft: this.overlaps.some((answer) => answer.isLeft), previous, resumedAt }
  }
}

function grant(count: Count): Decision {
  const { granted, previous, resumedAt } = count
  const max = (of: (answer: Voted<'granted'>) => number): number => Math.max(...granted.map(of))
  // A majority knows that the tick is skipped, so that one of these does; others may have set the lock.
  const isSkipped = granted.some((answer) => answer.isSkipped)
  const held = granted.find((answer) => answer.lock !== null)?.lock ?? null
  const lock = held && { ...held }
  // Each node counts its own TTL: the shortest is the one that holds.
  if (lock !== null) lock.validUntil = Math.min(...granted.map((answer) => answer.lock?.validUntil ?? lock.validUntil))
  const answer: Decision = {
    status: 'granted',
    lock,
    previous,
    resumedAt,
    fencingToken: max((answer) => answer.fencingToken),
    scheduledTime: max((answer) => answer.scheduledTime),
    attempt: max((answer) => answer.attempt),
    ...(isSkipped ? { isSkipped } : {})
  }
  // A node on which an earlier takeover was given up does not know any more whose run it was.
  const from = granted.find((answer) => answer.from !== undefined)?.from
  return from === undefined ? answer : { ...answer, from }
}

/** When a majority would grant what it does not grant yet. */
function later({ early, running, granted }: Count, most: number): Decision {
  const now = granted.map(() => Number.NEGATIVE_INFINITY)
  const at = (times: number[]): number => [...now, ...times].sort((a, b) => a - b)[most - 1] as number
  if (running.length > early.length) {
    return { status: 'running', remaining: at(running.map((answer) => answer.remaining)) }
  }
  return { status: 'early', due: at(early.map((answer) => answer.due)) }
}

/** The latest tick that a majority has claimed, so that no tick is said to be accounted for that is not. */
function lastOf(elsewhere: readonly Voted<'claimed_elsewhere'>[], most: number): number | null {
  const ticks = elsewhere.flatMap(({ last }) => (last === null ? [] : [last])).sort((a, b) => b - a)
  return ticks[Math.min(most, ticks.length) - 1] ?? null
}

/** The answer to a claim that no majority agrees on. */
export function noMajority(error: Error | undefined): Decision {
  const reason = error === undefined ? 'their votes are split' : error.message
  return { status: 'unavailable', error: noMajorityError('claim ticks', reason), maybe: false }
}

function mostFrequent(values: readonly string[]): { value: string; count: number } {
  let found = { value: '', count: 0 }
  for (const value of values) {
    const count = values.filter((each) => each === value).length
    if (count > found.count) found = { value, count }
  }
  return found
}
