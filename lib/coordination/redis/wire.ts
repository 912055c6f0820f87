import type { ClaimVote } from '../../../types/coordination/node.js'
import type {
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Ending,
  HandedBack,
  HeldLock,
  JobState,
  OpenRun,
  OtherDefinition,
  SurveyRequest
} from '../../../types/coordination.js'
import { RedisUnavailableError } from '../../errors.js'
import { validUntil } from '../lock-validity.js'
import { GIVEN_UP, MAX_ATTEMPTS } from './claim-script.js'

// How requests, answers and records are written between this process and the scripts of claim-script.ts.

const KIND_LETTER = { tick: 't', miss: 'm', manual: 'h', recover: 'r' } as const

/** `tick previous claimedBy endedAt runId fence startedAt replicaId runTick attempt trigger.options` */
const RECORD = /^(-?\d+) (-?\d+) (\S+) (\d+) (\S+) \d+ \d+ \S+ -?\d+ (\d+) ([^\s.]+)\.\S+$/

/** Reads which requests are of jobs that were last claimed by another definition: `index:tick:fingerprint:replicaId`. */
export function readDiffering(
  told: string
): { readonly index: number; readonly tick: number; readonly other: OtherDefinition }[] {
  return told.split(' ').flatMap((each) => {
    const [, index, tick, trigger = '', options = '', replicaId = '-'] =
      /^(\d+):(-?\d+):([^.:]+)\.([^:]+):(.+)$/.exec(each) ?? []
    if (index === undefined) return []
    const other = { fingerprint: { trigger, options }, replicaId: replicaId === '-' ? null : replicaId }
    return [{ index: Number(index), tick: Number(tick), other }]
  })
}

/** Requests as the script's arguments: their terms, and what each asks for. */
export interface WrittenRequests {
  readonly terms: string
  readonly requests: string
}

/**
 * Writes requests for the script. Those of one trigger have most of their words in common, which are written once.
 *
 * @param isVote whether they are confirmed later, and the answers are to say who has claimed a tick
 */
export function writeRequests(requests: readonly ClaimRequest[], isVote: boolean): WrittenRequests {
  let terms = ''
  let written = ''
  let line = 0
  let last: ClaimRequest | null = null
  for (const request of requests) {
    if (last === null || !hasTermsOf(request, last)) {
      terms += writeTerms(request, isVote)
      line++
      last = request
    }
    written += `${line} ${request.runId} ${request.jobId}\n`
  }
  return { terms, requests: written }
}

function writeTerms(request: ClaimRequest, isVote: boolean): string {
  const { kind, scheduledTime, coversUntil, ttl, retention, afterCompletion, fingerprint } = request
  const { pausedInitially, waits, rerun } = request
  const flags = (pausedInitially ? 1 : 0) + (waits ? 2 : 0) + (rerun ? 4 : 0) + (isVote ? 8 : 0)
  const words = `${fingerprint.trigger}.${fingerprint.options}`
  return `${KIND_LETTER[kind]} ${scheduledTime} ${coversUntil} ${ttl} ${retention} ${afterCompletion} ${flags} ${words}\n`
}

function hasTermsOf(a: ClaimRequest, b: ClaimRequest): boolean {
  return (
    a.scheduledTime === b.scheduledTime &&
    a.coversUntil === b.coversUntil &&
    a.kind === b.kind &&
    a.ttl === b.ttl &&
    a.retention === b.retention &&
    a.afterCompletion === b.afterCompletion &&
    a.pausedInitially === b.pausedInitially &&
    a.waits === b.waits &&
    a.rerun === b.rerun &&
    a.fingerprint.trigger === b.fingerprint.trigger &&
    a.fingerprint.options === b.fingerprint.options
  )
}

/** Blocks as the script's argument: those that the requests are, then those that are only asked about. */
export function writeBlocks({ asked, waiting }: ClaimBlocks): string {
  let written = ''
  for (const { name, size } of asked) written += `${name} ${size}\n`
  for (const name of waiting) written += `${name} 0\n`
  return written
}

/** Runs that are over as the script's argument. */
export function writeEndings(endings: readonly Ending[]): string {
  let written = ''
  for (const { lock, finished, unbegun, keepsLock } of endings) {
    written += `${keepsLock ? 3 : finished ? 1 : unbegun ? 2 : 0} ${lock.token} ${lock.name}\n`
  }
  return written
}

