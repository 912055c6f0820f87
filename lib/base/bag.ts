/** An item of a bag; it is in one bag at a time. */
export interface Placed {
  /** Written by the bag alone: -1 while the item is in none. */
  place: number
}

/**
 * An unordered collection of objects that know their place in it, for objects that come and go with every run.
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

  /** `false` also for an item of another bag. */
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

  /** Iterates over the items that are there at the beginning, whatever is deleted meanwhile. */
  [Symbol.iterator](): Iterator<Item> {
    return this.copy()[Symbol.iterator]()
  }
}
