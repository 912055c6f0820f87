import type {
  ClaimAnswer,
  ClaimRequest,
  Definition,
  HandedBack,
  HeldLock,
  JobState,
  SurveyRequest
} from '../../types/coordination.js'
import { RedisUnavailableError } from '../errors.js'
import { MAX_ATTEMPTS } from './claim-script.js'
import { validUntil } from './lock-validity.js'

// How requests, answers and records are written between this process and the scripts of claim-script.ts.

const KIND_LETTER = { tick: 't', miss: 'm', manual: 'h', recover: 'r' } as const

/** `tick previous claimedBy endedAt runId fence startedAt replicaId runTick attempt trigger.options` */
const RECORD = /^(-?\d+) (-?\d+) (\S+) (\d+) (\S+) \d+ \d+ \S+ -?\d+ (\d+) ([^\s.]+)\.\S+$/

/**
 * A request as the script's argument.
 *
 * @param isVote whether it is confirmed later, and the answer is to say who has claimed the tick
 */
export function writeRequest(request: ClaimRequest, isVote: boolean): string {
  const { kind, scheduledTime, through, runId, ttl, keep, afterCompletion, definition } = request
  const flags = (request.pausedInitially ? 1 : 0) + (request.waits ? 2 : 0) + (request.rerun ? 4 : 0) + (isVote ? 8 : 0)
  const as = writeDefinition(definition)
  return `${KIND_LETTER[kind]} ${scheduledTime} ${through} ${runId} ${ttl} ${keep} ${afterCompletion} ${flags} ${as}`
}

/** A claim to be taken back as the script's argument. */
export function writeHandedBack({ lock, scheduledTime, afterCompletion, tell }: HandedBack): string {
  return `${lock.token} ${tell ? scheduledTime : -1} ${afterCompletion > 0 ? scheduledTime - afterCompletion : -1}`
}

/**
 * Reads the claim script's string of answers.
 *
 * @param sent when the requests were sent, on the monotonic clock
 */
export function readAnswers(requests: readonly ClaimRequest[], answers: string, sent: number): ClaimAnswer[] {
  const words = answers.split(' ')
  let at = 0
  const next = (): number => Number(words[at++])
  const nextTick = (): number | null => {
    const tick = next()
    return tick < 0 ? null : tick
  }
  const nextPrevious = (): { previous: number | null; resumedAt: number | null } => {
    const [tick, resumedAt] = (words[at++] ?? '').split('/')
    return { previous: Number(tick) < 0 ? null : Number(tick), resumedAt: resumedAt === undefined ? null : +resumedAt }
  }
  const nextBy = (): string => {
    const by = words[at++] as string
    return by === '-' ? '' : by
  }
  const lockOf = ({ jobId, runId, ttl }: ClaimRequest): HeldLock => {
    return { name: jobId, kind: 'job', token: runId, ttl, validUntil: validUntil(sent, ttl) }
  }
  return requests.map((request): ClaimAnswer => {
    switch (words[at++]) {
      case '0': {
        const lock = request.kind === 'miss' ? null : lockOf(request)
        const granted = { status: 'granted', lock, attempt: 1 } as const
        return { ...granted, fencingToken: next(), ...nextPrevious(), scheduledTime: next() }
      }
      case '6': {
        const granted = { status: 'granted', lock: lockOf(request), previous: null, resumedAt: null } as const
        return { ...granted, fencingToken: next(), scheduledTime: next(), attempt: next() }
      }
      case '2': {
        const flags = next()
        return { status: 'overlap', taken: flags % 2 === 1, isLeft: flags >= 2, ...nextPrevious() }
      }
      case '3':
        return { status: 'paused', first: true, previous: nextPrevious().previous }
      case '8':
        return { status: 'paused', first: false, by: nextBy(), previous: nextTick() }
      case '4':
        return { status: 'early', due: next() }
      case '5': {
        const remaining = next()
        // A foreign key that never expires is a lock that is looked at again.
        return { status: 'running', remaining: remaining < 0 ? request.ttl : remaining }
      }
      case '1':
        return { status: 'claimed_elsewhere', last: null, by: '', previous: null }
      case '7':
        return { status: 'claimed_elsewhere', last: nextTick(), by: '', previous: null }
      case '9':
        return { status: 'claimed_elsewhere', last: nextTick(), by: nextBy(), previous: nextTick() }
      default: {
        const error = new RedisUnavailableError('claim ticks', `unreadable answer ${answers}`)
        return { status: 'unavailable', error, maybe: true }
      }
    }
  })
}

/**
 * Reads what Redis remembers of a job.
 *
 * @param record the string at its claim's key, or `null`
 * @param pause its field among the paused jobs, or `null`
 */
export function readState(
  { definition }: SurveyRequest,
  record: string | null | undefined,
  pause: string | null | undefined
): JobState {
  const isResumed = pause?.startsWith('-') ?? false
  const paused = pause !== null && pause !== undefined && !isResumed
  const [, last, before, claimedBy, endedAt, runId, attempt, trigger] = RECORD.exec(record ?? '') ?? []
  if (last === undefined) return { paused, previous: null, unfinished: false }
  const isOpen = claimedBy?.startsWith('?') ?? false
  const tick = isOpen ? before : last
  const isUnfinished = endedAt === '0' && runId !== '-' && claimedBy !== `?${runId}`
  const takenOver = Number(attempt)
  const resumedAt = isResumed ? Number(pause?.slice(1)) || -1 : -1
  return {
    paused,
    previous: Number(tick) < 0 || trigger !== definition.trigger ? null : Math.max(Number(tick), resumedAt),
    unfinished: isUnfinished && takenOver > 0 && takenOver < MAX_ATTEMPTS
  }
}

function writeDefinition({ trigger, options }: Definition): string {
  return `${trigger}.${options}`
}