/** A run as it stands among those that are open. */
export function writeOpenRun(run: OpenRun): string {
  const { runId, fencingToken, startedAt, replicaId, scheduledTime, attempt, jobId } = run
  return `${runId} ${fencingToken} ${startedAt} ${replicaId} ${scheduledTime} ${attempt} ${jobId}`
}

const OPEN_RUN = /^(\S+) (\d+) (\d+) (\S+) (-?\d+) (\d+) (.+)$/s

/** @param found what stands among the open runs, each followed by when its lock was to end */
export function readOpenRuns(found: readonly string[]): OpenRun[] {
  const runs: OpenRun[] = []
  for (let index = 0; index < found.length; index += 2) {
    const words = OPEN_RUN.exec(found[index] as string)
    if (words === null) continue
    const [, runId = '', fencingToken, startedAt, replicaId = '', scheduledTime, attempt, jobId = ''] = words
    runs.push({
      runId,
      jobId,
      replicaId,
      fencingToken: Number(fencingToken),
      scheduledTime: Number(scheduledTime),
      startedAt: Number(startedAt),
      attempt: Number(attempt),
      lockedUntil: Number(found[index + 1])
    })
  }
  return runs
}

/** Claims that a majority has confirmed as the script's argument. */
export function writeConfirmed(claims: readonly ConfirmedClaim[]): string {
  let written = ''
  for (const { jobId, runId, tick, run, retention, fingerprint } of claims) {
    const what = run === null ? '- -1 0' : `${run.fencingToken} ${run.scheduledTime} ${run.attempt}`
    written += `${tick} ${retention} ${fingerprint.trigger}.${fingerprint.options} ${runId || '-'} ${what} ${jobId}\n`
  }
  return written
}

/** Since when jobs have been there, as the script's argument. */
export function writeSince(jobs: readonly SurveyRequest[]): string {
  let written = ''
  for (const { since, isOnce, accounted, retention, fingerprint, jobId } of jobs) {
    written += `${since ?? '-'} ${isOnce ? 1 : 0} ${accounted} ${retention} ${fingerprint.trigger} ${jobId}\n`
  }
  return written
}

/** A claim to be taken back as the script's argument. */
export function writeHandedBack({ lock, scheduledTime, afterCompletion, tell }: HandedBack): string {
  return `${lock.token} ${tell ? scheduledTime : -1} ${afterCompletion > 0 ? scheduledTime - afterCompletion : -1}`
}

/**
 * Reads the claim script's string of answers. What only a vote is told is empty in the others.
 *
 * @param sent when the requests were sent, on the monotonic clock
 */
export function readAnswers(requests: readonly ClaimRequest[], answers: string, sent: number): ClaimVote[] {
  const reader = new AnswerReader(answers, sent)
  return requests.map((request) => reader.next(request))
}

