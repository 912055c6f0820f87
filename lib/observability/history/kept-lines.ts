import { cutText } from '../../base/cut-text.js'

/** How many characters of a line are kept, its newline not counted. */
const MAX_LINE = 1000
const MAX_NEWLINE = '\r\n'.length

/** The last lines of a log, each cut at 1,000 characters. */
export class KeptLines {
  readonly #keep: number
  readonly #ring: string[] = []
  #next = 0

  /** @param keep how many, from 1 */
  constructor(keep: number) {
    this.#keep = keep
  }

  /** Anything but a string, as a hook of pino's may make of a line, is not kept. Never throws. */
  add(line: unknown): void {
    if (typeof line !== 'string') return
    this.#ring[this.#next] = line.length > MAX_LINE + MAX_NEWLINE ? cutText(line, MAX_LINE) : line
    this.#next = this.#next + 1 === this.#keep ? 0 : this.#next + 1
  }

  /** The lines without their newlines, the oldest first. */
  lines(): string[] {
    const ordered = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
    return ordered.map((line) => cutText(line.replace(/\r?\n$/, ''), MAX_LINE))
  }
}
