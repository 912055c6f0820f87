// The sentence at the head of a job's page: how it stands, since when, and what to expect.
import type { AdminJob, AdminTick } from '../../types/admin.js'
import { hasFailed, inPlaces, isRun, kindOf, lengthOf, percentiles } from './ticks.js'
import { age, clock, countdown, dueIn, duration, hms, MINUTE, on, when } from './time.js'
import { because, capital, type Knowledge, list, nameOf, pausedBy, percent, plural, quoted, reasonOf } from './words.js'

/** What became of a tick, as part of a sentence. */
function clause(tick: AdminTick, { now, zone }: Knowledge): string {
  const at = when(tick.at, now, zone, clock)
  switch (kindOf(tick)) {
    case 'error':
      return `the run of ${at} failed`
    case 'timeout':
      return `the run of ${at} timed out`
    case 'cancelled':
      return `the run of ${at} was cancelled`
    case 'lock_lost':
      return `the run of ${at} lost its lock`
    case 'abandoned':
      return `the run of ${at} went down with ${tick.on === undefined ? 'its replica' : quoted(tick.on)}`
    case 'running':
      return `the run of ${at} still goes on`
    case 'overlap':
      return `the tick of ${at} met a run that still went on`
    case 'misfire':
      return `nobody had room for the tick of ${at}`
    case 'redis_error':
      return `Redis did not answer at ${at}`
    case 'shutdown':
      return `the replica of the tick of ${at} closed`
    case 'operator':
      return `the tick of ${at} was skipped by hand`
    case 'condition':
      return `the condition of the tick of ${at} said no`
    case 'waiting':
      return `the tick of ${at} waits for a slot`
    default:
      return `${at}: ${nameOf(kindOf(tick))}`
  }
}

function overdue(job: AdminJob, known: Knowledge): string {
  const { now, zone } = known
  const first = job.lastSuccess === null ? 'No success is known' : `No success for ${age(now - job.lastSuccess)}`
  const due = job.expectedSuccess === null ? '' : `; one was due ${age(now - job.expectedSuccess)} ago`
  const places = inPlaces(job.ticks)
  const since = places.slice(places.findLastIndex(({ kind }) => kind === 'success') + 1)
  const clauses = since.slice(-2).map((tick) => clause(tick, { ...known, now, zone }))
  return `${first}${due}.${clauses.length === 0 ? '' : ` ${capital(clauses.join(', and '))}.`}`
}

function failing(job: AdminJob, known: Knowledge): string {
  const { now, zone, attempts } = known
  const failed = inPlaces(job.ticks).filter(hasFailed).slice(-Math.max(1, job.consecutiveFailures))
  const newest = failed.at(-1)
  if (newest === undefined) return 'Its last run failed.'
  const count = Math.max(job.consecutiveFailures, 1)
  const each =
    attempts != null && attempts > 1 ? `, ${count > 1 ? 'each ' : ''}after ${plural(attempts, 'attempt')}` : ''
  const isSame = failed.every(({ error }) => error === newest.error)
  const how = newest.error === undefined ? `: ${nameOf(newest.kind)}` : ` with ${quoted(newest.error)}`
  const all = count > 1 ? (isSame ? `${each}, all` : `${each}, the last`) : each === '' ? '' : `${each},`
  const which = count > 1 ? `The last ${count} runs failed` : `The run of ${when(newest.at, now, zone, clock)} failed`
  const success =
    job.lastSuccess === null ? 'No success is known.' : `Last success ${when(job.lastSuccess, now, zone)}.`
  return `${which}${all}${how}. ${success}`
}

function nextTick(job: AdminJob, { now, zone }: Knowledge): string {
  return job.nextRun === null ? '' : ` The next tick is ${on(job.nextRun, now, zone)}.`
}

function missed(job: AdminJob, known: Knowledge): string {
  const tick = job.ticks.at(-1)
  if (tick === undefined) return `Its last tick had no run.${nextTick(job, known)}`
  const at = when(tick.at, known.now, known.zone, clock)
  const which = (tick.count ?? 1) > 1 ? `The last ${tick.count} ticks` : `The tick of ${at}`
  return `${which} had no run: ${reasonOf(tick, known)}.${nextTick(job, known)}`
}

