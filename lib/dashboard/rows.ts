// Where the rows of the table are: headings and jobs, each of one height, so that a place is found without drawing all before it.
import type { AdminRank } from '../../types/admin.js'
import { RANKS } from './states.js'

/** Jobs that follow one another under a heading; `rank` is `null` for none. */
export interface Block {
  readonly rank: AdminRank | null
  readonly heading: string
  /** The place of its first job among all jobs. */
  readonly start: number
  readonly count: number
  /** The place of its heading, or of its first job, among all rows. */
  readonly row: number
}

/** A row: a heading, or a job by its place in the list. */
export type Row = { readonly block: Block; readonly job: null } | { readonly block: Block; readonly job: number }

export interface Heights {
  readonly heading: number
  readonly row: number
}

/** The rows of a list. */
export class Rows {
  readonly blocks: readonly Block[]
  readonly count: number
  readonly #heights: Heights

  /** `matching` is how many jobs there are of each rank; `null` for a list in another order, which has no headings. */
  constructor(total: number, matching: Readonly<Record<AdminRank, number>> | null, heights: Heights) {
    const blocks: Block[] = []
    let start = 0
    let row = 0
    for (const [rank, heading] of matching === null ? [] : RANKS) {
      const count = Math.max(0, Math.min(matching?.[rank] ?? 0, total - start))
      if (count === 0) continue
      blocks.push({ rank, heading, start, count, row })
      start += count
      row += count + 1
    }
    // Of a rank that is not known here, as of a newer server.
    if (start < total) {
      blocks.push({ rank: null, heading: '', start, count: total - start, row })
      row += total - start
    }
    this.blocks = blocks
    this.count = row
    this.#heights = heights
  }

  /** How high all rows are together. */
  get height(): number {
    return this.offsetOf(this.count)
  }

  /** How far below the first row a row begins. */
  offsetOf(row: number): number {
    const headings = this.blocks.filter((block) => block.rank !== null && block.row < row).length
    return headings * this.#heights.heading + (row - headings) * this.#heights.row
  }

  /** The row at a height. */
  at(y: number): number {
    let [low, high] = [0, Math.max(0, this.count - 1)]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.offsetOf(middle) <= y) low = middle
      else high = middle - 1
    }
    return low
  }

  /** What a row is. */
  get(row: number): Row | null {
    const block = this.blocks.findLast((each) => each.row <= row)
    if (block === undefined || row >= this.count) return null
    const index = row - block.row - (block.rank === null ? 0 : 1)
    return { block, job: index < 0 ? null : block.start + index }
  }

  /** The row of a job, by its place in the list. */
  rowOf(index: number): number {
    const block = this.blocks.findLast(({ start }) => start <= index)
    return block === undefined ? 0 : block.row + (block.rank === null ? 0 : 1) + index - block.start
  }
}
