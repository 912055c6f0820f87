// How long the last ticks took, with the marks of the table: the arrow keys walk from tick to tick.
import { useRef, useState } from 'preact/hooks'
import type { AdminJob, AdminTick } from '../../types/admin.js'
import { now, zone } from './clock.js'
import { Drawn } from './drawn.js'
import { barShape, markShape } from './marks.js'
import { useWidth } from './size.js'
import { inPlaces, isRun, kindOf, lengthOf } from './ticks.js'
import { clock, date, day, duration, HOUR, when } from './time.js'
import { hideTip, showTip } from './tip.js'
import { isSmall } from './viewport.js'
import { type Knowledge, sentence } from './words.js'

const HEIGHT = 140
/** Where the line is that bars stand on, and how far above it they begin. */
const BASE = 100
const HEADROOM = 12
/** How far lines with a name keep from each other. */
const APART = 14
const LABELLED = [0, 1 / 3, 2 / 3, 1]

interface Layout {
  readonly ticks: readonly AdminTick[]
  readonly left: number
  readonly cell: number
  readonly most: number
}

const y = (ms: number, most: number): number => BASE - (ms / most) * (BASE - HEADROOM)

export function Plot(props: { job: AdminJob; timeout: number | null; know: (time: number) => Knowledge }) {
  const { job, timeout, know } = props
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const [walked, setWalked] = useState(-1)
  const ticks = inPlaces(job.ticks)
  const time = now.value
  const left = isSmall.value ? 36 : 104
  const most = Math.max(1, (job.p95 ?? 0) * 1.35, ...ticks.map((tick) => lengthOf(tick, time)))
  const layout = { ticks, left, cell: Math.max(0, width - left) / Math.max(ticks.length, 30), most }
  const tell = (tick: AdminTick) => (at: number) => `${when(tick.at, at, zone)} ${sentence(tick, know(at))}`
  const at = walked < 0 ? ticks.length - 1 : Math.min(walked, ticks.length - 1)
  const walk = (index: number): void => {
    const tick = ticks[index]
    const { current } = box
    if (tick === undefined || current === null) return
    setWalked(index)
    const { left: from, top } = current.getBoundingClientRect()
    showTip(tell(tick), from + left + (index + 0.5) * layout.cell, top + BASE)
  }
  const press = (event: KeyboardEvent): void => {
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      Home: 0,
      End: ticks.length - 1
    }
    const to = steps[event.key]
    if (to === undefined) return
    event.preventDefault()
    walk(Math.max(0, Math.min(ticks.length - 1, to)))
  }
  const point = (event: PointerEvent): void => {
    const x = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left - left
    const tick = ticks[Math.floor(x / layout.cell)]
    if (tick === undefined || x < 0) hideTip()
    else showTip(tell(tick), event.clientX, event.clientY)
  }
  const leave = (): void => {
    setWalked(-1)
    hideTip()
  }
  const current = ticks[at]
  if (current === undefined) return <p class="dim">It has had no tick yet.</p>
  return (
    <div
      class="plot"
      ref={box}
      role="slider"
      tabIndex={0}
      aria-label="Ticks, the newest at the right"
      aria-valuemin={1}
      aria-valuemax={ticks.length}
      aria-valuenow={at + 1}
      aria-valuetext={tell(current)(time)}
      onKeyDown={press}
      onBlur={leave}
    >
      {width > 0 && (
        <svg width={width} height={HEIGHT} aria-hidden="true" onPointerMove={point} onPointerLeave={hideTip}>
          <Lines job={job} timeout={timeout} width={width} layout={layout} />
          {walked >= 0 && (
            <rect class="walked" x={left + at * layout.cell} y={0} width={layout.cell} height={BASE + 20} />
          )}
          <Bars layout={layout} time={time} />
          <Times layout={layout} period={job.period} time={time} />
        </svg>
      )}
    </div>
  )
}

function Lines(props: { job: AdminJob; timeout: number | null; width: number; layout: Layout }) {
  const { job, timeout, width, layout } = props
  const { left, most } = layout
  const named = [
    [job.p50, 'p50', undefined],
    [job.p95, 'p95', '3 3'],
    [timeout, 'limit', '3 3']
  ] as const
  const [p50, p95] = [job.p50 ?? 0, job.p95 ?? 0]
  return (
    <g>
      {named.map(([ms, name, dash]) => {
        if (ms === null || ms > most * 1.001) return null
        const isHidden = name === 'p50' && y(p50, most) - y(p95, most) < APART
        return (
          <g key={name}>
            <line class="grid" x1={left} x2={width} y1={y(ms, most)} y2={y(ms, most)} stroke-dasharray={dash} />
            {!isHidden && (
              <text x={left - 8} y={y(ms, most) + 4} text-anchor="end">
                {isSmall.value ? name : `${name} ${duration(ms)}`}
              </text>
            )}
          </g>
        )
      })}
      <line class="axis" x1={left} x2={width} y1={BASE + 0.5} y2={BASE + 0.5} />
    </g>
  )
}

function Bars({ layout: { ticks, left, cell, most }, time }: { readonly layout: Layout; readonly time: number }) {
  const width = Math.max(3, Math.min(8, cell - 4))
  const r = cell < 10 ? 2.4 : 4
  return (
    <g>
      {ticks.map((tick, index) => {
        const kind = kindOf(tick)
        const x = left + (index + 0.5) * cell
        const height = (lengthOf(tick, time) / most) * (BASE - HEADROOM)
        const bar = isRun(tick) ? barShape(kind, { x, base: BASE, width, height }, tick.progress?.share ?? 0) : {}
        const isMarked = kind !== 'success' && kind !== 'running'
        return (
          <Drawn
            key={`${tick.at} ${tick.run ?? ''}`}
            mark={kind}
            shapes={isMarked ? [bar, markShape(kind, x, BASE + 11, r)] : [bar]}
            class={kind === 'running' ? 'pulse' : ''}
          />
        )
      })}
    </g>
  )
}

function Times({ layout, period, time }: { layout: Layout; period: number | null; time: number }) {
  const { ticks, left, cell } = layout
  const last = ticks.length - 1
  const label = (tick: AdminTick): string =>
    period === null || period >= 4 * HOUR
      ? isSmall.value
        ? date(tick.at, zone)
        : day(tick.at, zone)
      : when(tick.at, time, zone, clock)
  const shown = isSmall.value ? [0, 1] : LABELLED
  const places = [...new Set(shown.map((share) => Math.round(share * last)))]
  return (
    <g>
      {places.map((index) => (
        <text
          key={index}
          x={left + (index + (index === 0 ? 0 : index === last ? 1 : 0.5)) * cell}
          y={136}
          text-anchor={index === 0 ? 'start' : index === last ? 'end' : 'middle'}
        >
          {label(ticks[index] as AdminTick)}
        </text>
      ))}
    </g>
  )
}
