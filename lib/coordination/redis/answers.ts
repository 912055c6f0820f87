import type { ClaimVote } from '../../../types/coordination/node.js'
import type { ClaimAnswer, ClaimRequest, HeldLock, OpenRun, OtherDefinition } from '../../../types/coordination.js'
import { RedisUnavailableError } from '../../errors.js'
import { validUntil } from '../lock-validity.js'
import {
  ANSWER_CLAIMED_BY,
  ANSWER_CLAIMED_ELSEWHERE,
  ANSWER_CLAIMED_UP_TO,
  ANSWER_DROPPED,
  ANSWER_EARLY,
  ANSWER_ENDED,
  ANSWER_GRANTED,
  ANSWER_LAST,
  ANSWER_OVERLAP,
  ANSWER_OVERLAP_BY,
  ANSWER_PAUSED,
  ANSWER_PAUSED_ELSEWHERE,
  ANSWER_QUEUED,
  ANSWER_REQUEST,
  ANSWER_RUNNING,
  ANSWER_SKIPPED,
  ANSWER_SLOT,
  ANSWER_STALE,
  ANSWER_TAKEN_OVER,
  ANSWER_UNREADABLE,
  GIVEN_UP,
  NOBODY,
  OVERLAP_LEFT,
  OVERLAP_TAKEN
} from './constants.js'
import { readField, readReplica, readSlot, unescapeField, withoutFields } from './fields.js'
import { byIn } from './record.js'

// What claim.lua answers.

/** A request of a job that was last claimed under another fingerprint. */
export interface Differing {
  readonly index: number
  readonly tick: number
  readonly other: OtherDefinition
}

/** Reads which requests are of jobs that were last claimed under another fingerprint: `index:tick:fingerprint:replica`. */
export function readDiffering(differing: string): Differing[] {
  return differing.split(' ').flatMap((each) => {
    const [, index, tick, trigger = '', options = '', replica = NOBODY] =
      /^(\d+):(-?\d+):([^.:]+)\.([^:]+):(.+)$/.exec(each) ?? []
    if (index === undefined) return []
    const fingerprint = { trigger, options: withoutFields(options) }
    const other = { fingerprint, replicaId: replica === NOBODY ? null : readReplica(replica) }
    return [{ index: Number(index), tick: Number(tick), other }]
  })
}

/** An answer as one Redis gives it: only a request that is no vote is told that something waits. */
export type RedisAnswer = ClaimVote | Extract<ClaimAnswer, { status: 'queued' | 'dropped' | 'ended' }>

/**
 * Reads the string of answers. What only a vote is told is empty in the others.
 *
 * @param sent when the requests were sent, on the monotonic clock
 */
export function readAnswers(requests: readonly ClaimRequest[], answers: string, sent: number): RedisAnswer[] {
  const reader = new AnswerReader(answers, sent)
  return requests.map((request) => reader.next(request))
}

const CLAIMED_ELSEWHERE: ClaimVote = Object.freeze({
  status: 'claimed_elsewhere',
  last: null,
  by: '',
  previous: null
})

const STALE: ClaimVote = Object.freeze({ status: 'stale' })

class AnswerReader {
  readonly #answers: string
  readonly #words: readonly string[]
  readonly #sent: number
  #at = 0

  constructor(answers: string, sent: number) {
    this.#answers = answers
    this.#words = answers.split(' ')
    this.#sent = sent
  }

  next(request: ClaimRequest): RedisAnswer {
    const word = this.#word()
    if (word === ANSWER_REQUEST) return this.#forRequest(request)
    if (word === ANSWER_LAST) return this.#last(request)
    if (word === ANSWER_SKIPPED) return this.#skipped(request)
    return word === ANSWER_SLOT ? this.#inSlot(request) : this.#read(word, request)
  }

  /** What was granted is for a request by hand that has waited. */
  #forRequest(request: ClaimRequest): RedisAnswer {
    const id = this.#word()
    const key = unescapeField(this.#id())
    const answer = this.next(request)
    return answer.status === 'granted' ? { ...answer, request: { id, key } } : answer
  }

