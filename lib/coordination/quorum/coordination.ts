import type { Clock } from '../../../types/clock.js'
import type { AbandonVote } from '../../../types/coordination/node.js'
import type {
  AcquireAnswer,
  Change,
  ChangeAnswer,
  ChangeRequest,
  ClaimAnswer,
  ClaimRequest,
  ConfirmedClaim,
  Coordination,
  CoordinationListener,
  CoordinationState,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  HistoryFact,
  JobState,
  LostRun,
  OpenRun,
  ReleaseAnswer,
  ReleasedLock,
  ReplicaReport,
  SeenReplica,
  Standing,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail,
  SurveyRequest
} from '../../../types/coordination.js'
import type { RunProgress } from '../../../types/history.js'
import { SECOND } from '../../base/duration.js'
import { createRunIds } from '../../base/run-ids.js'
import { nameOfChange } from '../../base/scopes.js'
import { OptionInvalidError, RedisUnavailableError } from '../../errors.js'
import { ballot } from './ballot.js'
import { newestOf } from './changes.js'
import { QuorumClaims } from './claims.js'
import { QuorumListener } from './listener.js'
import { LockRestorer } from './lock-restorer.js'
import { QuorumLocks } from './locks.js'
import { findSameServer, type Master, Member, type Sent } from './member.js'
import { QuorumRecords } from './records.js'
import {
  combineStanding,
  combineStates,
  decideAbandoned,
  decideHandBack,
  majorityOf,
  noMajorityError,
  type Vote
} from './votes.js'

export interface QuorumOptions {
  readonly masters: readonly Master[]
  readonly clock: Clock
  readonly listener: CoordinationListener
  /** From 0 up to, not including, 1. */
  readonly random?: () => number
}

/** The lock by name under which changes are made: no lock of the app's can have this name. */
const CHANGES_LOCK = `${String.fromCharCode(127)}changes`

/** How long a replica that died while it made a change keeps others from making one. */
const CHANGES_LOCK_TTL = 5 * SECOND

/** How long others are waited for that make one. */
const CHANGE_WAIT = 6 * SECOND

interface LastCalls {
  claimed: { readonly callId: string; readonly answers: readonly ClaimAnswer[] } | null
  handedBack: { readonly callId: string; readonly answers: readonly HandBackAnswer[] } | null
}

/**
 * Coordination by a majority of several independent nodes (Redlock): each is asked at once, and what a majority says
 * counts. A minority that is down, hangs, or has lost what it knew changes nothing.
 *
 * Source: the Redlock algorithm (redis.io, "Distributed Locks with Redis"), with claims and fencing tokens held by the
 * same majority.
 */
export class QuorumCoordination implements Coordination {
  readonly #members: readonly Member[]
  readonly #most: number
  readonly #clock: Clock
  readonly #random: () => number
  readonly #claims: QuorumClaims
  readonly #locks: QuorumLocks
  readonly #restorer: LockRestorer
  readonly #records: QuorumRecords
  readonly #listener: QuorumListener
  readonly #newToken = createRunIds()
  /** The last calls that were answered: repeated under their ids they get the same answers. */
  readonly #lastCalls: LastCalls = { claimed: null, handedBack: null }

