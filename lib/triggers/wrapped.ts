/** What a field's values range over, both ends included. */
export interface ValueRange {
  readonly min: number
  readonly max: number
}

/**
 * How far it is from one value of a field to another. A range whose end is before its start goes on at the field's
 * beginning: `22-2` are five hours.
 */
export function lengthOf(from: number, to: number, { min, max }: ValueRange): number {
  return to >= from ? to - from : to - from + (max - min + 1)
}

/** The values of such a range, in its order. */
export function valuesOf(from: number, to: number, step: number, range: ValueRange): number[] {
  const { min, max } = range
  const values: number[] = []
  for (let distance = 0; distance <= lengthOf(from, to, range); distance += step) {
    values.push(min + ((from - min + distance) % (max - min + 1)))
  }
  return values
}

/**
 * Whether steps from a weekday to the week's end, such as `mon/2`, are other days by whether that is Saturday or Sunday.
 *
 * @param from 0 to 7, where 0 and 7 are Sunday
 */
export function isWeekEndUncertain(from: number, step: number): boolean {
  return from === 7 || (7 - from) % step === 0
}
