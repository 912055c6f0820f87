import { Bag } from '../base/bag.js'
import { Idle } from '../base/idle.js'
import type { ActiveRun } from './active-run.js'
import type { Capacity } from './capacity.js'
import type { Deadlines } from './deadlines.js'

/** The runs of this process, each from its start until its handler is done, or is no longer waited for. */
export class ActiveRuns {
  readonly #runs = new Bag<ActiveRun>()
  /** How many runs without a lock go on, by the id of their job, which may have been removed and added again meanwhile. */
  readonly #unlocked = new Map<string, number>()
  readonly #idle = new Idle(() => this.#runs.size > 0)
  readonly #deadlines: Deadlines
  readonly #capacity: Capacity

  constructor(deadlines: Deadlines, capacity: Capacity) {
    this.#deadlines = deadlines
    this.#capacity = capacity
    deadlines.watchAlso(this.#runs)
  }

  get size(): number {
    return this.#runs.size
  }

  /** The jobs that have a run. */
  get jobIds(): string[] {
    return [...new Set([...this.#runs].map(({ job }) => job.id))]
  }

  /** The ids of the runs that have a lock. */
  get lockedRunIds(): string[] {
    return [...this.#runs].flatMap(({ held }) => (held === null ? [] : [held.token]))
  }

  /** Whether a job has a run without a lock, of which the store knows nothing. */
  hasUnlocked(jobId: string): boolean {
    return this.#unlocked.size > 0 && this.#unlocked.has(jobId)
  }

  add(active: ActiveRun): void {
    this.#runs.add(active)
    this.#capacity.runStarted()
    if (this.#runs.size === 1) this.#deadlines.keepAlive()
    if (active.held === null) this.#addUnlocked(active.job.id)
  }

  delete(active: ActiveRun): void {
    this.#runs.delete(active)
    this.#capacity.runEnded()
    if (active.held === null) this.#deleteUnlocked(active.job.id)
    if (this.#runs.size === 0) this.#deadlines.keepAlive()
  }

  /** Lets those go on who wait for `settled`, if no run goes on any more. */
  announceIdle(): void {
    if (this.#runs.size === 0) this.#idle.announce()
  }

  /** Resolves when no run goes on. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** A copy of the runs that go on now. */
  [Symbol.iterator](): Iterator<ActiveRun> {
    return this.#runs[Symbol.iterator]()
  }

  #addUnlocked(jobId: string): void {
    this.#unlocked.set(jobId, (this.#unlocked.get(jobId) ?? 0) + 1)
  }

  #deleteUnlocked(jobId: string): void {
    const others = (this.#unlocked.get(jobId) ?? 1) - 1
    if (others > 0) this.#unlocked.set(jobId, others)
    else this.#unlocked.delete(jobId)
  }
}