  constructor({ masters, clock, listener, random = Math.random }: QuorumOptions) {
    this.#clock = clock
    this.#random = random
    this.#most = majorityOf(masters.length)
    this.#listener = new QuorumListener(listener, clock, masters.length)
    this.#members = masters.map((master) => {
      return new Member(master, clock, this.#listener, () => this.#listener.update(this.#members))
    })
    this.#records = new QuorumRecords(this.#members, clock)
    const pause = (): Promise<void> => this.#pause()
    this.#restorer = new LockRestorer(this.#members, clock)
    this.#claims = new QuorumClaims(this.#members, clock, pause, this.#restorer)
    const raiseFence = (token: number): Promise<unknown> => this.#claims.confirm([], token)
    this.#locks = new QuorumLocks(this.#members, clock, pause, raiseFence, this.#restorer)
  }

  get state(): CoordinationState {
    const up = this.#members.filter(({ node }) => node.state.up).length
    const skew = up === 0 ? 0 : this.#clock.now() - this.now()
    const masters = this.#members.length
    return { kind: 'redis', up: up >= this.#most, skew, masters, server: `${masters} masters, ${up} of them up` }
  }

  /** The time that a majority has reached: with all nodes up the median of their clocks; with none up, as last measured. */
  now(): number {
    let known = this.#members.filter(({ node }) => node.state.up)
    if (known.length === 0) known = this.#members.filter(({ isMeasured }) => isMeasured)
    if (known.length === 0) return this.#clock.now()
    const clocks = known.map(({ node }) => node.now())
    return clocks.sort((a, b) => b - a)[Math.min(this.#most, clocks.length) - 1] as number
  }

  async open(): Promise<void> {
    let refused: unknown = null
    let isOpen = false
    await ballot(this.#members, this.#clock, {
      ask: async (member) => {
        try {
          await member.node.open()
          return member.node.state.up
        } catch (error) {
          refused ??= error
          // Too late to refuse the start: it counts as a master that is down, and may come up.
          if (isOpen && !member.node.state.up) member.noteTrouble(error as Error, true)
          return false
        }
      },
      isAnswer: (isUp) => isUp,
      isDecided: () => refused !== null
    })
    refused ??= sameServerError(this.#members)
    if (refused !== null) {
      await this.close()
      throw refused
    }
    isOpen = true
    this.#listener.update(this.#members)
  }

  async claim(requests: readonly ClaimRequest[], callId?: string): Promise<readonly ClaimAnswer[]> {
    const { claimed } = this.#lastCalls
    if (callId !== undefined && callId === claimed?.callId) return claimed.answers
    const answers = await this.#claims.claim(requests)
    // What may be claimed on some node is asked for again under the same ids: that is not answered from memory.
    const isAnswered = answers.every(({ status }) => status !== 'unavailable')
    if (callId !== undefined && isAnswered) this.#lastCalls.claimed = { callId, answers }
    return answers
  }

  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    return this.#locks.extend(lock)
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    return this.#locks.finish(endings)
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const { handedBack } = this.#lastCalls
    if (callId === handedBack?.callId) return handedBack.answers
    for (const { lock } of claims) this.#restorer.forget(lock)
    const votes = await ballot<Member, readonly HandBackAnswer[]>(this.#members, this.#clock, {
      ask: (member) => member.handBack(claims),
      isAnswer: (answers) => !answers.includes('unavailable'),
      isDecided: () => false
    })
    // A node that could not be told is told when it comes back.
    const answers = claims.map((_, index) => decideHandBack(votes.map((answers) => answers?.[index] ?? null)))
    if (!answers.includes('unavailable')) this.#lastCalls.handedBack = { callId, answers }
    return answers
  }

  acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer> {
    return this.#locks.acquire(name, ttl, token)
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#locks.release(lock)
  }

  findAbandoned(): Promise<readonly OpenRun[]> | null {
    const asked = this.#members.map((member) => [member, member.node.findAbandoned()] as const)
    return asked.every(([, found]) => found === null) ? null : this.#findAbandoned(new Map(asked))
  }

  async #findAbandoned(asked: ReadonlyMap<Member, Promise<readonly OpenRun[]> | null>): Promise<readonly OpenRun[]> {
    const votes = await ballot<Member, readonly OpenRun[]>(this.#members, this.#clock, {
      ask: async (member) => (await asked.get(member)) ?? [],
      isAnswer: () => true,
      isDecided: () => false
    })
    const found = new Map<string, { readonly run: OpenRun; count: number }>()
    for (const run of votes.flatMap((vote) => vote ?? [])) {
      const known = found.get(run.runId)
      if (known === undefined) found.set(run.runId, { run, count: 1 })
      else known.count++
    }
    // If fewer nodes miss its lock, the run may hold it.
    return [...found.values()].filter(({ count }) => count >= this.#most).map(({ run }) => run)
  }

  async abandon(runs: readonly LostRun[], callId: string): Promise<readonly boolean[]> {
    const votes = await ballot<Member, readonly AbandonVote[]>(this.#members, this.#clock, {
      ask: ({ node }) => node.tryToAbandon(runs, callId),
      isAnswer: (answers) => !answers.includes('unavailable'),
      isDecided: () => false
    })
    const outcomes = runs.map((_, index) => decideAbandoned(votes.map((answers) => answers?.[index] ?? null)))
    // Too few have recorded it: it is to be found again.
    const open = runs.filter((_, index) => outcomes[index] === null)
    if (open.length > 0) for (const { node } of this.#members) void node.reopen(open, callId)
    return outcomes.map((outcome) => outcome === 'recorded')
  }

  note(facts: readonly HistoryFact[]): Promise<boolean> {
    return this.#records.note(facts)
  }

  readHistory(jobId: string): Promise<StoredHistory> {
    return this.#records.readHistory(jobId)
  }

  readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    return this.#records.readTails(jobIds, count)
  }

  readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    return this.#records.readStatus(jobs, withLocks)
  }

  writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    return this.#records.writeProgress(progress)
  }

  beat(report: ReplicaReport | null): Promise<void> {
    return this.#records.beat(report)
  }

  readReplicas(): Promise<readonly SeenReplica[]> {
    return this.#records.readReplicas()
  }

  async shareDefinition(...shared: Parameters<Coordination['shareDefinition']>): Promise<string | null> {
    const texts = await Promise.all(this.#members.map(({ node }) => node.shareDefinition(...shared)))
    return texts.find((text) => text !== null) ?? null
  }

  async reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    // One that is not up, or not even open yet, is told when it comes.
    const up = this.#members.filter(({ node }) => node.state.up)
    await Promise.all(up.map(({ node }) => node.reconcile(until, live, claims)))
  }

  async change(request: ChangeRequest): Promise<ChangeAnswer> {
    const what = nameOfChange(request)
    const lock = await this.#lockChanges(what)
    try {
      return await this.#changeLocked(what, request)
    } finally {
      await this.#locks.release(lock)
    }
  }

  async standing(): Promise<Standing> {
    return combineStanding(await this.#ask('read what is in force', ({ node }) => node.standing()))
  }

  async readChanges(limit: number): Promise<readonly Change[]> {
    const told = await this.#ask('read what was changed', ({ node }) => node.readChanges(limit))
    return newestOf(told, this.#most).slice(0, limit)
  }

  /** What those say that answer. @throws RedisUnavailableError where a majority does not */
  async #ask<Value extends object>(what: string, ask: (member: Member) => Promise<Value>): Promise<Value[]> {
    const votes = await ballot<Member, Value | Error>(this.#members, this.#clock, {
      ask: (member) => ask(member).catch((error: Error) => error),
      isAnswer: (answer) => !(answer instanceof Error),
      isDecided: () => false
    })
    const answers = votes.filter((vote) => vote !== null && !(vote instanceof Error)) as Value[]
    if (answers.length < this.#most) throw noMajorityError(what, reasonIn(votes))
    return answers
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const votes = await ballot<Member, readonly JobState[] | Error>(this.#members, this.#clock, {
      ask: ({ node }) => node.survey(jobs).catch((error: Error) => error),
      isAnswer: (answer) => !(answer instanceof Error),
      isDecided: () => false
    })
    const answers = votes.filter((vote) => vote !== null && !(vote instanceof Error)) as (readonly JobState[])[]
    if (answers.length < this.#most) throw noMajorityError('read jobs', reasonIn(votes))
    return jobs.map((_, index) => combineStates(answers.map((answer) => answer[index] as JobState)))
  }

  async close(): Promise<void> {
    this.#listener.close()
    this.#restorer.close()
    await Promise.all(this.#members.map((member) => member.close()))
  }

  /**
   * Changes are made one after the other, so that all masters come to the same, and that what is expected is still so when
   * the change is made.
   */
  async #lockChanges(what: string): Promise<HeldLock> {
    const end = this.#clock.monotonic() + CHANGE_WAIT
    for (;;) {
      const answer = await this.#locks.acquire(CHANGES_LOCK, CHANGES_LOCK_TTL, this.#newToken())
      if (answer.status === 'granted') return answer.lock
      if (answer.status === 'unavailable') throw noMajorityError(what, answer.error.message)
      if (this.#clock.monotonic() >= end) throw new RedisUnavailableError(what, 'others change something all the time')
      await this.#pause()
    }
  }

  async #changeLocked(what: string, { expected, ...request }: ChangeRequest): Promise<ChangeAnswer> {
    // By the time of the last change, which the clock of whoever has made it says, the next one is later on every master.
    const looks = await this.#askToChange((member) => {
      const look = expected === undefined ? request : { ...request, expected }
      return member.node.changeAt(look, null).catch((error: Error) => error)
    })
    const conflict = conflictIn(looks, this.#most)
    if (conflict !== null) return conflict
    for (const status of ['unknown', 'passed'] as const) if (countOf(looks, status) >= this.#most) return { status }
    const after = looks.flatMap((look) => (isMade(look) ? [look.change.at] : []))
    if (looks.filter(isAnswer).length < this.#most) throw noMajorityError(what, reasonIn(looks))
    const sent: Sent = { request, at: Math.max(Math.floor(this.now()), ...after) }
    let failed = false
    const votes = await this.#askToChange(
      (member) => member.change(sent),
      (member) => {
        if (failed) member.forgetChange(sent)
      }
    )
    if (votes.filter(isMade).length >= this.#most) {
      return { status: 'made', change: { ...asMade(request, votes), at: sent.at, version: sent.at } }
    }
    for (const status of ['unknown', 'passed'] as const) if (countOf(votes, status) >= this.#most) return { status }
    failed = true
    for (const member of this.#members) member.forgetChange(sent)
    throw noMajorityError(what, reasonIn(votes))
  }

  #askToChange(
    ask: (member: Member) => Promise<ChangeAnswer | Error>,
    onLate: (member: Member) => void = () => {}
  ): Promise<Vote<ChangeAnswer | Error>[]> {
    return ballot<Member, ChangeAnswer | Error>(this.#members, this.#clock, {
      ask,
      isAnswer: (answer) => !(answer instanceof Error),
      isDecided: () => false,
      onLate
    })
  }

  /** A random delay, so that replicas whose votes were split do not meet again. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimeout(resolve, 5 + 35 * this.#random()))
  }
}

type Conflict = Extract<ChangeAnswer, { status: 'conflict' }>

type Made = Extract<ChangeAnswer, { status: 'made' }>

function isAnswer(vote: Vote<ChangeAnswer | Error>): vote is ChangeAnswer {
  return vote !== null && !(vote instanceof Error)
}

function isMade(vote: Vote<ChangeAnswer | Error>): vote is Made {
  return isAnswer(vote) && vote.status === 'made'
}

function countOf(votes: readonly Vote<ChangeAnswer | Error>[], status: ChangeAnswer['status']): number {
  return votes.filter((vote) => isAnswer(vote) && vote.status === status).length
}

/**
 * Whether something else is in force than is expected: a majority says so, or, of two halves, the one that knows of the later change:
 * the other has missed it.
 */
function conflictIn(looks: readonly Vote<ChangeAnswer | Error>[], most: number): Conflict | null {
  const conflicts = looks.filter((look) => isAnswer(look) && look.status === 'conflict') as Conflict[]
  if (conflicts.length === 0) return null
  const last = lastOf(conflicts)
  if (conflicts.length >= most) return last
  const held = looks.filter(isMade)
  // A look's time is one later than that of the last change.
  const isLater = held.every(({ change }) => change.at <= (last.at ?? 0))
  return held.length < most && isLater ? last : null
}

/** What was asked for, with what the masters have found of it. */
function asMade(request: ChangeRequest, votes: readonly Vote<ChangeAnswer | Error>[]): ChangeRequest {
  if (request.kind === 'release') return { ...request, runs: releasedIn(votes) }
  if (request.kind !== 'cancel') return request
  const made = votes.flatMap((vote) => (isMade(vote) && vote.change.kind === 'cancel' ? [vote.change.jobId] : []))
  return { ...request, jobId: made.find((jobId) => jobId !== null) ?? null }
}

/** The locks that any of the masters has freed. */
function releasedIn(votes: readonly Vote<ChangeAnswer | Error>[]): ReleasedLock[] {
  const runs = votes.flatMap((vote) => {
    if (vote === null || vote instanceof Error || vote.status !== 'made' || vote.change.kind !== 'release') return []
    return vote.change.runs ?? []
  })
  return [...new Map(runs.map((run) => [run.runId, run])).values()]
}

function lastOf(conflicts: readonly Conflict[]): Conflict {
  return conflicts.reduce((last, each) => ((each.at ?? 0) > (last.at ?? 0) ? each : last))
}

/** Two names of one server look like two masters by their addresses. */
function sameServerError(members: readonly Member[]): Error | null {
  const same = findSameServer(members)
  return same === null
    ? null
    : new OptionInvalidError('redis', 'masters that are not the same', `one server under two names,${same}`)
}

function reasonIn(votes: readonly unknown[]): string {
  const error = votes.find((vote) => vote instanceof Error)
  return error instanceof Error ? error.message : 'they do not answer'
}
