/** What can be in a bag: in one at a time. */
export interface Placed {
  /** The bag's own: -1 while it is in none. */
  place: number
}

/**
 * An unordered collection of objects that know their place in it, for what comes and goes with every run.
 *
 * A `Set` would do, but V8 copies a set's table when deletions have filled it, and an old table that was promoted keeps
 * the runs it once held alive until the next major collection: measured, two thirds of a run's objects survived so.
 */
export class Bag<Item extends Placed> implements Iterable<Item> {
  readonly #items: Item[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: Item): void {
    item.place = this.#items.length
    this.#items.push(item)
  }

  /** Without effect when the item is not in the bag. */
  delete(item: Item): void {
    const { place } = item
    if (place < 0 || this.#items[place] !== item) return
    item.place = -1
    const last = this.#items.pop() as Item
    if (last === item) return
    this.#items[place] = last
    last.place = place
  }

  /** Also of an item that is in another bag of the kind. */
  has(item: Item): boolean {
    const { place } = item
    return place >= 0 && this.#items[place] === item
  }

  clear(): void {
    for (const item of this) this.delete(item)
  }

  copy(): Item[] {
    return this.#items.slice()
  }

  /** Over the items there are now, whatever is deleted meanwhile. */
  [Symbol.iterator](): Iterator<Item> {
    return this.copy()[Symbol.iterator]()
  }
}
