// One alphabet of marks for table, plot, story and timeline, as SVG paths. Shape says it before colour does.
import type { Kind } from './ticks.js'

/** What a mark can stand for, beside a tick: how a job stands, a change by people, or nothing. */
export type Mark = Kind | 'overdue' | 'change' | 'gone' | 'none'

/** Paths to fill and to draw. */
export interface Shape {
  readonly fill?: string
  readonly line?: string
  readonly width?: number
}

/** Those that have a colour of their own; any other, as of a newer server, is grey. */
const COLOURED: ReadonlySet<string> = new Set<Mark>([
  'success',
  'error',
  'timeout',
  'cancelled',
  'lock_lost',
  'abandoned',
  'running',
  'waiting',
  'overlap',
  'misfire',
  'coalesced',
  'paused',
  'redis_error',
  'shutdown',
  'condition',
  'operator',
  'overdue',
  'change',
  'gone',
  'none'
])

/** The class that colours a mark. */
export function colourOf(mark: Mark): string {
  return COLOURED.has(mark) ? `k-${mark}` : 'k-unknown'
}

const round = (value: number): number => Math.round(value * 100) / 100
const path = (parts: TemplateStringsArray, ...values: number[]): string =>
  String.raw({ raw: parts }, ...values.map(round))

function circle(x: number, y: number, r: number): string {
  return path`M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`
}

/** A mark around a point, `r` to each side. */
export function markShape(mark: Mark, x: number, y: number, r: number): Shape {
  const width = round(Math.max(1.2, r * 0.42))
  const [left, right, top, bottom] = [x - r, x + r, y - r, y + r]
  switch (mark) {
    case 'error':
      return { fill: path`M${left} ${top}H${right}L${x} ${bottom}Z` }
    case 'abandoned': {
      const line = path`M${left + 0.5} ${top + 0.5}H${right - 0.5}L${x} ${bottom - 0.5}Z`
      return { line, width: round(Math.max(1, r * 0.3)) }
    }
    case 'timeout':
      return { fill: path`M${left} ${top}H${right}L${left} ${bottom}H${right}Z` }
    case 'cancelled':
      return { fill: path`M${left} ${top}H${right}V${bottom}H${left}Z` }
    case 'lock_lost':
      return { fill: path`M${x} ${top - 0.4}L${right + 0.4} ${y}L${x} ${bottom + 0.4}L${left - 0.4} ${y}Z` }
    case 'overlap':
      return { line: path`M${left} ${y - r * 0.55}H${right}M${left} ${y + r * 0.55}H${right}`, width }
    case 'misfire':
      return { line: path`M${x - r * 0.6} ${top}L${x + r * 0.6} ${y}L${x - r * 0.6} ${bottom}`, width }
    case 'shutdown':
      return { line: path`M${x + r * 0.6} ${top}L${x - r * 0.6} ${y}L${x + r * 0.6} ${bottom}`, width }
    case 'coalesced':
      return { fill: circle(x, y, r * 0.5) }
    case 'paused':
      return r < 3
        ? { fill: path`M${x - 1} ${top}h1v5h-1ZM${x + 1} ${top}h1v5h-1Z` }
        : { line: path`M${x - r * 0.55} ${top}V${bottom}M${x + r * 0.55} ${top}V${bottom}`, width }
    case 'redis_error':
      return { line: path`M${left} ${top}L${right} ${bottom}M${right} ${top}L${left} ${bottom}`, width }
    case 'condition':
      return { line: circle(x, y, r - 0.5), width: round(Math.max(1, r * 0.3)) }
    case 'operator':
      return { line: path`M${left} ${bottom}L${right} ${top}`, width }
    case 'overdue':
      return { line: `${circle(x, y, r - 0.5)}${path`M${x} ${y - r * 0.5}V${y}H${x + r * 0.5}`}`, width: 1.5 }
    case 'running':
      return { fill: path`M${left + r * 0.2} ${top}L${right} ${y}L${left + r * 0.2} ${bottom}Z` }
    case 'waiting':
      return {
        fill: `${circle(x - r * 0.65, y, r * 0.28)}${circle(x, y, r * 0.28)}${circle(x + r * 0.65, y, r * 0.28)}`
      }
    case 'change':
      return { line: path`M${x} ${top}V${bottom}M${left} ${y}H${right}`, width: round(r * 0.3) }
    case 'gone':
      return { line: path`M${left + 0.5} ${y}H${x - r * 0.3}M${x + r * 0.3} ${y}H${right - 0.5}`, width }
    case 'none':
      return {}
    case 'success': {
      const line = path`M${left} ${y}L${x - r * 0.25} ${bottom - r * 0.3}L${right} ${top + r * 0.2}`
      return { line, width: round(Math.max(1.2, r * 0.28)) }
    }
    default:
      return { line: path`M${left + 0.5} ${top + 0.5}H${right - 0.5}V${bottom - 0.5}H${left + 0.5}Z`, width }
  }
}

const box = (x: number, y: number, width: number, height: number): string =>
  path`M${x} ${y}h${width}v${height}h${-width}Z`

/** A bar that stands on a line: how long a run took, drawn by how it ended. */
export function barShape(
  kind: Kind,
  at: { readonly x: number; readonly base: number; readonly width: number; readonly height: number },
  share = 0.5
): Shape {
  const { base, width } = at
  const height = Math.max(2, at.height)
  const [left, top] = [at.x - width / 2, base - height]
  switch (kind) {
    case 'cancelled':
      return { line: box(left + 0.5, top + 0.5, width - 1, height - 0.5), width: 1 }
    case 'running': {
      const filled = height * share
      return {
        fill: box(left, base - filled, width, filled),
        line: box(left + 0.5, top + 0.5, width - 1, height - 0.5)
      }
    }
    case 'abandoned': {
      let fill = ''
      for (let y = base; y > top; y -= 4) fill += box(left, Math.max(y - 2, top), width, 2)
      return { fill }
    }
    case 'lock_lost':
      return { fill: box(left, top, width, height * 0.4) + box(left, base - height * 0.42, width, height * 0.42) }
    case 'timeout':
      return { fill: box(left, top, width, height) + box(left - 1, top, width + 2, 2) }
    default:
      return { fill: box(left, top, width, height) }
  }
}

/** A bar that lies on a line, as long as its run, drawn by how it ended. */
export function laneShape(
  kind: Kind,
  at: { readonly x: number; readonly base: number; readonly width: number; readonly height: number }
): Shape {
  const { x, base, width, height } = at
  const top = base - height
  switch (kind) {
    case 'abandoned': {
      let fill = ''
      for (let dx = 0; dx < width; dx += 4) fill += box(x + dx, top, Math.min(2, width - dx), height)
      return { fill }
    }
    case 'cancelled':
      return { line: box(x + 0.5, top + 0.5, Math.max(1, width - 1), height - 0.5), width: 1 }
    case 'lock_lost':
      return width < 6
        ? { fill: box(x, top, width, height * 0.4) + box(x, base - height * 0.4, width, height * 0.4) }
        : { fill: box(x, top, width * 0.45, height) + box(x + width * 0.55, top, width * 0.45, height) }
    default:
      return { fill: box(x, top, width, height) }
  }
}
