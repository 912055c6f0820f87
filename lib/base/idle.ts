/**
 * Lets callers wait until a part has nothing under way. The part says whether it is busy, and calls `announce` each time it
 * may have become idle.
 */
export class Idle {
  readonly #isBusy: () => boolean
  #waiting: (() => void)[] = []

  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy
  }

  /** Resolves when the part is idle; at once when it is. */
  async reached(): Promise<void> {
    if (this.#isBusy()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Lets those go on who wait, unless the part is still busy. */
  announce(): void {
    if (this.#waiting.length === 0 || this.#isBusy()) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
