/**
 * How much searching one call of `next` or `preview` may do, in steps of half a microsecond. They are counted, not
 * timed, so that every replica gives up at the same point; all of them take some 50 ms.
 */
export const MAX_STEPS = 100_000

/** What it costs to read a block of a time zone. */
const BLOCK_STEPS = 200

/** The steps that a search has left. */
export class Budget {
  #left: number
  /** The blocks of time zones that this search has already been charged for. */
  #blocks: Map<object, Set<number>> | null = null
  #lastZone: object | null = null
  #lastBlock = 0

  constructor(steps: number = MAX_STEPS) {
    this.#left = steps
  }

  get isSpent(): boolean {
    return this.#left <= 0
  }

  spend(steps: number): void {
    this.#left -= steps
  }

  /** Charges for a block of a time zone, once per search; whether this process has it cached makes no difference. */
  read(zone: object, block: number): void {
    if (zone === this.#lastZone && block === this.#lastBlock) return
    this.#lastZone = zone
    this.#lastBlock = block
    this.#blocks ??= new Map()
    let blocks = this.#blocks.get(zone)
    if (blocks === undefined) {
      blocks = new Set()
      this.#blocks.set(zone, blocks)
    }
    if (blocks.has(block)) return
    blocks.add(block)
    this.#left -= BLOCK_STEPS
  }
}
