// What became of a tick, in one sentence: verb first, then who, how long, and why.
import type { AdminChange, AdminTick } from '../../types/admin.js'
import type { JobPause } from '../../types/levers.js'
import { isRun, type Kind, lengthOf } from './ticks.js'
import { clock, duration, hms, when } from './time.js'

/** What a sentence can know beside the tick. */
export interface Knowledge {
  readonly now: number
  readonly zone: string
  /** Ticks of the job, the oldest first. */
  readonly ticks?: readonly AdminTick[]
  readonly pauses?: readonly JobPause[]
  readonly changes?: readonly AdminChange[]
  readonly outage?: { readonly from: number; readonly to: number } | null
  readonly grace?: number | null
  /** How many attempts there are at most. */
  readonly attempts?: number | null
  readonly recovery?: string | null
}

/** Characters that turn the direction of text, beside letters that do. */
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\ud802\ud803\ud83a\ud83b]/

/** A text in which what would turn the direction of letters is seen, and turns nothing. */
export function visible(text: string): string {
  return text.replace(BIDI_CONTROLS, '\ufffd')
}

/**
 * A text of somebody else within a sentence of ours: on one line, and whatever its direction, what stands around it stays where
 * it is.
 */
export function quoted(text: string): string {
  const plain = visible(text).replace(/\s+/g, ' ').trim()
  return RIGHT_TO_LEFT.test(plain) ? `\u2068${plain}\u2069` : plain
}

/** `: “why”`, or nothing. */
export function because(note: string | null | undefined): string {
  return note ? `: “${quoted(note)}”` : ''
}

