/**
 * An unordered collection of objects that know their place in it, for what comes and goes with every run.
 *
 * A `Set` would do, but V8 copies a set's table when deletions have filled it, and an old table that was promoted keeps
 * the runs it once held alive until the next major collection: measured, two thirds of a run's objects survived so.
 */
export class Bag<Item> implements Iterable<Item> {
  readonly #placeOf: (item: Item) => number
  readonly #setPlace: (item: Item, place: number) => void
  readonly #items: Item[] = []

  /**
   * @param placeOf reads the field that an item has for its place: -1 while it is in no such bag
   * @param setPlace writes it
   */
  constructor(placeOf: (item: Item) => number, setPlace: (item: Item, place: number) => void) {
    this.#placeOf = placeOf
    this.#setPlace = setPlace
  }

  get size(): number {
    return this.#items.length
  }

  add(item: Item): void {
    this.#setPlace(item, this.#items.length)
    this.#items.push(item)
  }

  /** Without effect when the item is not in the bag. */
  delete(item: Item): void {
    const place = this.#placeOf(item)
    if (place < 0 || this.#items[place] !== item) return
    this.#setPlace(item, -1)
    const last = this.#items.pop() as Item
    if (last === item) return
    this.#items[place] = last
    this.#setPlace(last, place)
  }

  /** Also of an item that is in another bag of the kind. */
  has(item: Item): boolean {
    const place = this.#placeOf(item)
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
