import type { Change } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'

export interface ChangeFeedOptions {
  /**
   * Reads the version of the last change, and the changes later than `after`, in their order, among which are all up to that
   * version; `null` stands for a change that cannot be read. May throw.
   */
  readonly read: (after: number) => Promise<{ readonly changes: readonly (Change | null)[]; readonly version: number }>
  /** As `CoordinationListener.onChanges`. */
  readonly tell: (changes: readonly Change[], isComplete: boolean) => void
}

/**
 * What a replica knows of the changes in one store. Each reply of the store says the version of its last change; on another
 * one than is known, the changes between the two are read and told. Where they are not all there any more, as the replica
 * was away for long or the store has lost its data, that is told instead.
 */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions
  /** `null` before the first contact. */
  #known: number | null = null
  /** When changes were missed, in this process' sequence, where what is in force has not been read since; else `null`. */
  #missedAt: number | null = 0
  #isBehind = false
  #isReading = false

  constructor(options: ChangeFeedOptions) {
    this.#options = options
  }

  /** The version of the last change that was told; `null` before the first contact. */
  get known(): number | null {
    return this.#known
  }

  /**
   * The version that claims are made by: 0 while changes were missed and what is in force has not been read, so that the store
   * refuses what may be of an older definition.
   */
  get applied(): number {
    return this.#missedAt === null ? (this.#known ?? 0) : 0
  }

  /** What is in force has been read. @param askedAt when it was asked for, in this process' sequence */
  noteRead(askedAt: number): void {
    if (this.#missedAt !== null && askedAt > this.#missedAt) this.#missedAt = null
  }

  /** A reply says the version of the last change; 0 for none. */
  note(version: number): void {
    if (version === this.#known) return
    if (this.#known === null) {
      this.#known = version
      this.#missedAt = nextInSequence()
      this.#options.tell([], false)
      return
    }
    this.#isBehind = true
    if (!this.#isReading) void this.#catchUp()
  }

  /** What is known says nothing of the store any more: all is read anew with the next reply. */
  forget(): void {
    this.#known = null
  }

  async #catchUp(): Promise<void> {
    this.#isReading = true
    try {
      while (this.#isBehind) {
        this.#isBehind = false
        if (this.#known !== null) await this.#readOn(this.#known)
      }
    } catch {
      // The next reply says again that there is another version.
    } finally {
      this.#isReading = false
    }
  }

  async #readOn(known: number): Promise<void> {
    // Replies may come out of order: only what is read now says where the store is.
    const { changes, version } = await this.#options.read(known)
    if (this.#known !== known) return
    const readable = changes.filter((change) => change !== null)
    // Each names the one before it: where the store has lost some, those that have come since do not follow what is known.
    let last = known
    let isComplete = true
    for (const change of changes) {
      isComplete &&= change?.after === last
      last = change?.version ?? last
    }
    if (!isComplete || version > last || version < known) {
      this.#known = version
      this.#missedAt = nextInSequence()
      // Commands among them are told nowhere else.
      this.#options.tell(readable, false)
    } else if (changes.length > 0) {
      this.#known = last
      this.#options.tell(readable, true)
    }
  }
}
