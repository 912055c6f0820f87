// The last hours to the next: a lane a job.
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks'
import type { AdminTick } from '../../types/admin.js'
import { now, zone } from './clock.js'
import { Filters } from './filters.js'
import { Heading } from './heading.js'
import { isCurrent, type Listing, list, listing, listQueryOf, see } from './job-list.js'
import { useList } from './jobs-page.js'
import { useKeys } from './keys.js'
import { forgetLanes, laneLoader, laneOf, seeLanes } from './lane-data.js'
import { LANE, type Window, xOf } from './lane-shapes.js'
import { Bones, Empty, NoMatch, Trouble } from './page-states.js'
import { change, route } from './route.js'
import { useWidth } from './size.js'
import { counts, epoch, store } from './store.js'
import { Keys } from './text.js'
import { DAY, day, duration, HOUR, hm, hms, MINUTE } from './time.js'
import { BoneLane, TimelineLane } from './timeline-lane.js'
import { hideTip } from './tip.js'
import { isSmall } from './viewport.js'
import { useVisible } from './virtual.js'
import { plural } from './words.js'

const ZOOMS: readonly (readonly [string, number])[] = [
  ['15m', 15 * MINUTE],
  ['1h', HOUR],
  ['3h', 3 * HOUR],
  ['12h', 12 * HOUR],
  ['2d', 2 * DAY]
]
const USUAL = 2

/** How much of what is seen lies before now. */
const PAST = 0.86
/** How far an arrow key moves, as a share of what is seen. */
const STEP = 0.25
/** How much has to be scrolled for the next zoom, in pixels. */
const WHEEL = 80
/** How long moves are gathered before what is missing is read, in milliseconds. */
const GATHERED = 120

const STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]

/** Where the names of lanes end, in pixels. */
const nameWidth = (): number => (isSmall.value ? 124 : 212)

interface Place {
  readonly zoom: number
  readonly span: number
  /** What stands where now would; `null` for now. */
  readonly at: number | null
}

function placeOf(params: Readonly<Record<string, string>>): Place {
  const found = ZOOMS.findIndex(([name]) => name === params.zoom)
  const zoom = found < 0 ? USUAL : found
  const at = Date.parse(params.at ?? '')
  return { zoom, span: ZOOMS[zoom]?.[1] ?? HOUR, at: Number.isNaN(at) ? null : at }
}

/** Goes to a time; `null`, or one that has not come yet, for now. */
function moveTo(at: number | null, zoom?: number): void {
  const isNow = at === null || at >= now.peek()
  const name = zoom === undefined ? undefined : ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, zoom))]?.[0]
  change(
    {
      at: isNow ? '' : new Date(Math.round(at / 1000) * 1000).toISOString().replace('.000', ''),
      ...(name !== undefined && { zoom: name === ZOOMS[USUAL]?.[0] ? '' : name })
    },
    true
  )
}

const here = (): Place => placeOf(route.peek().params)

const move = (by: number): void => {
  const { at, span } = here()
  moveTo((at ?? now.peek()) + by * span * STEP)
}

const zoomBy = (by: number): void => {
  const { at, zoom } = here()
  moveTo(at, zoom + by)
}

export function TimelinePage() {
  useList()
  const { zoom, span, at } = placeOf(route.value.params)
  useKeys({
    '+': () => zoomBy(-1),
    '=': () => zoomBy(-1),
    '-': () => zoomBy(1),
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    n: () => moveTo(null)
  })
  // What moves less than a pixel need not be drawn again.
  const pace = Math.max(1000, Math.round(span / 1_200_000) * 1000)
  const time = Math.floor(now.value / pace) * pace
  const base = at ?? time
  const [from, to] = [base - PAST * span, base + (1 - PAST) * span]
  const known = counts.value
  const current = listing.value
  if (known === null || current === null) {
    return list.error.value === null ? <Bones title="Timeline" /> : <Trouble loader={list} title="Timeline" />
  }
  if (known.all === 0) return <Empty />
  const isMine = isCurrent(current, listQueryOf(route.value))
  const edge = (t: number): string => (span > DAY ? `${day(t, zone)} ${hm(t, zone)}` : hm(t, zone))
  const days = span <= DAY && at !== null ? `${day(from, zone)}, ` : ''
  return (
    <>
      <Heading text={`${days}${edge(from)} to ${edge(to)}`} />
      <Outages from={from} to={to} current={current} />
      <div class="bar moves">
        <div class="seg" role="group" aria-label="Zoom">
          {ZOOMS.map(([name], index) => (
            <button key={name} type="button" aria-pressed={index === zoom} onClick={() => moveTo(at, index)}>
              {name}
            </button>
          ))}
        </div>
        <div class="seg" role="group" aria-label="Move">
          <button type="button" aria-label="Earlier" onClick={() => move(-1)}>
            ←
          </button>
          <button type="button" aria-label="Later" disabled={at === null} onClick={() => move(1)}>
            →
          </button>
          <button type="button" aria-pressed={at === null} onClick={() => moveTo(null)}>
            Now
          </button>
        </div>
        <span class="grow dim hints">
          <Keys of="+ −">zoom</Keys> <Keys of="← →">move</Keys> <Keys of="N">now</Keys>
        </span>
      </div>
      <Filters isCompact />
      {(list.error.value ?? laneLoader.error.value) !== null && (
        <Trouble loader={list.error.value === null ? laneLoader : list} />
      )}
      {isMine && current.total === 0 ? (
        <NoMatch />
      ) : (
        <Lanes known={current} from={from} to={to} time={time} zoom={zoom} />
      )}
    </>
  )
}

