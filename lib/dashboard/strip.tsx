// The last ticks of a job, the newest at the right: every tick has a place, also one that had no run.
import type { AdminJob, AdminTick } from '../../types/admin.js'
import { now, zone } from './clock.js'
import { Drawn } from './drawn.js'
import { barShape, markShape } from './marks.js'
import { store } from './store.js'
import { counted, inPlaces, isRun, kindOf, lengthOf, SHOWN } from './ticks.js'
import { when } from './time.js'
import { hideTip, showTip } from './tip.js'
import { type Knowledge, nameOf, plural, sentence } from './words.js'

const CELL = 6
const BAR = 4
const WIDTH = SHOWN * CELL
const HEIGHT = 30
/** Where the line is that bars stand on, and the middle of marks. */
const BASE = 19
const FOOT = 26
const MARK = 2.4

/** What a tooltip of a row's tick can know. */
export function knowledgeOf(job: AdminJob, time: number): Knowledge {
  return { now: time, zone, ticks: job.ticks, pauses: job.pauses, outage: store.value?.lastOutage ?? null }
}

/** A tick with its time, in a sentence. */
export function tipOf(job: AdminJob, tick: AdminTick): (time: number) => string {
  return (time) => `${when(tick.at, time, zone)} ${sentence(tick, knowledgeOf(job, time))}`
}

/** Of ticks in a word or two each, how many there are. */
export function summary(ticks: readonly AdminTick[]): string {
  const parts = [...counted(ticks)].map(([kind, count]) => `${count} ${nameOf(kind)}`)
  return `Last ${plural(ticks.length, 'tick')}: ${parts.join(', ')}`
}

function shapesOf(ticks: readonly AdminTick[], scale: number, time: number) {
  let success = ''
  const others = ticks.flatMap((tick, index) => {
    const kind = kindOf(tick)
    const x = WIDTH - (ticks.length - index - 0.5) * CELL
    const height = Math.min(1, lengthOf(tick, time) / scale) * (BASE - 1)
    const share = tick.progress?.share ?? 0
    const bar = isRun(tick) ? barShape(kind, { x, base: BASE, width: BAR, height }, share) : {}
    if (kind !== 'success') return { tick, kind, bar, mark: kind === 'running' ? {} : markShape(kind, x, FOOT, MARK) }
    success += bar.fill ?? ''
    return []
  })
  return { success, others }
}

export function Strip({ job }: { readonly job: AdminJob }) {
  const ticks = inPlaces(job.ticks)
  // A run that goes on grows with the time; a row without one does not listen to it.
  const time = ticks.some(({ kind }) => kind === 'running') ? now.value : 0
  const longest = Math.max(1, ...ticks.map((tick) => lengthOf(tick, time)))
  const { success, others } = shapesOf(ticks, job.p95 === null ? longest : job.p95 * 1.3, time)
  const point = (event: PointerEvent): void => {
    const { right } = (event.currentTarget as Element).getBoundingClientRect()
    const tick = ticks[ticks.length - 1 - Math.floor((right - event.clientX) / CELL)]
    if (tick !== undefined) showTip(tipOf(job, tick), event.clientX, event.clientY)
    else hideTip()
  }
  return (
    <div class="strip">
      {ticks.length === 0 ? (
        <span class="dim">no tick yet</span>
      ) : (
        <svg
          width={WIDTH}
          height={HEIGHT}
          role="img"
          aria-label={summary(ticks)}
          onPointerMove={point}
          onPointerLeave={hideTip}
        >
          <path class="axis" d={`M0 ${BASE + 0.5}H${WIDTH}`} />
          <g class="k-success">
            <path class="f" d={success} />
          </g>
          {others.map(({ tick, kind, bar, mark }) => (
            <Drawn
              key={`${tick.at} ${tick.run ?? ''}`}
              mark={kind}
              shapes={[bar, mark]}
              class={kind === 'running' ? 'pulse' : ''}
            />
          ))}
        </svg>
      )}
    </div>
  )
}