function overlapping(job: AdminJob, { now, zone }: Knowledge): string {
  const run = job.running[0]
  const tick = job.ticks.at(-1)
  if (run === undefined) return 'Its last tick had no run, as the one before still went on.'
  const lengths = job.ticks.flatMap(({ kind, ms }) => (kind === 'success' && ms !== undefined ? ms : []))
  const longest = lengths.length === 0 ? '' : `; the longest before took ${duration(Math.max(...lengths))}`
  const missed = tick !== undefined && !isRun(tick) ? `${when(tick.until ?? tick.at, now, zone, clock)} had no run` : ''
  const next = job.nextRun === null ? '' : `${when(job.nextRun, now, zone, clock)} will have none unless it ends before`
  const so = list([missed, next].filter((part) => part !== ''))
  const gone = `The run of ${when(run.scheduledTime, now, zone, clock)} has gone on for ${age(now - run.startedAt)} on ${quoted(run.replicaId)}`
  return `${gone}${longest}.${so === '' ? '' : ` It holds the lock, so ${so}.`}`
}

/** When a run should end: by its progress, else by how long others took. */
function expectedEnd(job: AdminJob, now: number): number | null {
  const run = job.running[0]
  if (run === undefined) return null
  const share = run.progress?.share ?? 0
  const said = run.progress?.at ?? now
  if (share >= 0.05) return run.startedAt + (said - run.startedAt) / share
  const { p50 } = percentiles(job.ticks)
  return p50 === null ? null : run.startedAt + p50
}

function running(job: AdminJob, { now, zone }: Knowledge): string {
  const run = job.running[0]
  if (run === undefined) return ''
  const done = run.progress === null ? '' : `, ${percent(run.progress.share)} done`
  const note = run.progress?.note ? `: ${quoted(run.progress.note)}` : ''
  const end = expectedEnd(job, now)
  const left =
    end === null
      ? ''
      : end > now
        ? ` It should end at about ${when(end, now, zone, clockOf(end - now))}.`
        : ` It was to end ${age(now - end)} ago.`
  const more =
    job.running.length > 1 ? ` ${plural(job.running.length - 1, 'other run goes', 'other runs go')} on as well.` : ''
  return `On ${quoted(run.replicaId)} since ${when(run.startedAt, now, zone)}${done}${note}.${left}${more}`
}

/** An estimate of minutes is told in minutes. */
function clockOf(ms: number): (time: number, zone: string) => string {
  return ms > 5 * MINUTE ? (time, zone) => clock(Math.round(time / MINUTE) * MINUTE, zone) : hms
}

function paused(job: AdminJob, { now, zone }: Knowledge): string {
  const told = job.pauses.map((pause) => {
    const since = pause.at === null ? '' : `, since ${when(pause.at, now, zone)}`
    return `${capital(pausedBy(pause, now, zone))}${since}${because(pause.note)}`
  })
  // A reason ends as its author ended it.
  return told.length === 0
    ? 'Its ticks have no run.'
    : told.map((text) => (text.endsWith('”') ? text : `${text}.`)).join(' ')
}

function onTime(job: AdminJob): string {
  const places = inPlaces(job.ticks).filter(({ kind }) => kind !== 'running' && kind !== 'waiting')
  const odd = places.filter((tick) => kindOf(tick) !== 'success').length
  if (places.length === 0) return job.nextRun === null ? 'It has not run yet.' : 'It has had no tick yet.'
  if (odd === 0) return places.length === 1 ? 'Its last tick ran.' : `Each of the last ${places.length} ticks ran.`
  return `Of the last ${places.length} ticks, ${odd} had no run or failed.`
}

/** How a job stands, without the word for it. */
export function verdict(job: AdminJob, known: Knowledge): string {
  switch (job.state) {
    case 'gone':
      return 'No living replica has this job. What became of its ticks is kept for some days.'
    case 'paused':
      return paused(job, known)
    case 'overdue':
      return overdue(job, known)
    case 'failing':
      return failing(job, known)
    case 'missed':
      return missed(job, known)
    case 'overlapping':
      return overlapping(job, known)
    case 'running':
      return running(job, known)
    default:
      return onTime(job)
  }
}

/** When the next success is due, and whether that is over. */
export function expectation(job: AdminJob, now: number): { readonly text: string; readonly isOver: boolean } {
  if (job.expectedSuccess === null) return { text: 'none due', isOver: false }
  const isOver = job.expectedSuccess < now
  return { text: isOver ? `due ${age(now - job.expectedSuccess)} ago` : dueIn(job.expectedSuccess, now), isOver }
}

/** The tick that can be run again, or for the first time: the last one, if it failed or had no run. */
export function tickToRun(job: AdminJob): AdminTick | null {
  if (job.isOnEvery) return null
  const tick = inPlaces(job.ticks).findLast(({ kind }) => kind !== 'running' && kind !== 'waiting')
  if (tick === undefined || tick.kind === 'success' || tick.trigger === 'manual') return null
  return tick
}

/** How long a run has gone on, and what it has said. */
export function runSoFar(tick: AdminTick, now: number): string {
  return countdown(lengthOf(tick, now))
}
