// The fleet's time, told by the server and counted on by a clock that nobody sets: that of this machine may be wrong.
import { signal } from '@preact/signals'
import { readersZone, SECOND } from './time.js'

/** How many answers decide. The quickest of them says the time best: each is late by its way here. */
const KEPT = 8

const offsets: number[] = []

/** The fleet's time, in whole seconds; 0 before the first answer. */
export const now = signal(0)

/** The zone of who reads. */
export const zone = readersZone()

/** Takes note of the fleet's time, as an answer that has just come says it. */
export function noteTime(at: number): void {
  if (!Number.isFinite(at)) return
  const isFirst = offsets.length === 0
  offsets.push(at - performance.now())
  if (offsets.length > KEPT) offsets.shift()
  if (!isFirst) return
  count()
}

/** The fleet's time; `NaN` before the first answer. */
export function fleetTime(): number {
  return offsets.length === 0 ? Number.NaN : performance.now() + Math.max(...offsets)
}

function count(): void {
  const time = fleetTime()
  const second = Math.floor(time / SECOND) * SECOND
  if (now.peek() !== second) now.value = second
  setTimeout(count, second + SECOND - time + 5)
}
