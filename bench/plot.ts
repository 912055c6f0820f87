import type { Axis, Plot } from './question.js'

const WIDTH = 720
const HEIGHT = 420
const AREA = { left: 78, right: 500, top: 44, bottom: 360 } as const

/** Told apart by people who see colours differently, too: each series has a marker of its own. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#444444', '#8c564b'] as const
const MARKERS = [
  (x: number, y: number) => `<circle cx="${x}" cy="${y}" r="4"/>`,
  (x: number, y: number) => `<rect x="${x - 4}" y="${y - 4}" width="8" height="8"/>`,
  (x: number, y: number) => polygon(x, y, [0, -5, 5, 4, -5, 4]),
  (x: number, y: number) => polygon(x, y, [0, -5.5, 5.5, 0, 0, 5.5, -5.5, 0]),
  (x: number, y: number) => polygon(x, y, [0, 5, 5, -4, -5, -4])
] as const

/** A plot as an SVG file that needs nothing else. */
export function svg({ title, x, y, series: all }: Plot): string {
  // What was not measured has no place.
  const series = all
    .map(({ name, points }) => ({ name, points: points.filter((point) => point.every(Number.isFinite)) }))
    .filter(({ points }) => points.length > 0)
  const across = scale(
    x,
    series.flatMap(({ points }) => points.map(([value]) => value)),
    AREA.left,
    AREA.right
  )
  const up = scale(
    y,
    series.flatMap(({ points }) => points.map(([, value]) => value)),
    AREA.bottom,
    AREA.top
  )
  const middle = (AREA.top + AREA.bottom) / 2
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}"`,
    `  font-family="system-ui, 'Helvetica Neue', Arial, sans-serif" font-size="12" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${AREA.left}" y="24" font-size="15" font-weight="600">${escaped(title)}</text>`,
    ...across.ticks.map((tick) => {
      const at = across.at(tick)
      return (
        `<path d="M${at} ${AREA.top}V${AREA.bottom + 5}" stroke="#ddd"/>` +
        `<text x="${at}" y="${AREA.bottom + 20}" text-anchor="middle">${tickText(tick)}</text>`
      )
    }),
    ...up.ticks.map((tick) => {
      const at = up.at(tick)
      return (
        `<path d="M${AREA.left - 5} ${at}H${AREA.right}" stroke="#ddd"/>` +
        `<text x="${AREA.left - 9}" y="${at + 4}" text-anchor="end">${tickText(tick)}</text>`
      )
    }),
    `<path d="M${AREA.left} ${AREA.top}V${AREA.bottom}H${AREA.right}" fill="none" stroke="#222"/>`,
    `<text x="${(AREA.left + AREA.right) / 2}" y="${HEIGHT - 18}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text transform="translate(20 ${middle}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`,
    ...series.map(({ name, points }, index) => {
      const colour = COLOURS[index % COLOURS.length]
      const marker = MARKERS[index % MARKERS.length] ?? MARKERS[0]
      const places = points.map(([a, b]) => [across.at(a), up.at(b)] as const)
      const legend = AREA.top + 10 + index * 22
      return [
        `<g fill="${colour}">`,
        `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...places.map(([a, b]) => marker(a, b)),
        marker(AREA.right + 24, legend),
        `<text x="${AREA.right + 36}" y="${legend + 4}" fill="#222">${escaped(name)}</text>`,
        '</g>'
      ].join('\n')
    }),
    '</svg>'
  ]
  return `${parts.join('\n')}\n`
}

interface Scale {
  readonly ticks: readonly number[]
  /** Where a value stands, in pixels. */
  at(value: number): number
}

function scale({ log }: Axis, values: readonly number[], from: number, to: number): Scale {
  const known = log ? values.filter((value) => value > 0) : values
  const ticks = log ? logTicks(Math.min(...known), Math.max(...known)) : linearTicks(Math.max(...known))
  const place = log ? Math.log10 : (value: number) => value
  const [first, last] = [place(ticks[0] ?? 0), place(ticks.at(-1) ?? 1)]
  return {
    ticks,
    at: (value) => round(from + ((place(value) - first) / (last - first || 1)) * (to - from))
  }
}

/** Powers of ten that hold all values; with 2 and 5 between them where they are few. */
function logTicks(lowest: number, highest: number): readonly number[] {
  const [first, last] = [Math.floor(Math.log10(lowest)), Math.ceil(Math.log10(highest))]
  const steps = last - first > 2 ? [1] : [1, 2, 5]
  const ticks: number[] = []
  for (let power = first; power <= last; power++) for (const step of steps) ticks.push(Number(`${step}e${power}`))
  const begin = ticks.findLastIndex((tick) => tick <= lowest)
  const end = ticks.findIndex((tick) => tick >= highest)
  return ticks.slice(Math.max(0, begin), end + 1)
}

function linearTicks(highest: number): readonly number[] {
  if (!(highest > 0)) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(highest))
  const step = [0.2, 0.5, 1, 2].map((part) => part * power).find((step) => highest / step <= 6) ?? power
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, index) => Number((index * step).toPrecision(6)))
}

function tickText(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 6 })
}

function polygon(x: number, y: number, points: readonly number[]): string {
  return `<polygon points="${points.map((offset, index) => round(offset + (index % 2 === 0 ? x : y))).join(' ')}"/>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