const CLAIMED_ELSEWHERE: ClaimVote = Object.freeze({
  status: 'claimed_elsewhere',
  last: null,
  by: '',
  previous: null
})

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

  next(request: ClaimRequest): ClaimVote {
    switch (this.#words[this.#at++]) {
      case '0': {
        const lock = request.kind === 'miss' ? null : this.#lockOf(request)
        const fencingToken = this.#number()
        const told = this.#words[this.#at++] as string
        const scheduledTime = this.#number()
        const previous = previousIn(told)
        const resumedAt = resumedAtIn(told)
        return { status: 'granted', lock, fencingToken, previous, resumedAt, scheduledTime, attempt: 1 }
      }
      case '6': {
        const lock = this.#lockOf(request)
        const fencingToken = this.#number()
        const scheduledTime = this.#number()
        const attempt = this.#number()
        const from = this.#takenOver(request, scheduledTime, attempt - 1)
        const before = { previous: null, resumedAt: null, ...(from === null ? {} : { from }) }
        return { status: 'granted', lock, fencingToken, ...before, scheduledTime, attempt }
      }
      case '2':
        return { ...this.#overlap(), by: '' }
      case 'o':
        return { ...this.#overlap(), by: this.#by() }
      case '3':
        return { status: 'paused', first: true, previous: this.#tick() }
      case '8':
        return { status: 'paused', first: false, by: this.#by(), previous: this.#tick() }
      case '4':
        return { status: 'early', due: this.#number() }
      case '5': {
        const remaining = this.#number()
        // A foreign key that never expires is a lock that is looked at again.
        return { status: 'running', remaining: remaining < 0 ? request.ttl : remaining }
      }
      case '1':
        return CLAIMED_ELSEWHERE
      case '7':
        return { status: 'claimed_elsewhere', last: this.#tick(), by: '', previous: null }
      case '9':
        return { status: 'claimed_elsewhere', last: this.#tick(), by: this.#by(), previous: this.#tick() }
      case 'u': {
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
    const told = this.#words[this.#at++] as string
    return {
      status: 'overlap',
      taken: flags % 2 === 1,
      isLeft: flags >= 2,
      previous: previousIn(told),
      resumedAt: resumedAtIn(told)
    }
  }

  #number(): number {
    return Number(this.#words[this.#at++])
  }

  /** A tick, with what is told after it left out. */
  #tick(): number | null {
    return previousIn(this.#words[this.#at++] as string)
  }

  /** The run that is taken over; `null` where it was taken over before by who has given it up since, and is not known any more. */
  #takenOver({ jobId }: ClaimRequest, scheduledTime: number, attempt: number): OpenRun | null {
    const runId = this.#words[this.#at++] as string
    const fencingToken = this.#number()
    const startedAt = this.#number()
    const replicaId = this.#words[this.#at++] as string
    const lockedUntil = this.#number()
    if (runId === GIVEN_UP) return null
    return { runId, jobId, replicaId, fencingToken, scheduledTime, startedAt, attempt, lockedUntil }
  }

  #by(): string {
    const by = this.#words[this.#at++] as string
    return by === '-' ? '' : by
  }

  #lockOf({ jobId, runId, ttl }: ClaimRequest): HeldLock {
    return { name: jobId, kind: 'job', token: runId, ttl, validUntil: validUntil(this.#sent, ttl) }
  }
}

/** Whether what Redis has in the place of a job's record is one. */
export function isReadable(record: string | null | undefined): boolean {
  return record === null || record === undefined || RECORD.test(record)
}

/** Why no tick of a job can be had whose record cannot be read. */
export function unreadable(jobId: string): string {
  return `what it has in the place of the record of the job '${jobId}' cannot be read`
}

/** The tick in `tick` or `tick/resumedAt`; -1 stands for none. */
function previousIn(told = '-1'): number | null {
  return told.startsWith('-') ? null : Number.parseInt(told, 10)
}

function resumedAtIn(told = ''): number | null {
  const slash = told.indexOf('/')
  return slash < 0 ? null : Number(told.slice(slash + 1))
}

/**
 * Reads what Redis remembers of a job.
 *
 * @param record the string at its claim's key, or `null`
 * @param pause its field among the paused jobs, or `null`
 * @param since since when the fleet has had it; `null` where that is not accounted for
 */
export function readState(
  { fingerprint }: SurveyRequest,
  record: string | null | undefined,
  pause: string | null | undefined,
  since: number | null
): JobState {
  const isResumed = pause?.startsWith('-') ?? false
  const paused = pause !== null && pause !== undefined && !isResumed
  const resumedAt = isResumed ? Number.parseInt(pause?.slice(1) ?? '', 10) || null : null
  const [, last, before, claimedBy, endedAt, runId, attempt, trigger] = RECORD.exec(record ?? '') ?? []
  if (last === undefined) return { paused, previous: resumedAt, since, unfinished: false }
  const isOpen = claimedBy?.startsWith('?') ?? false
  const tick = isOpen ? before : last
  const isUnfinished = endedAt === '0' && runId !== '-' && claimedBy !== `?${runId}`
  const takenOver = Number(attempt)
  const isNone = Number(tick) < 0 || trigger !== fingerprint.trigger
  return {
    paused,
    previous: isNone ? resumedAt : Math.max(Number(tick), resumedAt ?? -1),
    since,
    unfinished: isUnfinished && takenOver > 0 && takenOver < MAX_ATTEMPTS
  }
}
