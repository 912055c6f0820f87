// What somebody can do, and what is said before and after. Every action asks for a reason.
import { signal } from '@preact/signals'
import type { AdminAction, AdminJob, AdminRunning } from '../../types/admin.js'
import type { JobPause } from '../../types/levers.js'
import { get, post } from './api.js'
import { now, zone } from './clock.js'
import { listing } from './job-list.js'
import { epoch, jobSignal, putJob, said, whyOff } from './store.js'
import { clock, when } from './time.js'
import { because, pausedBy, quoted, untilWhen } from './words.js'

/** What is paused or resumed. */
export type Target = { readonly job: string } | { readonly group: string } | { readonly all: true }

/** What was filled in. */
export interface Filled {
  readonly note: string
  /** Until when, of a pause; `null` for until somebody resumes. */
  readonly until: number | null
}

/** An action that waits for its reason. */
export interface Asked {
  readonly action: AdminAction
  /** What the button says. */
  readonly verb: string
  /** What it is about, which may be a text of somebody else; empty for all jobs. */
  readonly of: string
  /** What it will do. */
  readonly effect: string
  readonly hasEnd: boolean
  /** Does it, and says that it was done. */
  send(filled: Filled): Promise<string>
  /** After somebody else was faster: reads what stands now, and says it. The next `send` is about that. */
  look?(): Promise<string>
}

/** What is being asked; the job's id for its override. */
export const asking = signal<Asked | { readonly override: string } | null>(null)

/** Says what was done, and reads anew what is shown. */
export function done(text: string): void {
  said.value = text
  epoch.value++
}

const nameOf = (target: Target): string => ('job' in target ? target.job : 'group' in target ? target.group : '')
const phrase = (target: Target): string =>
  'job' in target ? quoted(target.job) : 'group' in target ? `group ${quoted(target.group)}` : 'all jobs'
const tick = (time: number): string => when(time, now.peek(), zone, clock)

function ask(asked: Asked): void {
  if (whyOff(asked.action) === null) asking.value = asked
}

/** The jobs that are known, the one asked for first. */
function jobsOf(target: Target): readonly AdminJob[] {
  if ('job' in target) return [jobSignal(target.job)?.value].flatMap((job) => job ?? [])
  const ids = [...(listing.value?.ids.values() ?? [])]
  const jobs = ids.flatMap((id) => jobSignal(id)?.value ?? [])
  return 'group' in target ? jobs.filter(({ group }) => group === target.group) : jobs
}

/** The pause in force of just that: of the job itself, of the group, or of all jobs; `null` for none that is known. */
export function standingPause(target: Target): JobPause | null {
  const of = 'job' in target ? 'job' : 'group' in target ? 'group' : 'all'
  for (const { pauses } of jobsOf(target)) {
    const found = pauses.find((pause) => pause.of === of)
    if (found !== undefined) return found
  }
  return null
}

/** What has to stand still, that nobody was faster; nothing where no job is known that would say it. */
function expected(target: Target): { readonly expectedVersion?: string | null } {
  return jobsOf(target).length === 0 ? {} : { expectedVersion: standingPause(target)?.version ?? null }
}

/** Reads what stands now, after somebody else was faster. */
async function lookAt(target: Target): Promise<string> {
  const ids =
    'job' in target
      ? [target.job]
      : jobsOf(target)
          .slice(0, 1)
          .map(({ id }) => id)
  for (const id of ids) putJob((await get<{ at: number; job: AdminJob }>('job', { id })).job)
  const pause = standingPause(target)
  if (pause === null) return 'It is not paused any more.'
  const at = pause.at === null ? '' : ` at ${when(pause.at, now.peek(), zone)}`
  return `It is paused ${pausedBy(pause, now.peek(), zone)}, since${at === '' ? ' its start' : at.slice(3)}${because(pause.note)}.`
}

export function askPause(target: Target): void {
  const job = 'job' in target ? jobSignal(target.job)?.peek() : undefined
  const first = job?.nextRun == null ? 'Ticks from now on' : `The tick of ${tick(job.nextRun)} and those after it`
  let seen = expected(target)
  ask({
    action: 'pause',
    verb: 'job' in target ? 'Pause' : 'group' in target ? 'Pause the group' : 'Pause all jobs',
    of: nameOf(target),
    effect: `${first} will have no run, on every replica. A run that goes on is not stopped.`,
    hasEnd: true,
    async send({ note, until }) {
      await post('pause', { ...target, note, ...seen, ...(until !== null && { until }) })
      return `Paused ${phrase(target)}${untilWhen(until, now.peek(), zone)}.`
    },
    async look() {
      const text = await lookAt(target)
      seen = expected(target)
      return text
    }
  })
}