/** What was the matter in the time that is seen. */
function Outages({ from, to, current }: { from: number; to: number; current: Listing }) {
  const told = store.value
  const outage = told?.lastOutage ?? null
  const parts: string[] = []
  if (told?.awaySince != null && !told.isUp) parts.push(`Redis is away since ${hms(told.awaySince, zone)}.`)
  if (outage !== null && outage.to >= from && outage.from <= to) {
    const lost = countOf(current, 'redis_error', outage.from - MINUTE, outage.to)
    const cost = lost === null || lost === 0 ? '' : `: ${plural(lost, 'tick')} had no run`
    parts.push(`Redis was away for ${duration(outage.to - outage.from)} at ${hms(outage.from, zone)}${cost}.`)
  }
  const abandoned = countOf(current, 'abandoned', from, to)
  if (abandoned !== null && abandoned > 0)
    parts.push(`${plural(abandoned, 'run')} went down with ${abandoned === 1 ? 'its replica' : 'their replicas'}.`)
  return <p class="sub">{parts.length === 0 ? 'No outage is known in this time.' : parts.join(' ')}</p>
}

/** How many ticks of a kind there are in a time; `null` where not all lanes were read. */
function countOf(current: Listing, kind: AdminTick['kind'], from: number, to: number): number | null {
  if (current.total > 200) return null
  let count = 0
  for (const id of current.ids.values()) {
    const lane = laneOf(id).value
    if (lane === null) return null
    for (const tick of lane.ticks) {
      if (tick.kind === kind && tick.at <= to && (tick.until ?? tick.at) >= from) count += tick.count ?? 1
    }
  }
  return count
}

function Lanes(props: { known: Listing; from: number; to: number; time: number; zoom: number }) {
  const { known, from, to, time, zoom } = props
  const box = useRef<HTMLDivElement>(null)
  const rows = useRef<HTMLDivElement>(null)
  const whole = useWidth(box)
  const width = Math.max(100, whole - nameWidth())
  const view = useMemo<Window>(() => ({ from, to, width }), [from, to, width])
  const { total, ids } = known
  const at = useCallback((y: number) => Math.max(0, Math.min(total - 1, Math.floor(y / LANE))), [total])
  const range = useVisible(rows, total, at)
  const seen = Array.from({ length: Math.max(0, range.to - range.from) }, (_, index) => range.from + index)
  useEffect(() => see(range.from, Math.max(range.from, range.to - 1)), [range, known])
  useEffect(() => {
    seeLanes(
      seen.flatMap((index) => ids.get(index) ?? []),
      from,
      to,
      GATHERED
    )
  })
  const first = useRef(true)
  useEffect(() => {
    if (!first.current) forgetLanes()
    first.current = false
  }, [epoch.value])
  useEffect(laneLoader.hold, [])
  useWheel(box, view, zoom)
  const height = total * LANE
  return (
    <div class="lanes" ref={box} onPointerLeave={hideTip}>
      {whole > 0 && (
        <>
          <Axis view={view} time={time} />
          <Grid view={view} />
          <div
            class="lane-rows"
            ref={rows}
            role="list"
            aria-label={`Timeline of ${plural(total, 'job')}`}
            style={{
              paddingTop: `${range.from * LANE}px`,
              paddingBottom: `${Math.max(0, height - range.to * LANE)}px`
            }}
          >
            {seen.map((index) => {
              const id = ids.get(index)
              return id === undefined ? (
                <BoneLane key={`place ${index}`} index={index} />
              ) : (
                <TimelineLane key={`job ${id}`} id={id} index={index} count={total} view={view} time={time} />
              )
            })}
          </div>
          <Through view={view} time={time} />
        </>
      )}
    </div>
  )
}

/** The times at which lines are drawn, on whole hours of the reader. */
function marksOf({ from, to }: Window): readonly number[] {
  const step = STEPS.find((each) => (to - from) / each <= (isSmall.value ? 4 : 13)) ?? DAY
  const shift = new Date(from).getTimezoneOffset() * MINUTE
  const found: number[] = []
  for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) found.push(time)
  return found
}

