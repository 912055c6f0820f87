// What became of every tick of a job, a line each, the newest first.
import type { ComponentChildren } from 'preact'
import type { AdminJob, AdminTick } from '../../types/admin.js'
import type { HistoryRun } from '../../types/history.js'
import { now, zone } from './clock.js'
import { Icon } from './drawn.js'
import { history, older, past, readOlder } from './job-data.js'
import type { Mark } from './marks.js'
import { change, route } from './route.js'
import { hasDetail, RunDetail } from './run-detail.js'
import { foldedFacts, isDull, isSparse, type StoryFilter, type StoryLine, storyOf } from './story.js'
import { Live, Section } from './text.js'
import { kindOf } from './ticks.js'
import { clock, date, day, days, duration, hm, hms, isSameDay, MINUTE } from './time.js'
import { isSmall } from './viewport.js'
import { changeSentence, type Knowledge, plural, quoted, sentence } from './words.js'

const FILTERS: readonly (readonly [StoryFilter, string])[] = [
  ['all', 'All'],
  ['norun', 'No run'],
  ['failed', 'Failed']
]

/** How times are told beside lines. */
interface Telling {
  readonly job: AdminJob
  readonly know: (time: number) => Knowledge
  readonly label: (at: number) => string
  readonly span: (from: number, to: number) => string
}

function telling(job: AdminJob, know: (time: number) => Knowledge): Telling {
  const { period } = job
  const label = (at: number): string =>
    isSparse(period)
      ? `${date(at, zone)} ${hm(at, zone)}`
      : period !== null && period < MINUTE
        ? hms(at, zone)
        : clock(at, zone)
  const short = isSparse(period) ? (at: number) => date(at, zone) : label
  const span = (from: number, to: number): string => {
    if (from === to) return label(from)
    return isSmall.value ? label(from) : `${short(from)}–${short(to)}`
  }
  return { job, know, label, span }
}

export function Story({ job, know }: { readonly job: AdminJob; readonly know: (time: number) => Knowledge }) {
  const known = past.value
  const { story: filter = 'all' } = route.value.params
  const told = telling(job, know)
  const isMine = known !== null && known.job === job.id
  const lines = !isMine
    ? []
    : storyOf({
        entries: known.entries,
        changes: known.changes,
        filter: filter as StoryFilter,
        isOnEvery: job.isOnEvery,
        p95: job.p95,
        period: job.period,
        zone,
        hasMore: known.next !== null,
        kept: known.kept
      })
  return (
    <Section title="What became of every tick" note={<Filter chosen={filter} />}>
      {lines.length > 0 && (
        <ol class="story">
          {lines.map((line) => (
            <Line key={line.key} line={line} told={told} />
          ))}
        </ol>
      )}
      {isMine && lines.length === 0 && <p class="dim">{nothing(known.kept)}</p>}
      {!isMine && history.error.value !== null && <p class="dim">{history.error.value.message}</p>}
      {isMine && known.next !== null && (
        <p class="more-line">
          <button type="button" disabled={older.value === 'loading'} onClick={() => void readOlder()}>
            Show older
          </button>
          {older.value === 'failed' && <span class="bad"> They could not be read. Try again.</span>}
        </p>
      )}
    </Section>
  )
}

function nothing(kept: { readonly runs: number; readonly retention: number } | null): string {
  if (kept === null) return 'No history is kept.'
  return `None in what is kept: ${keptWords(kept).slice(0, -1)}.`
}

function keptWords({ runs, retention }: { readonly runs: number; readonly retention: number }): string {
  return `the last ${plural(runs, 'run')} of a job, for ${days(retention)},`
}

function Filter({ chosen }: { readonly chosen: string }) {
  return (
    <span class="seg" role="group" aria-label="Which ticks">
      {FILTERS.map(([value, text]) => (
        <button
          key={value}
          type="button"
          aria-pressed={chosen === value}
          onClick={() => change({ story: value === 'all' ? '' : value }, true)}
        >
          {text}
        </button>
      ))}
    </span>
  )
}

function Line({ line, told }: { readonly line: StoryLine; readonly told: Telling }) {
  switch (line.kind) {
    case 'day':
      return <DayLine at={line.at} />
    case 'folded':
      return <Folded ticks={line.ticks} told={told} />
    case 'tick':
      return <TickLine tick={line.tick} run={line.run} told={told} />
    case 'change':
      return (
        <PlainLine
          time={
            told.job.period !== null && isSparse(told.job.period)
              ? told.label(line.change.at)
              : clock(line.change.at, zone)
          }
          mark="change"
        >
          <Live of={(time) => changeSentence(line.change, time, zone, true)} />
        </PlainLine>
      )
    default:
      return <Forgotten from={line.from} to={line.to} told={told} />
  }
}

function PlainLine(props: { time: string; mark: Mark; class?: string; children: ComponentChildren }) {
  return (
    <li class={props.class}>
      <time>{props.time}</time>
      <Icon mark={props.mark} />
      <span dir="auto">{props.children}</span>
    </li>
  )
}

function DayLine({ at }: { readonly at: number }) {
  const name = day(at, zone)
  const isToday = isSameDay(at, now.value, zone)
  return (
    <li class="dayrow">
      <h3>{isToday ? `Today, ${name}` : name}</h3>
    </li>
  )
}

function Forgotten({ from, to, told }: { from: number | null; to: number; told: Telling }) {
  const kept = past.value?.kept
  if (kept == null) return null
  const time = from === null ? `before ${told.label(to)}` : told.span(from, to)
  return (
    <PlainLine time={time} mark="none" class="quietrow">
      forgotten: {keptWords(kept)} are kept
    </PlainLine>
  )
}

function TickLine({ tick, run, told }: { tick: AdminTick; run: HistoryRun | null; told: Telling }) {
  const kind = kindOf(tick)
  const time = tick.until === undefined ? told.label(tick.at) : told.span(tick.at, tick.until)
  const text = <Live of={(at) => sentence(tick, told.know(at))} />
  const isQuiet = kind === 'success' && isDull(tick, told.job.p95)
  if (run === null || isQuiet || !hasDetail(run)) {
    return (
      <PlainLine time={time} mark={kind} class={isQuiet ? 'quietrow' : ''}>
        {text}
      </PlainLine>
    )
  }
  return (
    <li>
      <details>
        <summary class="odd">
          <time>{time}</time>
          <Icon mark={kind} />
          <span dir="auto">
            {text} <u class="more">more</u>
          </span>
        </summary>
        <RunDetail run={run} isHeaded={kind !== 'error'} />
      </details>
    </li>
  )
}

function Folded({ ticks, told }: { readonly ticks: readonly AdminTick[]; readonly told: Telling }) {
  const { least, most, places } = foldedFacts(ticks)
  const [newest, oldest] = [ticks[0], ticks.at(-1)]
  if (newest === undefined || oldest === undefined) return null
  const where = told.job.isOnEvery
    ? ', on each replica'
    : places.length === 0
      ? ''
      : `, on ${places.map(quoted).join(', ')}`
  return (
    <li>
      <details>
        <summary>
          <time>{told.span(oldest.at, newest.at)}</time>
          <Icon mark="success" />
          <span dir="auto">
            <u>{ticks.length} ticks ran</u>, {duration(least)} to {duration(most)}
            {where}
          </span>
        </summary>
        <ol>
          {ticks.map((tick) => (
            <PlainLine key={tick.run ?? tick.at} time={told.label(tick.at)} mark="success" class="quietrow">
              {sentence(tick, told.know(now.peek()))}
            </PlainLine>
          ))}
        </ol>
      </details>
    </li>
  )
}
