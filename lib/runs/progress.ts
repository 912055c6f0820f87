import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import type { RunProgress } from '../../types/history.js'
import { SECOND } from '../base/duration.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { MAX_NOTE } from '../observability/history/run-entries.js'

/** How often the store is told at most how far runs have come. */
const TELL_EVERY = SECOND

/** Tells the store how far the runs of this process have come, and forgets those that have ended. */
export class ProgressReports {
  readonly #clock: Clock
  readonly #coordination: Coordination
  /** What the store is to be told; `null` for runs that have ended. */
  #news = new Map<string, RunProgress | null>()
  /** Runs of which the store was told something. */
  readonly #told = new Set<string>()
  #timer: TimerHandle | null = null
  #tellAt = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(clock: Clock, coordination: Coordination) {
    this.#clock = clock
    this.#coordination = coordination
  }

  /**
   * Reads what a handler says.
   *
   * @throws OptionInvalidError
   */
  read(share: unknown, note: unknown): RunProgress {
    if (typeof share !== 'number' || !(share >= 0 && share <= 1)) {
      throw new OptionInvalidError('progress', 'a number from 0 to 1', show(share))
    }
    if (note !== undefined && (typeof note !== 'string' || note.length > MAX_NOTE)) {
      throw new OptionInvalidError('note', `a string of at most ${MAX_NOTE} characters`, show(note))
    }
    return { share, note: note ?? null, at: Math.round(this.#coordination.now()) }
  }

  /** A run has come that far. */
  note(runId: string, progress: RunProgress): void {
    this.#news.set(runId, progress)
    this.#arm()
  }

  /** A run has ended that has said how far it had come. */
  end(runId: string): void {
    if (this.#told.delete(runId)) {
      this.#news.set(runId, null)
      this.#arm()
    } else {
      this.#news.delete(runId)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#tell()
  }

  #arm(): void {
    if (this.#timer !== null) return
    const delay = Math.max(0, this.#tellAt - this.#clock.monotonic())
    this.#timer = this.#clock.setTimeout(() => void this.#tell(), delay)
    this.#timer.unref?.()
  }

  async #tell(): Promise<void> {
    this.#timer = null
    if (this.#news.size === 0) return
    const news = this.#news
    this.#news = new Map()
    this.#tellAt = this.#clock.monotonic() + TELL_EVERY
    for (const [runId, progress] of news) if (progress !== null) this.#told.add(runId)
    const { state } = this.#coordination
    if (state.up && (await this.#coordination.writeProgress(news))) return
    // It is told again, unless there is later news of a run.
    this.#news = new Map([...news, ...this.#news])
    if (!this.#isClosed) this.#arm()
  }
}
