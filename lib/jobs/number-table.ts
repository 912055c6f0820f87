/** How many rows lie in one piece of memory. */
const ROWS = 64

/** The numbers of one job: so many, from `at` on. */
export interface Row {
  readonly numbers: Float64Array
  readonly at: number
}

/**
 * Rows of numbers, all of one width, in the order in which they were asked for. Jobs of one tick run in the order in
 * which they were added: a processor reads rows that lie side by side ahead, and waits for numbers that lie in an object
 * of each job. A piece of memory goes when none of its rows is used any more.
 */
export class NumberTable {
  readonly width: number
  #numbers: Float64Array
  #used = 0

  constructor(width: number) {
    this.width = width
    this.#numbers = new Float64Array(0)
  }

  /** A row of its own, of zeros. */
  row(): Row {
    if (this.#used * this.width === this.#numbers.length) {
      this.#numbers = new Float64Array(ROWS * this.width)
      this.#used = 0
    }
    return { numbers: this.#numbers, at: this.#used++ * this.width }
  }
}