/** `1 job`, `2 jobs`. */
export function plural(count: number, one: string, several = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : several}`
}

const NUMBERS = new Intl.NumberFormat('en-US')

/** `48,113` */
export function number(value: number): string {
  return NUMBERS.format(value)
}

/** `61 %` */
export function percent(share: number): string {
  return `${Math.round(Math.min(1, Math.max(0, share)) * 100)} %`
}

/** `a`, `a and b`, `a, b and c`. */
export function list(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join('')
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}

/** `Failed` of `failed`. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const ORDINALS = ['', 'first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth']

function ordinal(count: number): string {
  return ORDINALS[count] ?? `${count}th`
}

const NAMES: Readonly<Partial<Record<Kind, string>>> = {
  success: 'ran',
  error: 'failed',
  timeout: 'timed out',
  lock_lost: 'lock lost',
  running: 'running',
  overlap: 'overlap',
  misfire: 'too late',
  coalesced: 'folded',
  redis_error: 'Redis away',
  shutdown: 'closing',
  condition: 'condition',
  operator: 'skipped by hand'
}

/** A kind in a word or two; of one that is not known, its code. */
export function nameOf(kind: Kind): string {
  return NAMES[kind] ?? String(kind).replaceAll('_', ' ')
}

const place = (tick: AdminTick): string => (tick.on === undefined ? '' : ` on ${quoted(tick.on)}`)
const after = (tick: AdminTick): string => (tick.ms === undefined ? '' : ` after ${duration(tick.ms)}`)

/** How a run came to be, where that was not its schedule. */
function origin(tick: AdminTick): string {
  switch (tick.trigger) {
    case 'manual':
      return tick.by === undefined ? ', by hand' : `, asked for by ${quoted(tick.by)}`
    case 'recovery':
      return ', in place of a run that went down with its replica'
    case 'catch-up':
      return ', caught up at the start of its replica'
    case 'start':
      return ', at the start of the app'
    default:
      return ''
  }
}

function attemptOf(tick: AdminTick, attempts: number | null | undefined): string {
  const attempt = tick.attempt ?? 1
  if (attempts != null && attempts > 1) return `, attempt ${attempt} of ${Math.max(attempt, attempts)}`
  return attempt > 1 ? `, attempt ${attempt}` : ''
}

function ran(tick: AdminTick): string {
  const later = (tick.attempt ?? 1) > 1 ? `, at the ${ordinal(tick.attempt ?? 1)} attempt` : ''
  const took = tick.ms === undefined ? '' : ` in ${duration(tick.ms)}`
  return `ran${place(tick)}${took}${later}${origin(tick)}`
}

function going(tick: AdminTick, now: number): string {
  const { progress } = tick
  const known = progress == null ? '' : `, ${percent(progress.share)}`
  const note = progress?.note ? `: ${quoted(progress.note)}` : ''
  return `running${place(tick)} for ${duration(Math.floor(lengthOf(tick, now) / 1000) * 1000)}${known}${note}${origin(tick)}`
}

function cancelled(tick: AdminTick, { changes = [] }: Knowledge): string {
  const change = changes.find(({ action, run }) => action === 'cancel' && run !== null && run === tick.run)
  const who = change === undefined ? '' : ` by ${quoted(change.by)}${because(change.note)}`
  return `cancelled${place(tick)}${after(tick)}${who}`
}

function abandoned(tick: AdminTick, { recovery }: Knowledge): string {
  const who = tick.on === undefined ? 'its replica' : quoted(tick.on)
  const noticed = tick.ms === undefined ? '' : `, noticed ${duration(tick.ms)} after the run began`
  const rerun = recovery == null || recovery === 'rerun' ? '' : `. Not rerun: recovery is ${recovery}`
  return `abandoned: ${who} was gone${noticed}${rerun}`
}

/** Which run held the lock at a tick. */
function holderOf(tick: AdminTick, ticks: readonly AdminTick[]): AdminTick | undefined {
  return ticks.findLast(({ started, ms, kind, at }) => {
    if (started === undefined || at === tick.at || started > tick.at) return false
    return kind === 'running' || (ms !== undefined && started + ms >= tick.at)
  })
}

function overlap(tick: AdminTick, { ticks = [], now, zone }: Knowledge): string {
  const holder = holderOf(tick, ticks)
  if (holder === undefined) return 'the run before still held the lock'
  const held = tick.at - (holder.started ?? holder.at)
  const where = holder.on === undefined ? '' : ` (${quoted(holder.on)}, ${duration(held)})`
  return `the run of ${when(holder.at, now, zone, clock)} still held the lock${where}`
}

function coalesced(tick: AdminTick, { ticks = [], now, zone }: Knowledge): string {
  const end = tick.until ?? tick.at
  const next = ticks.find((each) => each.at > end && each.kind !== 'coalesced')
  return next !== undefined && isRun(next)
    ? `folded into the tick of ${when(next.at, now, zone, clock)}`
    : 'folded into another tick'
}

/** `until Fri 09:00`, or nothing where it has no end. */
export function untilWhen(until: number | null, now: number, zone: string): string {
  return until === null ? '' : ` until ${when(until, now, zone, clock)}`
}

/** Who has paused what, until when and why. */
export function pausedBy(pause: JobPause, now: number, zone: string): string {
  const who = pause.by === null ? 'by its code' : `by ${quoted(pause.by)}`
  const what = pause.of === 'group' ? 'with its group ' : pause.of === 'all' ? 'with all jobs ' : ''
  return `${what}${who}${untilWhen(pause.until, now, zone)}`
}

function paused(tick: AdminTick, { pauses = [], changes = [], now, zone }: Knowledge): string {
  const pause = pauses.find(({ at, until }) => (at === null || at <= tick.at) && (until === null || until > tick.at))
  if (pause !== undefined) return `paused ${pausedBy(pause, now, zone)}${because(pause.note)}`
  const change = changes.find(({ action, at }) => (action === 'pause' || action === 'resume') && at <= tick.at)
  if (change?.action !== 'pause') return 'it was paused'
  return `paused by ${quoted(change.by)}${untilWhen(change.until, now, zone)}${because(change.note)}`
}

function away(tick: AdminTick, { outage, zone }: Knowledge): string {
  const isThen = outage != null && outage.from <= (tick.until ?? tick.at) && tick.at <= outage.to
  return isThen
    ? `Redis did not answer from ${hms(outage.from, zone)} to ${hms(outage.to, zone)}`
    : 'Redis did not answer'
}

function skipped(tick: AdminTick, { changes = [] }: Knowledge): string {
  const change = changes.find(({ action, scheduledTime }) => action === 'skip' && scheduledTime === tick.at)
  const by = tick.by ?? change?.by
  return `skipped by ${by === undefined ? 'hand' : quoted(by)}${because(change?.note)}`
}

/** Why a tick had no run, without saying that it had none. */
export function reasonOf(tick: AdminTick, known: Knowledge): string {
  switch (tick.kind) {
    case 'overlap':
      return overlap(tick, known)
    case 'misfire':
      return `nobody had room for it within its grace${known.grace == null ? '' : ` of ${duration(known.grace)}`}`
    case 'coalesced':
      return coalesced(tick, known)
    case 'condition':
      return 'its condition said no'
    case 'paused':
      return paused(tick, known)
    case 'redis_error':
      return away(tick, known)
    case 'operator':
      return skipped(tick, known)
    case 'shutdown':
      return `${tick.on === undefined ? 'its replica' : quoted(tick.on)} was closing and no other replica took it in time`
    default:
      return nameOf(tick.kind)
  }
}

function several(tick: AdminTick, count: number, known: Knowledge): string {
  const reason = reasonOf(tick, known)
  if (tick.kind === 'redis_error') return `${number(count)} ticks missed: ${reason}`
  if (tick.kind === 'paused') return `${number(count)} ticks without a run: ${reason}`
  return `${number(count)} ticks had no run: ${reason}`
}

function onEach(tick: AdminTick, others: readonly AdminTick[], known: Knowledge): string {
  const all = [tick, ...others]
  const isDull = all.every(({ kind, attempt = 1, ms }) => kind === 'success' && attempt === 1 && ms !== undefined)
  if (!isDull) return all.map((each) => sentence({ ...each, others: [] }, known)).join('; ')
  const places = all.map(({ on, ms }) => `${on === undefined ? 'a replica' : quoted(on)} in ${duration(ms ?? 0)}`)
  return `ran on ${places.join(', ')}${origin(tick)}`
}

/** What became of a tick. */
export function sentence(tick: AdminTick, known: Knowledge): string {
  const { others, count = 1 } = tick
  if (others !== undefined && others.length > 0) return onEach(tick, others, known)
  const error = tick.error === undefined ? '' : `: ${quoted(tick.error)}`
  switch (tick.kind) {
    case 'success':
      return ran(tick)
    case 'running':
      return going(tick, known.now)
    case 'waiting':
      return 'waits for a slot'
    case 'error':
      return `failed${place(tick)}${after(tick)}${attemptOf(tick, known.attempts)}${origin(tick)}${error}`
    case 'timeout':
      return `timed out${place(tick)}${after(tick)}${attemptOf(tick, known.attempts)}${origin(tick)}`
    case 'cancelled':
      return cancelled(tick, known)
    case 'lock_lost':
      return `lost its lock${place(tick)}${after(tick)}: it could not be extended. The run was told to stop`
    case 'abandoned':
      return abandoned(tick, known)
    default:
      if (count > 1) return several(tick, count, known)
      if (isRun(tick)) return `ended${place(tick)}${after(tick)}: ${nameOf(tick.kind)}${error}`
      return `no run: ${reasonOf(tick, known)}`
  }
}

/** The message of `PaymentGatewayError: 502 from api.psp.example`, without the name. */
export function messageOf(error: string): string {
  return quoted(error.replace(/^[A-Z]\w*: (?=\S)/, ''))
}

const DURATIONS: ReadonlySet<string> = new Set(['timeout', 'misfireGraceTime', 'jitter', 'lock', 'lockTtl'])

/** The value of an option, as people read it. */
export function shownValue(option: string, value: unknown): string {
  if (value === null || value === undefined || value === false) return 'none'
  if (typeof value === 'number') return DURATIONS.has(option) ? duration(value) : number(value)
  if (typeof value === 'string') return value
  if (option === 'trigger' && typeof value === 'object' && 'cron' in value && typeof value.cron === 'string') {
    const { cron, ...rest } = value
    if (Object.keys(rest).length === 0) return cron
  }
  return JSON.stringify(value)
}

const VERBS: Readonly<Record<AdminChange['action'], string>> = {
  trigger: 'asked for a run of',
  pause: 'paused',
  resume: 'resumed',
  skip: 'skipped',
  override: 'changed',
  reset: 'reset to code',
  release: 'released the lock of',
  cancel: 'cancelled'
}

/**
 * What somebody has done.
 *
 * @param isOwn whether it stands in the story of the job that it is about
 */
export function changeSentence(change: AdminChange, now: number, zone: string, isOwn = false): string {
  const { by, action, job, group, scheduledTime, until, options, note } = change
  const what = job !== null ? (isOwn ? 'the job' : quoted(job)) : group !== null ? `group ${quoted(group)}` : 'all jobs'
  const tick = scheduledTime === null ? '' : when(scheduledTime, now, zone, clock)
  const who = quoted(by)
  const why = because(note)
  const of = isOwn && job !== null ? '' : ` of ${what}`
  switch (action) {
    case 'cancel':
      return `${who} cancelled ${tick === '' ? 'a run' : `the run of ${tick}`}${of}${why}`
    case 'skip':
      return `${who} skipped ${tick === '' ? 'a tick' : `the tick of ${tick}`}${of}${why}`
    case 'override':
      return `${who} changed ${options.length === 0 ? 'options' : list(options.map(quoted))}${of}${why}`
    case 'trigger':
      return `${who} asked for a run${tick === '' ? '' : ` of the tick of ${tick}`}${of}${why}`
    case 'pause':
      return `${who} paused ${what}${untilWhen(until, now, zone)}${why}`
    case 'release':
      return `${who} released the lock${of}${why}`
    default:
      return `${who} ${VERBS[action] ?? quoted(String(action).replaceAll('_', ' '))} ${what}${why}`
  }
}
