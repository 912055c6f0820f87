import type { TickFact } from '../../../types/coordination.js'
import type { FailedAttempt, HistoryRun, HistoryTicks, RunError, RunProgress } from '../../../types/history.js'
import type { RunOutcome, RunTrigger, SkipReason } from '../../../types/run.js'
import { NOBODY } from './constants.js'
import { escapeField, unescapeField } from './fields.js'

// What Redis has of a job's history, see lua/shared/history.lua.
//
// A run is JSON with keys of one letter, without those that say nothing:
//
//     i id             r replica         n attempt          e error [name, message, stack, code]
//     t scheduledTime  l slot            a failed attempts, [attempt, at, name, message] each
//     s startedAt      k fencing token   p progress [share, note, at]
//     d duration       g trigger         v result
//     o outcome        b by              x log lines

interface WrittenRun {
  readonly i: string
  readonly t: number
  readonly s: number
  readonly d: number
  readonly o: RunOutcome
  readonly g?: RunTrigger
  readonly b?: string
  readonly n?: number
  readonly l?: number
  readonly r: string
  readonly k?: number
  readonly a?: readonly (readonly [attempt: number, at: number, name: string, message: string])[]
  readonly p?: readonly [share: number, note: string | null, at: number]
  readonly v?: string
  readonly e?: readonly [name: string, message: string, stack: string | null, code?: string]
  readonly x?: readonly string[]
}

export function writeRun(run: HistoryRun): string {
  const { id, scheduledTime, startedAt, duration, outcome, trigger, replicaId, attempt, slot, fencingToken } = run
  const { by, attempts, progress, result, error, log } = run
  // Of most runs nothing else is to be said.
  let text = `{"i":"${id}","t":${scheduledTime},"s":${startedAt},"d":${duration},"o":"${outcome}","r":${JSON.stringify(replicaId)}`
  if (trigger !== 'schedule') text += `,"g":"${trigger}"`
  if (attempt !== 1) text += `,"n":${attempt}`
  // A run without a lock has slot 0.
  if (slot !== 1) text += `,"l":${slot ?? 0}`
  if (fencingToken !== null) text += `,"k":${fencingToken}`
  if (by !== null) text += `,"b":${JSON.stringify(by)}`
  if (attempts.length > 0) text += `,"a":${JSON.stringify(attempts.map(writeAttempt))}`
  if (progress !== null) text += `,"p":${writeProgress(progress)}`
  if (result !== null) text += `,"v":${JSON.stringify(result)}`
  if (error !== null) text += `,"e":${JSON.stringify(writeError(error))}`
  if (log.length > 0) text += `,"x":${JSON.stringify(log)}`
  return `${text}}`
}

function writeAttempt({ attempt, at, error }: FailedAttempt): NonNullable<WrittenRun['a']>[number] {
  return [attempt, at, error.name, error.message]
}

function writeError({ name, message, stack, code }: RunError): NonNullable<WrittenRun['e']> {
  return code === undefined ? [name, message, stack] : [name, message, stack, code]
}

/** `null` for what is no run. */
export function readRun(jobId: string, text: string): HistoryRun | null {
  const run = parse(text) as Partial<WrittenRun> | null
  if (run === null || typeof run !== 'object') return null
  const { i, t, s, d, o, r, g = 'schedule', n = 1, l = 1, k = null, b = null, a = [], p, v = null, e, x = [] } = run
  const isRead = typeof i === 'string' && typeof o === 'string' && typeof r === 'string'
  if (!isRead || ![t, s, d, n, l].every(Number.isFinite) || !Array.isArray(a) || !Array.isArray(x)) return null
  return {
    kind: 'run',
    id: i,
    jobId,
    scheduledTime: t as number,
    startedAt: s as number,
    finishedAt: (s as number) + Math.round(d as number),
    duration: d as number,
    outcome: o,
    trigger: g,
    by: b,
    attempt: n,
    attempts: a.map(readAttempt),
    slot: l === 0 ? null : l,
    replicaId: r,
    fencingToken: k,
    progress: p === undefined ? null : { share: p[0], note: p[1], at: p[2] },
    result: v,
    error: e === undefined ? null : readError(e),
    log: x
  }
}

/** The beginning of a written error: its name, and its message, of which the end may be missing. */
const FAILURE = /^"((?:[^"\\]|\\.)*)"(?:,"((?:[^"\\]|\\.)*))?/s

/**
 * A run as tails.lua tells it.
 *
 * @param failure the beginning of its error, `''` for none
 * @returns `null` for what is no run
 */
export function readShortRun(jobId: string, text: string, failure: string): HistoryRun | null {
  const run = readRun(jobId, text)
  if (run === null || failure === '') return run
  const [, name = '', message = ''] = FAILURE.exec(failure) ?? []
  return { ...run, error: { name: unquoted(name), message: unquoted(message), stack: null } }
}

/** What stands between the quotes of a text in JSON, which may have been cut. */
function unquoted(text: string): string {
  const read = parse(`"${text.replace(/\\u[0-9a-f]{0,3}$/i, '').replace(/\ufffd+$/, '')}"`)
  return typeof read === 'string' ? read : ''
}

function readAttempt([attempt, at, name, message]: NonNullable<WrittenRun['a']>[number]): FailedAttempt {
  return { attempt, at, error: { name, message, stack: null } }
}

function readError([name, message, stack, code]: NonNullable<WrittenRun['e']>): RunError {
  return { name, message, stack, ...(code === undefined ? {} : { code }) }
}

export function writeProgress({ share, note, at }: RunProgress): string {
  return JSON.stringify([share, note, at])
}

/** `null` for what is no progress. */
export function readProgress(text: string | null | undefined): RunProgress | null {
  const read = text ? parse(text) : null
  if (!Array.isArray(read) || typeof read[0] !== 'number') return null
  const [share, note, at] = read
  return { share, note, at }
}

/** Ticks without a run, as an argument of note.lua. */
export function writeTicks({ jobId, first, last, next, count, reason, by, at }: TickFact): string {
  return `t ${first} ${last} ${next ?? NOBODY} ${count} ${reason} ${escapeField(by)} ${at} ${jobId}`
}

const RANGE = /^(-?\d+) (-?\d+) \S+ (\d+) (\S+) (\S+) (\d+)$/

/** `null` for what is no range of ticks. */
export function readTicks(jobId: string, member: string): HistoryTicks | null {
  const words = RANGE.exec(member)
  if (words === null) return null
  const [, first, last, count, reason, by = '', at] = words
  return {
    kind: 'ticks',
    jobId,
    first: Number(first),
    last: Number(last),
    count: Number(count),
    reason: reason as SkipReason,
    by: unescapeField(by),
    at: Number(at)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
