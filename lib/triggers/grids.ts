import { MAX_TIME } from './dates.js'
import { IntervalTrigger } from './interval.js'

/**
 * The common ticks of two intervals, which are an interval again, by the Chinese remainder theorem; `null` when they
 * have none, `undefined` when their period is longer than all the time there is.
 */
export function commonGrid(a: IntervalTrigger, b: IntervalTrigger): IntervalTrigger | null | undefined {
  const [p, q] = [BigInt(a.period), BigInt(b.period)]
  const distance = BigInt(b.anchor) - BigInt(a.anchor)
  const [divisor, inverse] = euclid(p, q)
  if (distance % divisor !== 0n) return null
  const period = (p / divisor) * q
  if (period > BigInt(MAX_TIME)) return undefined
  const steps = modulo((distance / divisor) * inverse, q / divisor)
  const anchor = BigInt(a.anchor) + p * steps
  const bounds = { start: Math.max(a.first, b.first), end: Math.min(a.last, b.last) }
  if (Number.isFinite(bounds.start)) {
    const start = BigInt(bounds.start)
    bounds.start = Number(start + modulo(anchor - start, period))
    if (bounds.start > bounds.end) return null
  }
  return new IntervalTrigger(Number(period), Number(modulo(anchor, period)), bounds)
}

/** The greatest common divisor of two numbers, and an `x` such that `a * x` is it, modulo `b`. */
function euclid(a: bigint, b: bigint): [divisor: bigint, x: bigint] {
  let [divisor, rest] = [a, b]
  let [x, next] = [1n, 0n]
  while (rest !== 0n) {
    const quotient = divisor / rest
    ;[divisor, rest] = [rest, divisor - quotient * rest]
    ;[x, next] = [next, x - quotient * next]
  }
  return [divisor, x]
}

function modulo(value: bigint, by: bigint): bigint {
  const rest = value % by
  return rest < 0n ? rest + by : rest
}
