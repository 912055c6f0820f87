// Something that is read, read again when asked, and tried again until it comes.
import { signal } from '@preact/signals'
import { ApiError } from './api.js'
import { noteRefusal, refusal } from './store.js'

const FIRST_WAIT = 1000
const LONGEST_WAIT = 15_000

/** Reads something; one reading at a time, the last one asked for wins. */
export class Loader {
  /** Why the last reading failed; `null` once one has not. */
  readonly error = signal<ApiError | null>(null)
  readonly #read: (stop: AbortSignal) => Promise<void>
  #stop: AbortController | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  /** How many pages are there that show it. */
  #holders = 0

  constructor(read: (stop: AbortSignal) => Promise<void>) {
    this.#read = read
  }

  /**
   * A page that shows it is there; it calls what is returned as it goes. The next page may have begun to read by then: only when none
   * is left is the reading cut off.
   */
  readonly hold = (): (() => void) => {
    this.#holders++
    return () => {
      if (--this.#holders === 0) this.stop()
    }
  }

  /** Reads now. */
  load(): void {
    this.stop()
    const stop = new AbortController()
    this.#stop = stop
    this.#read(stop.signal).then(
      () => {
        if (stop.signal.aborted) return
        this.#stop = null
        this.#failures = 0
        this.error.value = null
        refusal.value = null
      },
      (error: unknown) => {
        if (stop.signal.aborted) return
        this.#stop = null
        this.#failed(error)
      }
    )
  }

  /** Reads after a while, unless that is to be already: what changes often is read once. */
  loadSoon(wait: number): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      // Cut off again and again it would never come to its end.
      if (this.isLoading) this.loadSoon(wait)
      else this.load()
    }, wait)
  }

  /** Whether it is being read. */
  get isLoading(): boolean {
    return this.#stop !== null
  }

  stop(): void {
    this.#stop?.abort()
    this.#stop = null
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #failed(error: unknown): void {
    noteRefusal(error)
    this.error.value = error instanceof ApiError ? error : new ApiError(0, '', 'What came cannot be read.')
    if (!(error instanceof ApiError)) console.warn(error)
    const { status } = this.error.value
    // What is not there, or may not be asked for so, does not come by asking again.
    if (status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 429) return
    this.loadSoon(Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures++))
  }
}
