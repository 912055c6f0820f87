import type { AbandonVote, AcquireVote } from '../../../types/coordination/node.js'
import type { AcquireAnswer, HandBackAnswer, JobState, ReleaseAnswer, Standing } from '../../../types/coordination.js'
import { RedisUnavailableError } from '../../errors.js'

// What the answers of several independent nodes to one question come to: pure functions of those answers. Those to a
// claim are in claim-votes.ts.

/** What a node has answered; `null` while it has not. */
export type Vote<Answer> = Answer | null

/** The smallest number of nodes such that any two sets of that many have a node in common. */
export function majorityOf(nodes: number): number {
  return Math.floor(nodes / 2) + 1
}

/** Whether a majority has confirmed a claim; `null` while that is open. */
export function decideConfirm(votes: readonly Vote<boolean>[]): boolean | null {
  const most = majorityOf(votes.length)
  if (votes.filter((vote) => vote === true).length >= most) return true
  return votes.filter((vote) => vote === false).length > votes.length - most ? false : null
}

/**
 * Whether a majority gives a lock by name; `null` while the votes are split. As in `decideClaim` a request that has a vote
 * stays, unless a majority has given the lock to one other.
 */
export function decideAcquire(votes: readonly Vote<AcquireVote>[]): AcquireAnswer | null {
  const most = majorityOf(votes.length)
  const of = <Status extends AcquireVote['status']>(status: Status) =>
    votes.filter((vote) => vote?.status === status) as Extract<AcquireVote, { status: Status }>[]
  const granted = of('granted')
  const unavailable = of('unavailable')
  if (granted.length >= most) {
    const [first] = granted as [Extract<AcquireAnswer, { status: 'granted' }>]
    const validUntil = Math.min(...granted.map(({ lock }) => lock.validUntil))
    const fencingToken = Math.max(...granted.map((answer) => answer.fencingToken))
    return { status: 'granted', lock: { ...first.lock, validUntil }, fencingToken }
  }
  if (unavailable.length > votes.length - most) {
    return { status: 'unavailable', error: noMajorityError('take a lock', unavailable[0]?.error.message ?? '') }
  }
  const held = of('held')
  if (held.length < most) return null
  const isOthers = held.some(({ by }) => by !== undefined && held.filter((vote) => vote.by === by).length >= most)
  return isOthers || granted.length === 0 ? { status: 'held' } : null
}

/**
 * Whether a request keeps its votes while they are split, and the others give theirs back: the one with the lowest id of
 * those that have any does. So one request stays until it has a majority, in whatever order the nodes were reached.
 */
export function isFirstInSplit(token: string, votes: readonly Vote<AcquireVote>[]): boolean {
  return (
    votes.some((vote) => vote?.status === 'granted') &&
    votes.every((vote) => vote?.status !== 'held' || (vote.by !== undefined && vote.by > token))
  )
}

/**
 * Whether a majority has released a lock; `unavailable` while that is not known. A run was abandoned only if a majority has
 * recorded that.
 */
export function decideRelease(votes: readonly Vote<ReleaseAnswer>[]): ReleaseAnswer {
  const most = majorityOf(votes.length)
  const count = (wanted: ReleaseAnswer): number => votes.filter((vote) => vote === wanted).length
  if (count('abandoned') >= most) return 'abandoned'
  if (count('released') >= most) return 'released'
  if (count('released') + count('lost') < most) return 'unavailable'
  return count('lost') + count('abandoned') >= most ? 'lost' : 'unavailable'
}

/** What has become of a claim that was handed back: what a majority says, else the answer by which its tick is accounted for best. */
export function decideHandBack(votes: readonly Vote<HandBackAnswer>[]): HandBackAnswer {
  const most = majorityOf(votes.length)
  const count = (wanted: HandBackAnswer): number => votes.filter((vote) => vote === wanted).length
  const answered: readonly HandBackAnswer[] = ['free', 'wasted', 'not_ours']
  if (answered.reduce((sum, each) => sum + count(each), 0) < most) return 'unavailable'
  return answered.find((each) => count(each) >= most) ?? answered.find((each) => count(each) > 0) ?? 'unavailable'
}

/** Whether a majority of nodes has recorded a run as abandoned by this call, or by another; `null` when none has. */
export function decideAbandoned(votes: readonly Vote<AbandonVote>[]): 'recorded' | 'elsewhere' | null {
  const most = majorityOf(votes.length)
  const count = (wanted: AbandonVote): number => votes.filter((vote) => vote === wanted).length
  if (count('recorded') >= most) return 'recorded'
  return count('elsewhere') >= most ? 'elsewhere' : null
}

/** What is known of a job, from what at least a majority of nodes remember. It is paused if half of them say so. */
export function combineStates(states: readonly JobState[]): JobState {
  return {
    paused: 2 * states.filter((state) => state.paused).length >= states.length,
    previous: largest(states.map((state) => state.previous)),
    since: middle(states.map((state) => state.since)),
    // Several masters count no runs.
    runs: 0,
    unfinished: states.some((state) => state.unfinished)
  }
}

/**
 * What is in force, from what at least a majority of nodes know. As for a job's state something is paused if half of them say
 * so; of several pauses the last one counts.
 */
export function combineStanding(answers: readonly Standing[]): Standing {
  const pauses = mostOf(
    answers.map((standing) => standing.pauses),
    ({ scope }) => scope
  )
  const counts = new Map<string, number>()
  for (const jobId of answers.flatMap(({ resumed }) => resumed)) counts.set(jobId, (counts.get(jobId) ?? 0) + 1)
  return {
    pauses,
    // It is on one of any majority.
    skips: answers.flatMap(({ skips }) => skips),
    overrides: mostOf(
      answers.map((standing) => standing.overrides),
      ({ jobId }) => jobId
    ),
    resumed: [...counts].flatMap(([jobId, count]) => (2 * count > answers.length ? [jobId] : []))
  }
}

/** Of all that is of the same the last one that a majority may have: what another node has ended since is on fewer. */
function mostOf<Put extends { readonly at: number | null; readonly version: string }>(
  answers: readonly (readonly Put[])[],
  keyOf: (put: Put) => string
): Put[] {
  const byKey = new Map<string, Map<string, Put[]>>()
  for (const put of answers.flat()) {
    const versions = byKey.get(keyOf(put)) ?? new Map<string, Put[]>()
    byKey.set(keyOf(put), versions)
    versions.set(put.version, [...(versions.get(put.version) ?? []), put])
  }
  return [...byKey.values()].flatMap((versions) => {
    const held = [...versions.values()].filter((same) => 2 * same.length >= answers.length).flat()
    return held.length === 0 ? [] : [held.reduce((last, put) => ((put.at ?? 0) > (last.at ?? 0) ? put : last))]
  })
}

/** The middle one, so that a node that is wrong is outvoted; of two the smaller. */
function middle(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b)
  return known[Math.floor((known.length - 1) / 2)] ?? null
}

/** The error for what a majority of nodes did not do. */
export function noMajorityError(what: string, reason: string): Error {
  return new RedisUnavailableError(what, `no majority of the masters agreed: ${reason}`)
}

/** The largest of what is known. */
export function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : Math.max(...known)
}
