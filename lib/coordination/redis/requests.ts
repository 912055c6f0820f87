import type { Confirmation } from '../../../types/coordination/node.js'
import type {
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Ending,
  Fingerprint,
  HandedBack,
  LostRun,
  RunReport,
  SurveyRequest
} from '../../../types/coordination.js'
import type { HistoryRun } from '../../../types/history.js'
import {
  ENDING_FINISHED,
  ENDING_KEEPS_LOCK,
  ENDING_LEFT,
  ENDING_REPLACED,
  ENDING_UNBEGUN,
  ENDING_UNUSED,
  FLAG_PAUSED_INITIALLY,
  FLAG_QUEUES,
  FLAG_REPLACES,
  FLAG_RERUN,
  FLAG_STARTS_RUNS,
  FLAG_VOTE,
  FLAG_WAITS,
  KIND_MANUAL,
  KIND_MISS,
  KIND_RECOVER,
  KIND_START,
  KIND_TICK,
  KIND_WAITING,
  NOBODY
} from './constants.js'
import { escapeField } from './fields.js'

// What this process asks for, as the scripts' arguments.

const KINDS = {
  tick: KIND_TICK,
  miss: KIND_MISS,
  manual: KIND_MANUAL,
  recover: KIND_RECOVER,
  waiting: KIND_WAITING,
  start: KIND_START
} as const

/** Requests as the script's arguments: what they have in common, and what each asks for. */
export interface WrittenRequests {
  readonly templates: string
  readonly requests: string
}

/**
 * Writes requests for the script. Those of one trigger have most of their words in common, which are written once.
 *
 * @param isVote whether they are confirmed later, and the answers are to say who has claimed a tick
 */
export function writeRequests(requests: readonly ClaimRequest[], isVote: boolean): WrittenRequests {
  let templates = ''
  let written = ''
  let line = 0
  let last: ClaimRequest | null = null
  for (const request of requests) {
    if (last === null || !hasTemplateOf(request, last)) {
      templates += writeTemplate(request, isVote)
      line++
      last = request
    }
    written += `${line} ${request.runId} ${request.jobId}\n`
  }
  return { templates, requests: written }
}

function writeTemplate(request: ClaimRequest, isVote: boolean): string {
  const { kind, scheduledTime, coversUntil, ttl, retention, afterCompletion, fingerprint } = request
  const flags =
    (request.pausedInitially ? FLAG_PAUSED_INITIALLY : 0) +
    (request.waits ? FLAG_WAITS : 0) +
    (request.rerun ? FLAG_RERUN : 0) +
    (request.overlap === 'skip' ? 0 : FLAG_QUEUES) +
    (request.overlap === 'replace' ? FLAG_REPLACES : 0) +
    (isVote ? FLAG_VOTE : 0) +
    (request.startsRuns ? FLAG_STARTS_RUNS : 0)
  const start = `${KINDS[kind]} ${scheduledTime} ${coversUntil} ${ttl} ${retention}`
  const { slots, maxRuns, key = '', group = '' } = request
  return `${start} ${afterCompletion} ${flags} ${slots} ${maxRuns ?? 0} ${writeKey(key)} ${writeKey(group)} ${writeFingerprint(fingerprint)}\n`
}

/** A concurrency key or a group, which may be any text. */
export function writeKey(key: string): string {
  if (key === '') return NOBODY
  return key === NOBODY ? '%2D' : escapeField(key)
}

function writeFingerprint({ trigger, options }: Fingerprint): string {
  return `${trigger}.${options}`
}

function hasTemplateOf(a: ClaimRequest, b: ClaimRequest): boolean {
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
    a.slots === b.slots &&
    a.overlap === b.overlap &&
    a.maxRuns === b.maxRuns &&
    a.startsRuns === b.startsRuns &&
    a.key === b.key &&
    a.group === b.group &&
    a.fingerprint.trigger === b.fingerprint.trigger &&
    a.fingerprint.options === b.fingerprint.options
  )
}

/** Blocks: those that the requests are, then those that are only asked about. */
export function writeBlocks({ asked, waiting }: ClaimBlocks): string {
  let written = ''
  for (const { name, size } of asked) written += `${name} ${size}\n`
  for (const name of waiting) written += `${name} 0\n`
  return written
}

/**
 * Runs that are over.
 *
 * @param writeEntry writes what the history keeps of a run
 */
export function writeEndings(endings: readonly Ending[], writeEntry: (run: HistoryRun) => string): string {
  let written = ''
  for (const ending of endings) {
    const { lock, report = null, isToldAgain = false } = ending
    const { name, token, slot } = lock
    const entry = report === null || report.entry === null ? '' : writeEntry(report.entry)
    const outcome = report === null ? '' : writeReport(report, isToldAgain)
    written += `${writeEnding(ending)}${slot === undefined ? '' : `:${slot}`}${outcome} ${token} ${name}\n${entry}\n`
  }
  return written
}

/**
 * A run's outcome, as status.lua reads it.
 *
 * @param isCertain whether a success counts also where the lock is not the run's own any more
 */
export function writeReport({ outcome, duration }: RunReport, isCertain = true): string {
  return outcome === 'success' ? `${isCertain ? '+' : '='}${Math.round(duration)}` : '-'
}

function writeEnding({ finished, unbegun, keepsLock, replaced }: Ending): string {
  if (keepsLock) return ENDING_KEEPS_LOCK
  if (finished && unbegun) return ENDING_UNUSED
  if (finished) return replaced ? ENDING_REPLACED : ENDING_FINISHED
  return unbegun ? ENDING_UNBEGUN : ENDING_LEFT
}

/** A claim that is handed back. */
export function writeHandedBack({ lock, scheduledTime, afterCompletion, tell, waited }: HandedBack): string {
  const endedAt = afterCompletion > 0 ? scheduledTime - afterCompletion : -1
  return `${lock.token} ${tell ? scheduledTime : -1} ${endedAt} ${lock.slot ?? 1}${waited ? 'w' : ''}`
}

/** A claim that a majority has granted. */
export function writeConfirmation({ runId, due }: Confirmation): string {
  return `${runId} ${due ?? NOBODY}`
}

/** Claims that a majority has confirmed. */
export function writeConfirmed(claims: readonly ConfirmedClaim[]): string {
  let written = ''
  for (const { jobId, runId, tick, run, retention, fingerprint } of claims) {
    const what = run === null ? `${NOBODY} -1 0` : `${run.fencingToken} ${run.scheduledTime} ${run.attempt}`
    written += `${tick} ${retention} ${writeFingerprint(fingerprint)} ${runId || NOBODY} ${what} ${jobId}\n`
  }
  return written
}

/** A run that is to be recorded as abandoned. */
export function writeAbandoned(
  { runId, jobId, slot = 1, entry = null }: LostRun,
  writeEntry: (run: HistoryRun) => string
): string {
  return `${runId} ${slot} ${jobId}\n${entry === null ? '' : writeEntry(entry)}`
}

/** Whether their code pauses jobs. */
export function writePauses(jobs: readonly SurveyRequest[]): string {
  let written = ''
  for (const { pausedInitially, group = '', jobId } of jobs) {
    written += `${pausedInitially ? 1 : 0} ${writeKey(group)} ${jobId}\n`
  }
  return written
}

/** Since when jobs have been there. */
export function writeSince(jobs: readonly SurveyRequest[]): string {
  let written = ''
  for (const { since, isOnce, accounted, retention, fingerprint, jobId } of jobs) {
    written += `${since ?? NOBODY} ${isOnce ? 1 : 0} ${accounted} ${retention} ${fingerprint.trigger} ${jobId}\n`
  }
  return written
}
