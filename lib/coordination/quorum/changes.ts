import type { Change } from '../../../types/coordination.js'
import { scopeOf } from '../../base/scopes.js'
import { KEEP_CHANGES } from '../redis/constants.js'
import { majorityOf } from './votes.js'

/**
 * Makes one feed of those of several masters: a change counts once a majority has told of it, so that one which its maker was
 * told has failed is none; and of two of the same only the later one does, in whatever order they come.
 */
export class QuorumChanges {
  readonly #most: number
  readonly #tell: (changes: readonly Change[], isComplete: boolean) => void
  /** Who has told of a change; `null` once it has been passed on, or is of no use any more. */
  readonly #told = new Map<string, Map<object, Change> | null>()
  /** When the last change of each scope that was passed on was made. */
  readonly #last = new Map<string, number>()

  /** @param masters how many there are */
  constructor(masters: number, tell: (changes: readonly Change[], isComplete: boolean) => void) {
    this.#most = majorityOf(masters)
    this.#tell = tell
  }

  note(master: object, changes: readonly Change[], isComplete: boolean): void {
    if (!isComplete) this.#tell([], false)
    for (const change of changes) this.#noteOne(master, change)
  }

  #noteOne(master: object, change: Change): void {
    const { id, at } = change
    const known = this.#told.get(id)
    if (known === null) return
    const told = known ?? new Map<object, Change>()
    told.set(master, change)
    this.#told.set(id, told)
    if (this.#told.size > 2 * KEEP_CHANGES) this.#told.delete(this.#told.keys().next().value as string)
    if (told.size < this.#most) return
    this.#told.set(id, null)
    const scope = scopeOf(change)
    if (scope !== '') {
      if (at < (this.#last.get(scope) ?? 0)) return
      this.#last.set(scope, at)
    }
    // Each master counts by itself.
    this.#tell([{ ...withAll([...told.values()]), version: at }], true)
  }
}

/** A change as all masters together tell it: a lock may be held on some of them. */
function withAll(told: readonly Change[]): Change {
  const [first] = told as [Change]
  if (first.kind !== 'release') return first
  const runs = told.flatMap((change) => (change.kind === 'release' ? (change.runs ?? []) : []))
  return { ...first, runs: [...new Map(runs.map((run) => [run.runId, run])).values()] }
}

/** What most of the masters have of the changes that were made, the newest first. */
export function newestOf(lists: readonly (readonly Change[])[], most: number): Change[] {
  const told = new Map<string, Change[]>()
  for (const change of lists.flat()) told.set(change.id, [...(told.get(change.id) ?? []), change])
  return [...told.values()]
    .filter((each) => each.length >= Math.min(most, lists.length))
    .map((each) => withAll(each))
    .sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1))
}
