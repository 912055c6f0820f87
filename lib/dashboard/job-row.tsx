// biome-ignore-all lint/a11y/noRedundantRoles: a row that is laid out as a grid on a phone is none to a screen reader without
// A row of the table: how a job stands and why, its last ticks, its schedule, and what is expected of it.
import type { AdminJob } from '../../types/admin.js'
import { now, zone } from './clock.js'
import { Icon } from './drawn.js'
import { colourOf } from './marks.js'
import { go, jobHash } from './route.js'
import { stateMark, stateReason, stateWord } from './states.js'
import { jobSignal } from './store.js'
import { Strip } from './strip.js'
import { Foreign, Live } from './text.js'
import { ago, city, DAY, dayNear, duration, hm, hms, until } from './time.js'
import { expectation } from './verdict.js'
import { untilWhen } from './words.js'

const ROW_CLASSES: Readonly<Record<string, string>> = { attention: 'trouble', on_time: 'ok', gone: 'ok' }

export interface RowPlace {
  readonly id: string
  /** Its place in the list. */
  readonly index: number
  /** Its place among all rows of the table, from 1 on. */
  readonly rowIndex: number
}

export function JobRow({ id, index, rowIndex }: RowPlace) {
  const job = jobSignal(id)?.value
  if (job === undefined) return <BoneRow index={index} rowIndex={rowIndex} />
  const href = jobHash(id)
  const open = (event: MouseEvent): void => {
    if (event.target instanceof Element && event.target.closest('a') !== null) return
    if (getSelection()?.isCollapsed === false) return
    go(href)
  }
  return (
    <tr
      class={`job-row ${ROW_CLASSES[job.rank] ?? ''}`}
      role="row"
      aria-rowindex={rowIndex}
      data-id={id}
      onClick={open}
    >
      <StateCell job={job} />
      <th scope="row" role="rowheader" class="nm">
        <div>
          <a href={href} data-index={index} title={id}>
            <Foreign text={id} />
          </a>
          {job.group !== null && (
            <span class="dim grp">
              {' '}
              <Foreign text={job.group} />
            </span>
          )}
        </div>
        <div class="dim ds" title={job.description ?? undefined}>
          <Foreign text={job.description ?? ''} />
        </div>
      </th>
      <td class="s" role="cell">
        <Strip job={job} />
      </td>
      <td class="sc" role="cell">
        <div title={job.schedule}>{job.schedule}</div>
        <div class="dim">
          <Beneath job={job} />
        </div>
      </td>
      <SuccessCell job={job} />
      <td class="d num" role="cell">
        <div>{job.p50 === null ? '' : duration(job.p50)}</div>
        <div class="dim">{job.p95 === null ? '' : duration(job.p95)}</div>
      </td>
      <NextCell job={job} />
    </tr>
  )
}

function StateCell({ job }: { readonly job: AdminJob }) {
  const mark = stateMark(job)
  return (
    <td class="st" role="cell">
      <div class={`state ${colourOf(mark)}`}>
        <Icon mark={mark} />
        <span>{stateWord(job)}</span>
      </div>
      <div class="why" dir="auto">
        <Live of={(time) => stateReason(job, time, zone)} />
      </div>
    </td>
  )
}

/** What stands below the schedule: where it differs from what one would think. */
function Beneath({ job }: { readonly job: AdminJob }) {
  if (job.isOverridden) return <span class="warn">differs from code</span>
  if (job.isOnEvery) return <>on every replica</>
  return <>{job.timezone === null ? '' : city(job.timezone)}</>
}

function SuccessCell({ job }: { readonly job: AdminJob }) {
  return (
    <td class="l" role="cell">
      <div>
        <Live of={(time) => (job.lastSuccess === null ? 'never' : ago(job.lastSuccess, time))} />
      </div>
      <Due job={job} />
    </td>
  )
}

/** By when the next success is due; red once that is over. */
function Due({ job }: { readonly job: AdminJob }) {
  const { text, isOver } = expectation(job, now.value)
  return <div class={isOver ? 'bad' : 'dim'}>{text}</div>
}

function NextCell({ job }: { readonly job: AdminJob }) {
  const { nextRun } = job
  if (nextRun === null) {
    const end = job.pauses[0]?.until ?? null
    return (
      <td class="n num" role="cell">
        <div class="dim">none</div>
        <div class="dim">
          <Live of={(time) => (job.state === 'paused' ? untilWhen(end, time, zone).trim() : '')} />
        </div>
      </td>
    )
  }
  const nominal = (time: number): string =>
    nextRun - time > DAY / 2 ? `${dayNear(nextRun, time, zone)} ${hm(nextRun, zone)}` : hms(nextRun, zone)
  return (
    <td class="n num" role="cell">
      <div>
        <Live of={(time) => (nextRun <= time ? 'now' : until(nextRun, time))} />
      </div>
      <div class="dim">
        <Live of={nominal} />
      </div>
    </td>
  )
}

/** A row that is still being read. */
export function BoneRow({ index, rowIndex }: Omit<RowPlace, 'id'>) {
  return (
    <tr class="job-row bones" role="row" aria-rowindex={rowIndex} data-index={index}>
      {['st', 'nm', 's', 'sc', 'l', 'd', 'n'].map((name) => (
        <td key={name} class={name} role="cell">
          <div class="bone" />
          <div class="bone b" />
        </td>
      ))}
    </tr>
  )
}
