/** The values a field may have, both ends included. */
export interface ValueRange {
  readonly min: number
  readonly max: number
}

/**
 * The distance from one value of a field to another. A range whose end is before its start continues at the field's
 * beginning: `22-2` is five hours.
 */
export function lengthOf(from: number, to: number, { min, max }: ValueRange): number {
  return to >= from ? to - from : to - from + (max - min + 1)
}

/** The values of a range that may wrap, in its order. */
export function valuesOf(from: number, to: number, step: number, range: ValueRange): number[] {
  const { min, max } = range
  const values: number[] = []
  for (let distance = 0; distance <= lengthOf(from, to, range); distance += step) {
    values.push(min + ((from - min + distance) % (max - min + 1)))
  }
  return values
}

/**
 * Whether steps from a weekday to the week's end, such as `mon/2`, depend on whether the week ends on Saturday or
 * Sunday.
 *
 * @param from 0 to 7, where 0 and 7 are Sunday
 */
export function isWeekEndUncertain(from: number, step: number): boolean {
  return from === 7 || (7 - from) % step === 0
}
