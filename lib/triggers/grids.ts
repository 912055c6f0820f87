import { MAX_TIME } from './dates.js'

/** The times `anchor + n * period`, whole milliseconds. */
export interface Grid {
  readonly period: number
  readonly anchor: number
}

/** The grid of all whole milliseconds. */
export const EVERY_MILLISECOND: Grid = Object.freeze({ period: 1, anchor: 0 })

/** The first time of a grid that is later than another time. */
export function nextOn({ period, anchor }: Grid, after: number): number {
  const past = (after - anchor) % period
  return after - past + (past < 0 ? 0 : period)
}

/**
 * The grid of the common times of two grids, by the Chinese remainder theorem; `null` when they have none within the
 * range of a `Date`.
 */
export function meet(a: Grid, b: Grid): Grid | null {
  if (a.period === 1) return b
  if (b.period === 1) return a
  const [p, q] = [BigInt(a.period), BigInt(b.period)]
  const distance = BigInt(b.anchor) - BigInt(a.anchor)
  const [divisor, inverse] = euclid(p, q)
  if (distance % divisor !== 0n) return null
  const period = (p / divisor) * q
  const steps = modulo((distance / divisor) * inverse, q / divisor)
  const anchor = modulo(BigInt(a.anchor) + p * steps, period)
  if (period <= BigInt(MAX_TIME)) return { period: Number(period), anchor: Number(anchor) }
  // The period exceeds the range of a `Date`, so only the common time nearest to the epoch matters.
  const nearest = anchor > period / 2n ? anchor - period : anchor
  return nearest > MAX_TIME || nearest < -MAX_TIME ? null : { period: 4 * MAX_TIME, anchor: Number(nearest) }
}

/** The coarsest grid that contains all times of two others, and usually further times. */
export function join(a: Grid, b: Grid): Grid {
  return { period: gcd(gcd(a.period, b.period), Math.abs(a.anchor - b.anchor)), anchor: a.anchor }
}

/** The greatest common divisor of two whole numbers. */
export function gcd(a: number, b: number): number {
  let [divisor, rest] = [a, b]
  while (rest !== 0) [divisor, rest] = [rest, divisor % rest]
  return divisor
}

/** The greatest common divisor of two numbers, and an `x` such that `a * x` equals it, modulo `b`. */
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