export function askResume(target: Target): void {
  let seen = expected(target)
  ask({
    action: 'resume',
    verb: 'job' in target ? 'Resume' : 'group' in target ? 'Resume the group' : 'Resume all jobs',
    of: nameOf(target),
    effect: 'Ticks run again from the next one on. Those of the pause are not made up for.',
    hasEnd: false,
    async send({ note }) {
      const { pauses } = await post('resume', { ...target, note, ...seen })
      const other = pauses[0]
      const still = other === undefined ? '' : ` It is still paused ${pausedBy(other, now.peek(), zone)}.`
      return `Resumed ${phrase(target)}.${still}`
    },
    async look() {
      const text = await lookAt(target)
      seen = expected(target)
      return text
    }
  })
}

/** Asks for a run now, or of a tick that is over. */
export function askRun(job: string, scheduledTime?: number, isAgain = false): void {
  const isEach = jobSignal(job)?.peek().isOnEvery === true
  const lock = isEach ? 'without a lock, as its ticks' : 'under the same lock as its ticks'
  const which = scheduledTime === undefined ? '' : `It is told that it is the tick of ${tick(scheduledTime)}. `
  ask({
    action: 'trigger',
    verb: scheduledTime === undefined ? 'Run now' : `Run the tick of ${tick(scheduledTime)}${isAgain ? ' again' : ''}`,
    of: job,
    effect: `One replica that takes ticks runs it once, now, ${lock}. ${which}The next tick runs as planned.`,
    hasEnd: false,
    async send({ note }) {
      await post('trigger', { job, note, ...(scheduledTime !== undefined && { scheduledTime }) })
      return `Asked for a run of ${quoted(job)}. It begins within about a second, or when a slot is free.`
    }
  })
}

export function askSkip(job: string, scheduledTime: number): void {
  ask({
    action: 'skip',
    verb: `Skip ${tick(scheduledTime)}`,
    of: job,
    effect: 'This one tick will have no run. The one after it runs as planned.',
    hasEnd: false,
    async send({ note }) {
      await post('skip', { job, scheduledTime, note })
      return `The tick of ${tick(scheduledTime)} of ${quoted(job)} will have no run.`
    }
  })
}

export function askCancel(job: string, run: AdminRunning): void {
  ask({
    action: 'cancel',
    verb: `Cancel the run of ${tick(run.scheduledTime)}`,
    of: job,
    effect: `The run is told to stop on ${quoted(run.replicaId)}. The lock is free when its handler has ended.`,
    hasEnd: false,
    async send({ note }) {
      await post('cancel', { run: run.id, note })
      return `The run of ${tick(run.scheduledTime)} of ${quoted(job)} was told to stop.`
    }
  })
}

export function askRelease(job: string, run: AdminRunning): void {
  ask({
    action: 'release',
    verb: 'Release',
    of: job,
    effect:
      `The lock is taken from ${quoted(run.replicaId)}, whose run ends as lock lost. ` +
      'Another run can begin while the first still works: only for a holder that is gone, or hangs.',
    hasEnd: false,
    async send({ note }) {
      const { released } = await post('release', { job, slot: run.slot, note })
      return released.length === 0 ? `The lock of ${quoted(job)} was free.` : `The lock of ${quoted(job)} is free.`
    }
  })
}

/** `version` is that of the override that is shown. */
export function askReset(job: string, version: string): void {
  let seen: string | null = version
  ask({
    action: 'reset',
    verb: 'Reset to code',
    of: job,
    effect: 'The whole fleet follows the code again, from the next tick on.',
    hasEnd: false,
    async send({ note }) {
      await post('reset', { job, note, expectedVersion: seen })
      return `${quoted(job)} follows its code again.`
    },
    async look() {
      const { override } = await get<{ at: number; override: Overridden | null }>('job', { id: job })
      seen = override?.version ?? null
      return whatIsOverridden(override)
    }
  })
}

/** What of an override is told. */
export interface Overridden {
  readonly version: string
  readonly by: string
  readonly at: number
  readonly note: string | null
  readonly changes: Readonly<Record<string, unknown>>
}

export function whatIsOverridden(override: Overridden | null): string {
  if (override === null) return 'Nothing of it differs from code any more.'
  const names = Object.keys(override.changes).join(', ')
  return `${quoted(override.by)} changed ${names} at ${when(override.at, now.peek(), zone)}${because(override.note)}.`
}

export function askOverride(job: string): void {
  if (whyOff('override') === null) asking.value = { override: job }
}
