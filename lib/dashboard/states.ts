// How a job stands, in a word, with its mark, and why in a few more.
import type { AdminCounts, AdminJob, AdminRank, AdminState, AdminTick } from '../../types/admin.js'
import type { Mark } from './marks.js'
import { hasFailed, inPlaces, isRun, kindOf } from './ticks.js'
import { clock, DAY, when } from './time.js'
import { list, messageOf, nameOf, pausedBy, percent, plural, quoted } from './words.js'

/** The order in which ranks are shown, and what stands above them. */
export const RANKS: readonly (readonly [AdminRank, string])[] = [
  ['attention', 'Needs attention'],
  ['running', 'Running'],
  ['paused', 'Paused'],
  ['on_time', 'On time'],
  ['gone', 'Gone']
]

const last = (job: AdminJob): AdminTick | undefined => job.ticks.at(-1)

/** The word for how a job stands. */
export function stateWord(job: AdminJob): string {
  const run = job.running[0]
  switch (job.state) {
    case 'gone':
      return 'Gone'
    case 'paused':
      return 'Paused'
    case 'overdue':
      return 'Overdue'
    case 'failing':
      return job.consecutiveFailures > 1 ? `Failing, ${job.consecutiveFailures} in a row` : 'Failing'
    case 'missed':
      return (last(job)?.count ?? 1) > 1 ? `Missed its last ${last(job)?.count} ticks` : 'Missed its tick'
    case 'overlapping':
      return 'Overlapping'
    case 'running':
      if (job.running.length > 1) return `Running, ${job.running.length} times`
      return run?.progress == null ? 'Running' : `Running, ${percent(run.progress.share)}`
    case 'on_time':
      return 'On time'
    default:
      return nameOf(job.state)
  }
}

/** The mark of how a job stands. */
export function stateMark(job: AdminJob): Mark {
  switch (job.state) {
    case 'failing': {
      const failed = job.ticks.findLast(hasFailed)
      return failed === undefined ? 'error' : kindOf(failed)
    }
    case 'missed':
      return last(job)?.kind ?? 'misfire'
    case 'overlapping':
      return 'overlap'
    case 'on_time':
      return 'success'
    case 'overdue':
    case 'running':
    case 'paused':
    case 'gone':
      return job.state
    default:
      return 'none'
  }
}

/** What went otherwise since the last success, in a few words a tick. */
function sinceSuccess(job: AdminJob, now: number, zone: string): string {
  const places = inPlaces(job.ticks)
  const from = places.findLastIndex(({ kind }) => kind === 'success') + 1
  const since = places.slice(from).filter((tick) => kindOf(tick) !== 'running')
  const [first, second] = [since.at(-2), since.at(-1)]
  return [first, second]
    .flatMap((tick) => (tick === undefined ? [] : `${when(tick.at, now, zone, clock)} ${nameOf(kindOf(tick))}`))
    .join(', ')
}

function whyMissed(tick: AdminTick | undefined, now: number, zone: string): string {
  if (tick === undefined) return ''
  const at = when(tick.until ?? tick.at, now, zone, clock)
  if (tick.kind === 'redis_error') return `${at} lost: Redis was away`
  if (tick.kind === 'misfire') return `${at} late: nobody had room`
  if (tick.kind === 'shutdown') return `${at} lost: its replica closed`
  return `${at} ${nameOf(tick.kind)}`
}

function whyOverlapping(job: AdminJob, now: number, zone: string): string {
  const [run, tick] = [job.running[0], last(job)]
  const parts: string[] = []
  if (tick !== undefined && !isRun(tick)) parts.push(`${when(tick.until ?? tick.at, now, zone, clock)} skipped`)
  if (run !== undefined) parts.push(`${when(run.scheduledTime, now, zone, clock)} still runs`)
  return parts.join(', ')
}

/** Why it stands so; of one that is on time the latest exception of a day. Empty for nothing to say. */
export function stateReason(job: AdminJob, now: number, zone: string): string {
  const run = job.running[0]
  switch (job.state) {
    case 'gone':
      return 'no living replica has it'
    case 'paused': {
      const pause = job.pauses[0]
      return pause === undefined ? '' : pausedBy(pause, now, zone)
    }
    case 'overdue':
      return sinceSuccess(job, now, zone) || 'no run is known since'
    case 'failing': {
      const failed = job.ticks.findLast(hasFailed)
      if (failed?.error !== undefined) return messageOf(failed.error)
      return failed === undefined ? '' : `${when(failed.at, now, zone, clock)} ${nameOf(kindOf(failed))}`
    }
    case 'missed':
      return whyMissed(last(job), now, zone)
    case 'overlapping':
      return whyOverlapping(job, now, zone)
    case 'running':
      if (run === undefined) return ''
      return `on ${quoted(run.replicaId)} since ${when(run.startedAt, now, zone, clock)}`
    case 'on_time': {
      const odd = job.ticks.findLast((tick) => !['success', 'running', 'claimed_elsewhere'].includes(kindOf(tick)))
      if (odd === undefined || now - (odd.until ?? odd.at) > DAY) return ''
      return `${when(odd.until ?? odd.at, now, zone, clock)} ${nameOf(kindOf(odd))}`
    }
    default:
      return ''
  }
}

const WORDS: readonly (readonly [AdminState, string, string])[] = [
  ['overdue', 'overdue', 'overdue'],
  ['failing', 'failing', 'failing'],
  ['missed', 'missed its tick', 'missed their tick'],
  ['overlapping', 'overlapping', 'overlapping']
]

/** The first line of the jobs page. */
export function headline({ all, ranks }: AdminCounts, asOf: string | null): string {
  const verb = asOf === null ? ['needs', 'need'] : ['needed', 'needed']
  const before = asOf === null ? '' : `At ${asOf}, `
  if (all === 0) return 'No jobs yet'
  if (ranks.attention > 0) {
    const of = all === 1 ? 'the only job' : `${ranks.attention} of ${plural(all, 'job')}`
    const text = `${before}${of} ${verb[ranks.attention === 1 ? 0 : 1]} attention`
    return text.charAt(0).toUpperCase() + text.slice(1)
  }
  const are = asOf === null ? 'is as it should be' : 'was as it should be'
  return `${before}${before === '' ? 'N' : 'n'}o job needs attention: ${all === 1 ? 'the only one' : `each of ${plural(all, 'job')}`} ${are}`
}

/** The line below it: what the problems are. */
export function subline({ all, ranks, states }: AdminCounts): string {
  const problems = WORDS.flatMap(([state, one, several]) => {
    const count = states[state]
    return count > 0 ? `${count} ${count === 1 ? one : several}` : []
  })
  const rest = all - ranks.attention - ranks.gone
  const parts: string[] = []
  if (problems.length > 0) parts.push(`${problems.join(', ')}.`)
  if (problems.length > 0 && rest > 0) {
    parts.push(rest === 1 ? 'The other is as it should be.' : `The other ${rest} are as they should be.`)
  }
  const others = [ranks.running > 0 && `${ranks.running} running`, ranks.paused > 0 && `${ranks.paused} paused`]
  const quiet = others.filter((part) => part !== false)
  if (problems.length === 0 && quiet.length > 0) parts.push(`${list(quiet)}, the rest on time.`)
  if (ranks.gone > 0)
    parts.push(
      `${plural(ranks.gone, 'job')} ${ranks.gone === 1 ? 'is' : 'are'} gone: no living replica has ${ranks.gone === 1 ? 'it' : 'them'}.`
    )
  return parts.join(' ')
}
