// A lane of the timeline as shapes: bars as long as runs, marks for what was not a success, and what comes.
import type { AdminTick } from '../../types/admin.js'
import { laneShape, type Mark, markShape, type Shape } from './marks.js'
import { isRun, kindOf, lengthOf } from './ticks.js'

/** The time that is seen, and how wide it is drawn. */
export interface Window {
  readonly from: number
  readonly to: number
  readonly width: number
}

export interface LaneShapes {
  /** All that ran as planned, as one path. */
  readonly success: string
  readonly others: readonly { readonly key: string; readonly mark: Mark; readonly shapes: readonly Shape[] }[]
  /** What goes on, and how far it has come. */
  readonly going: readonly {
    readonly key: string
    readonly x: number
    readonly width: number
    readonly share: number
    readonly tick: AdminTick
  }[]
  /** Ticks with where they are drawn, for who points at them. */
  readonly places: readonly { readonly x: number; readonly width: number; readonly tick: AdminTick }[]
  /** Whether ticks come too close for a bar each. */
  readonly isSolid: boolean
}

export const LANE = 30
/** Where the line is that bars lie on, and the middle of marks. */
export const LANE_BASE = 18
const FOOT = 25
const BAR = 12
const SOLID_BAR = 6
const MARK = 3
/** Below how many pixels from tick to tick a lane is solid. */
const CLOSE = 5
/** How far marks of a solid lane keep from each other. */
const APART = 7

const box = (x: number, y: number, width: number, height: number): string =>
  `M${Math.round(x * 10) / 10} ${y}h${Math.round(width * 10) / 10}v${height}h${-Math.round(width * 10) / 10}Z`

/** Where a time is drawn. */
export function xOf(time: number, { from, to, width }: Window): number {
  return ((time - from) / (to - from)) * width
}

/** The ticks of a range that are seen, one by one, as far as there is room for them. */
function each(tick: AdminTick, view: Window): readonly AdminTick[] {
  const { count = 1, until, ...one } = tick
  if (!(count > 1) || until === undefined) return [tick]
  const step = (until - tick.at) / (count - 1)
  const least = ((view.to - view.from) / view.width) * 4
  const stride = step > 0 ? Math.max(1, Math.ceil(least / step)) : 1
  const found: AdminTick[] = []
  const first = Math.max(0, Math.floor((view.from - tick.at) / step / stride) * stride)
  for (let n = first; n < count && tick.at + n * step <= view.to; n += stride)
    found.push({ ...one, at: tick.at + n * step })
  return found
}

/**
 * Draws a lane.
 *
 * @param ticks the oldest first
 * @param period from tick to tick, in milliseconds; `null` where that is not known
 */
export function shapesOf(ticks: readonly AdminTick[], period: number | null, now: number, view: Window): LaneShapes {
  const gap = period === null ? Number.POSITIVE_INFINITY : xOf(view.from + period, view)
  const isSolid = gap < CLOSE
  const seen = ticks.filter((tick) => {
    const end = Math.max(tick.until ?? tick.at, (tick.started ?? tick.at) + lengthOf(tick, now))
    return tick.kind !== 'claimed_elsewhere' && end >= view.from && tick.at <= view.to
  })
  return isSolid ? solid(seen, gap, now, view) : single(seen, now, view)
}

function single(seen: readonly AdminTick[], now: number, view: Window): LaneShapes {
  let success = ''
  const others: LaneShapes['others'][number][] = []
  const going: LaneShapes['going'][number][] = []
  const places: LaneShapes['places'][number][] = []
  for (const tick of seen.flatMap((one) => each(one, view))) {
    const kind = kindOf(tick)
    const start = isRun(tick) ? (tick.started ?? tick.at) : tick.at
    const x = Math.max(0, xOf(start, view))
    const end = Math.min(view.width, xOf(start + lengthOf(tick, now), view))
    const width = isRun(tick) ? Math.max(2, end - x) : 0
    const key = `${tick.at} ${tick.run ?? kind}`
    places.push({ x, width: Math.max(width, 2), tick })
    if (kind === 'success') success += box(x, LANE_BASE - BAR, width, BAR)
    else if (kind === 'running') going.push({ key, x, width, share: tick.progress?.share ?? 0, tick })
    else {
      const bar = isRun(tick) ? laneShape(kind, { x, base: LANE_BASE, width, height: BAR }) : {}
      const at = Math.max(x + (isRun(tick) ? Math.min(width / 2, 4) : 0), MARK + 1)
      others.push({ key, mark: kind, shapes: [bar, markShape(kind, at, FOOT, MARK)] })
    }
  }
  return { success, others, going, places, isSolid: false }
}

function solid(seen: readonly AdminTick[], gap: number, now: number, view: Window): LaneShapes {
  let success = ''
  const others: LaneShapes['others'][number][] = []
  const going: LaneShapes['going'][number][] = []
  const places: LaneShapes['places'][number][] = []
  let from: number | null = null
  let to = 0
  let marked = Number.NEGATIVE_INFINITY
  const close = (): void => {
    if (from !== null)
      success += box(
        Math.max(0, from),
        LANE_BASE - SOLID_BAR,
        Math.max(1, Math.min(view.width, to) - Math.max(0, from)),
        SOLID_BAR
      )
    from = null
  }
  for (const tick of seen.flatMap((one) => each(one, view))) {
    const kind = kindOf(tick)
    const x = xOf(tick.at, view)
    places.push({ x, width: gap, tick })
    if (kind === 'success' || kind === 'running') {
      if (from !== null && x - to > gap) close()
      from ??= x
      to = Math.max(x + gap, xOf((tick.started ?? tick.at) + lengthOf(tick, now), view))
      continue
    }
    close()
    if (x - marked < APART || x < 0) continue
    marked = x
    others.push({ key: `${tick.at} ${tick.run ?? kind}`, mark: kind, shapes: [markShape(kind, x, FOOT, MARK)] })
  }
  close()
  return { success, others, going, places, isSolid: true }
}
