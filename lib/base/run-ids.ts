import { randomBytes } from 'node:crypto'

/** How many ids differ only in their last part. */
export const SERIES = 64

const LAST_PARTS = Array.from({ length: SERIES }, (_, index) => `-${index}`)

/**
 * Reads from an id what the ids of its process begin with, and its place in their order.
 *
 * @returns `null` for an id that was not made here
 */
export function readRunId(id: string): { readonly base: string; readonly order: number } | null {
  const [, base, series, index] = /^(\S+-)(\d+)-(\d+)$/.exec(id) ?? []
  return base === undefined ? null : { base, order: Number(series) * SERIES + Number(index) }
}

/**
 * A source of ids that are unique across replicas and processes: one random number for all, and a count. A count written
 * out for each id would cost more than the rest of a run's beginning.
 */
export function createRunIds(): () => string {
  const base = randomBytes(8).toString('hex')
  let series = ''
  let count = 0
  return () => {
    const index = count % SERIES
    if (index === 0) series = `${base}-${count / SERIES}`
    count++
    return series + LAST_PARTS[index]
  }
}