  /** What was granted, or waits, is the last run that the job has. */
  #last(request: ClaimRequest): RedisAnswer {
    const answer = this.next(request)
    return answer.status === 'granted' || answer.status === 'queued' ? { ...answer, isLast: true } : answer
  }

  /** The tick is taken, and has no run. */
  #skipped(request: ClaimRequest): RedisAnswer {
    const answer = this.next(request)
    return answer.status === 'granted' ? { ...answer, lock: null, isSkipped: true } : answer
  }

  /** What was granted has another slot than the first. */
  #inSlot(request: ClaimRequest): RedisAnswer {
    const slot = this.#number()
    const answer = this.#read(this.#word(), request)
    if (answer.status !== 'granted' || answer.lock === null) return answer
    return { ...answer, lock: { ...answer.lock, slot } }
  }

  #read(word: string, request: ClaimRequest): RedisAnswer {
    switch (word) {
      case ANSWER_GRANTED: {
        const lock = request.kind === 'miss' ? null : this.#lockOf(request)
        const fencingToken = this.#number()
        const covered = this.#word()
        const scheduledTime = this.#number()
        const previous = tickIn(covered)
        const resumedAt = resumedAtIn(covered)
        return { status: 'granted', lock, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
      }
      case ANSWER_TAKEN_OVER: {
        const lock = this.#lockOf(request)
        const fencingToken = this.#number()
        const scheduledTime = this.#number()
        const attempt = this.#number()
        const [replica, from] = this.#takenOver(request, scheduledTime, attempt - 1)
        const id = readField(replica, 'Q')
        const forRequest = id === '' ? {} : { request: { id, key: readField(replica, 'K') } }
        const before = { previous: null, resumedAt: null, ...(from === null ? {} : { from }), ...forRequest }
        return { status: 'granted', lock, fencingToken, ...before, scheduledTime, attempt }
      }
      case ANSWER_QUEUED: {
        const covered = this.#word()
        const displaced = this.#tick()
        const replaces = this.#id() || null
        return {
          status: 'queued',
          displaced,
          replaces,
          previous: tickIn(covered),
          resumedAt: resumedAtIn(covered)
        }
      }
      case ANSWER_ENDED:
        return { status: 'ended', last: this.#number(), isSettled: this.#word() === '1' }
      case ANSWER_DROPPED:
        return { status: 'dropped', scheduledTime: this.#number() }
      case ANSWER_OVERLAP:
        return { ...this.#overlap(), by: '' }
      case ANSWER_OVERLAP_BY:
        return { ...this.#overlap(), by: this.#id() }
      case ANSWER_PAUSED:
        return { status: 'paused', first: true, previous: this.#tick() }
      case ANSWER_PAUSED_ELSEWHERE:
        return { status: 'paused', first: false, by: this.#id(), previous: this.#tick() }
      case ANSWER_EARLY:
        return { status: 'early', due: this.#number() }
      case ANSWER_RUNNING: {
        const remaining = this.#number()
        // A foreign key that never expires is a lock that is looked at again.
        return { status: 'running', remaining: remaining < 0 ? request.ttl : remaining }
      }
      case ANSWER_CLAIMED_ELSEWHERE:
        return CLAIMED_ELSEWHERE
      case ANSWER_CLAIMED_UP_TO:
        return { status: 'claimed_elsewhere', last: this.#tick(), by: '', previous: null }
      case ANSWER_CLAIMED_BY:
        return { status: 'claimed_elsewhere', last: this.#tick(), by: this.#id(), previous: this.#tick() }
      case ANSWER_STALE:
        return STALE
      case ANSWER_UNREADABLE: {
        const error = new RedisUnavailableError('claim a tick', unreadable(request.jobId))
        return { status: 'unavailable', error, maybe: false, unreadable: true }
      }
      default: {
        const error = new RedisUnavailableError('claim ticks', `unreadable answer ${this.#answers}`)
        return { status: 'unavailable', error, maybe: true }
      }
    }
  }

  #overlap(): Omit<Extract<ClaimVote, { status: 'overlap' }>, 'by'> {
    const flags = this.#number()
    const covered = this.#word()
    return {
      status: 'overlap',
      taken: (flags & OVERLAP_TAKEN) !== 0,
      isLeft: (flags & OVERLAP_LEFT) !== 0,
      previous: tickIn(covered),
      resumedAt: resumedAtIn(covered)
    }
  }

  #word(): string {
    return this.#words[this.#at++] ?? ''
  }

  #number(): number {
    return Number(this.#words[this.#at++])
  }

  #tick(): number | null {
    return tickIn(this.#word())
  }

  #id(): string {
    const id = this.#word()
    return id === NOBODY ? '' : id
  }

  /** The run that is taken over, after its word; `null` where an earlier takeover of it was given up: it is not known any more. */
  #takenOver({ jobId }: ClaimRequest, scheduledTime: number, attempt: number): [replica: string, OpenRun | null] {
    const runId = this.#word()
    const fencingToken = this.#number()
    const startedAt = this.#number()
    const replica = this.#word()
    const lockedUntil = this.#number()
    if (runId === GIVEN_UP) return [replica, null]
    const replicaId = readReplica(replica)
    const slot = readSlot(replica)
    const from = {
      runId,
      jobId,
      replicaId,
      fencingToken,
      scheduledTime,
      startedAt,
      attempt,
      lockedUntil,
      slot,
      ...byIn(replica)
    }
    return [replica, from]
  }

  #lockOf({ jobId, runId, ttl }: ClaimRequest): HeldLock {
    return { name: jobId, kind: 'job', token: runId, ttl, validUntil: validUntil(this.#sent, ttl) }
  }
}

/** Why no tick of a job can be had whose record cannot be read. */
export function unreadable(jobId: string): string {
  return `what it has in the place of the record of the job '${jobId}' cannot be read`
}

/** The tick in `tick` or `tick/resumedAt`; -1 stands for none. */
function tickIn(covered: string): number | null {
  return covered === '' || covered.startsWith('-') ? null : Number.parseInt(covered, 10)
}

function resumedAtIn(covered: string): number | null {
  const slash = covered.indexOf('/')
  return slash < 0 ? null : Number(covered.slice(slash + 1))
}