function Axis({ view, time }: { readonly view: Window; readonly time: number }) {
  const left = nameWidth()
  const nowAt = xOf(time, view)
  const isNowSeen = nowAt > 0 && nowAt < view.width
  const label = (at: number): string =>
    view.to - view.from > DAY && hm(at, zone) === '00:00' ? day(at, zone) : hm(at, zone)
  return (
    <svg class="time-axis" width={left + view.width} height={44} aria-hidden="true">
      {marksOf(view).map((at) => {
        const x = xOf(at, view)
        const isFree = !isNowSeen || Math.abs(x - nowAt) > 44
        return isFree && x > 16 && x < view.width - 18 ? (
          <text key={at} x={left + x} y={18} text-anchor="middle">
            {label(at)}
          </text>
        ) : null
      })}
      {isNowSeen && (
        <text class="nowt" x={left + nowAt} y={18} text-anchor="middle">
          {hms(now.value, zone)}
        </text>
      )}
      <OutageNames view={view} left={left} />
    </svg>
  )
}

/** The times in which Redis was away, as far as they are known. */
function outagesIn(view: Window, time: number): readonly { readonly from: number; readonly to: number }[] {
  const told = store.value
  const away = told !== null && !told.isUp && told.awaySince !== null ? [{ from: told.awaySince, to: time }] : []
  const last = told?.lastOutage == null ? [] : [told.lastOutage]
  return [...last, ...away].filter(({ from, to }) => to >= view.from && from <= view.to)
}

function OutageNames({ view, left }: { readonly view: Window; readonly left: number }) {
  return (
    <g>
      {outagesIn(view, now.value).map(({ from, to }) => {
        const x = xOf(from, view)
        const text = isSmall.value ? 'Redis away' : `Redis away ${duration(to - from)}`
        const isLeft = x > 120
        return (
          <text
            key={from}
            class="redt"
            x={left + (isLeft ? x - 4 : Math.max(4, xOf(to, view) + 4))}
            y={38}
            text-anchor={isLeft ? 'end' : 'start'}
          >
            {text}
          </text>
        )
      })}
    </g>
  )
}

/** The lines that go behind all lanes. */
function Grid({ view }: { readonly view: Window }) {
  const left = nameWidth()
  return (
    <svg class="time-grid" width={left + view.width} aria-hidden="true">
      {marksOf(view).map((at) => (
        <line key={at} class="grid" x1={left + xOf(at, view)} x2={left + xOf(at, view)} y1={38} y2="100%" />
      ))}
    </svg>
  )
}

/** What goes through all lanes: outages, and now. */
function Through({ view, time }: { readonly view: Window; readonly time: number }) {
  const left = nameWidth()
  const nowAt = xOf(time, view)
  return (
    <svg class="time-grid" width={left + view.width} aria-hidden="true">
      {outagesIn(view, time).map(({ from, to }) => {
        const x = Math.max(0, xOf(from, view))
        const end = Math.min(view.width, xOf(to, view))
        return <rect key={from} class="band" x={left + x} y={30} width={Math.max(3, end - x)} height="100%" />
      })}
      {nowAt > 0 && nowAt < view.width && <line class="now" x1={left + nowAt} x2={left + nowAt} y1={22} y2="100%" />}
    </svg>
  )
}

/** With Ctrl, or over the times, the wheel zooms around the pointer; sideways it moves. */
function useWheel(box: { readonly current: HTMLElement | null }, view: Window, zoom: number): void {
  const state = useRef({ view, zoom, turned: 0 })
  state.current.view = view
  state.current.zoom = zoom
  useEffect(() => {
    const { current } = box
    if (current === null) return
    const turn = (event: WheelEvent): void => {
      const { view, zoom } = state.current
      const { left, top } = current.getBoundingClientRect()
      const isOverAxis = event.clientY - Math.max(top, 0) < 44
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY)
      if (!isSideways && !event.ctrlKey && !isOverAxis) return
      event.preventDefault()
      const span = view.to - view.from
      if (isSideways) {
        moveTo(view.from + PAST * span + (event.deltaX / view.width) * span)
        return
      }
      state.current.turned += event.deltaY
      if (Math.abs(state.current.turned) < WHEEL) return
      const next = Math.max(0, Math.min(ZOOMS.length - 1, zoom + Math.sign(state.current.turned)))
      state.current.turned = 0
      if (next === zoom) return
      // What is under the pointer stays there.
      const share = Math.max(0, Math.min(1, (event.clientX - left - nameWidth()) / view.width))
      const pointed = view.from + share * span
      const wide = ZOOMS[next]?.[1] ?? span
      moveTo(pointed + (PAST - share) * wide, next)
    }
    current.addEventListener('wheel', turn, { passive: false })
    return () => current.removeEventListener('wheel', turn)
  }, [box])
}
