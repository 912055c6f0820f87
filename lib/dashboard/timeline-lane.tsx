// A lane of the timeline: one job.
import { useMemo } from 'preact/hooks'
import type { AdminJob } from '../../types/admin.js'
import { zone } from './clock.js'
import { Drawn, Icon } from './drawn.js'
import { type Lane, laneOf } from './lane-data.js'
import { LANE, LANE_BASE, type LaneShapes, shapesOf, type Window, xOf } from './lane-shapes.js'
import { jobHash } from './route.js'
import { stateMark, stateWord } from './states.js'
import { jobSignal } from './store.js'
import { tipOf } from './strip.js'
import { Foreign } from './text.js'
import { mergeTicks } from './ticks.js'
import { clock, DAY, dayNear, hm, until, when } from './time.js'
import { hideTip, showTip } from './tip.js'
import { isSmall } from './viewport.js'
import { nameOf, percent, plural, quoted, untilWhen } from './words.js'

/** How near the pointer has to be to a tick, in pixels. */
const NEAR = 6
/** What the words beside a run take, in pixels. */
const ROOM = 110

export function TimelineLane(props: { id: string; index: number; count: number; view: Window; time: number }) {
  const { id, index, count, view, time } = props
  const job = jobSignal(id)?.value
  const lane = laneOf(id).value
  const ticks = useMemo(() => {
    if (job === undefined || lane === null) return []
    const newer = job.ticks.filter(({ at, until }) => (until ?? at) >= (lane.ticks[0]?.at ?? Number.NEGATIVE_INFINITY))
    return mergeTicks(lane.ticks, newer)
  }, [job, lane])
  if (job === undefined) return <BoneLane index={index} />
  const drawn = shapesOf(ticks, job.period, time, view)
  const point = (event: PointerEvent): void => {
    const x = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left
    const found = nearest(drawn, x)
    if (found !== null) {
      showTip(tipOf(job, found), event.clientX, event.clientY)
      return
    }
    const next = lane?.coming.find((at) => Math.abs(xOf(at, view) - x) < NEAR)
    if (next === undefined || next <= time) hideTip()
    else showTip((at) => `${when(next, at, zone)} next tick, ${until(next, at)}`, event.clientX, event.clientY)
  }
  return (
    <div class="lane" role="listitem" aria-setsize={count} aria-posinset={index + 1}>
      <a class="lane-name" href={jobHash(id)} title={id}>
        <Icon mark={stateMark(job)} />
        <span class="sr">{stateWord(job)}: </span>
        <Foreign text={id} />
      </a>
      <svg
        width={view.width}
        height={LANE}
        role="img"
        aria-label={summaryOf(drawn)}
        onPointerMove={point}
        onPointerLeave={hideTip}
      >
        <path class="grid" d={`M0 ${LANE_BASE + 0.5}H${view.width}`} />
        {lane !== null && <Forgotten lane={lane} view={view} />}
        <g class="k-success">
          <path class="f" d={drawn.success} />
        </g>
        {drawn.others.map(({ key, mark, shapes }) => (
          <Drawn key={key} mark={mark} shapes={shapes} />
        ))}
        <Going drawn={drawn} />
        {view.to > time && <Coming job={job} lane={lane} view={view} time={time} isSolid={drawn.isSolid} />}
      </svg>
    </div>
  )
}

export function BoneLane({ index }: { readonly index: number }) {
  return (
    <div class="lane bones" role="listitem" aria-posinset={index + 1}>
      <div class="bone" />
    </div>
  )
}

/** The tick at a place, or next to it. */
function nearest({ places }: LaneShapes, x: number) {
  const within = places.findLast((place) => place.x <= x && x <= place.x + place.width)
  if (within !== undefined) return within.tick
  const distance = (place: { readonly x: number; readonly width: number }): number =>
    Math.min(Math.abs(place.x - x), Math.abs(place.x + place.width - x))
  let best: LaneShapes['places'][number] | null = null
  for (const place of places) if (best === null || distance(place) < distance(best)) best = place
  return best !== null && distance(best) <= NEAR ? best.tick : null
}

function summaryOf({ places }: LaneShapes): string {
  if (places.length === 0) return 'no tick in this time'
  const counts = new Map<string, number>()
  for (const { tick } of places) counts.set(nameOf(tick.kind), (counts.get(nameOf(tick.kind)) ?? 0) + 1)
  return `${plural(places.length, 'tick')}: ${[...counts].map(([name, count]) => `${count} ${name}`).join(', ')}`
}

/** The time of which something may be forgotten. */
function Forgotten({ lane, view }: { readonly lane: Lane; readonly view: Window }) {
  if (lane.forgottenUntil === null || lane.forgottenUntil <= view.from) return null
  const x = Math.min(view.width, xOf(lane.forgottenUntil, view))
  return <rect class="forgotten" x={0} y={LANE_BASE - 5} width={x} height={5} />
}

function Going({ drawn }: { readonly drawn: LaneShapes }) {
  return (
    <g class="k-running">
      {drawn.going.map(({ key, x, width, share, tick }) => (
        <g key={key}>
          <rect class="f faint" x={x} y={LANE_BASE - 12} width={width} height={12} />
          <rect class="f" x={x} y={LANE_BASE - 12} width={width * share} height={12} />
          {x > ROOM &&
            width > 12 &&
            tick.on !== undefined &&
            !drawn.places.some((place) => place.tick !== tick && place.x < x && place.x + place.width > x - ROOM) && (
              <text class="nowt" x={x - 6} y={LANE_BASE - 2} text-anchor="end">
                {tick.progress == null ? '' : `${percent(tick.progress.share)} `}on {quoted(tick.on)}
              </text>
            )}
        </g>
      ))}
    </g>
  )
}

/** What is to come after now. */
function Coming(props: { job: AdminJob; lane: Lane | null; view: Window; time: number; isSolid: boolean }) {
  const { job, lane, view, time, isSolid } = props
  const x = Math.max(0, xOf(time, view))
  if (job.pauses.length > 0) {
    const end = job.pauses[0]?.until ?? null
    return isSmall.value ? null : (
      <text x={x + 8} y={LANE_BASE - 2}>
        paused{untilWhen(end, time, zone)}
      </text>
    )
  }
  const ahead = (lane?.coming ?? []).filter((at) => at > time && at <= view.to)
  if (isSolid && ahead.length > 0)
    return <path class="future" d={`M${x + 4} ${LANE_BASE + 0.5}H${view.width}`} stroke-dasharray="1 3" />
  if (ahead.length > 0) {
    return (
      <path class="future" d={ahead.map((at) => `M${Math.round(xOf(at, view)) + 0.5} ${LANE_BASE - 8}v8`).join('')} />
    )
  }
  const next = job.nextRun
  if (next === null || next <= view.to || isSmall.value) return null
  return (
    <text x={view.width} y={LANE_BASE - 2} text-anchor="end">
      {next - time > DAY / 2 ? `${dayNear(next, time, zone)} ${hm(next, zone)}` : clock(next, zone)} →
    </text>
  )
}
