/** What a bag holds; each kind of bag has a field of its own for the place. */
type Placed<Field extends string> = { [Key in Field]: number }

/**
 * An unordered collection of objects that know their place in it, for what comes and goes with every run.
 *
 * A `Set` would do, but V8 copies a set's table when deletions have filled it, and an old table that was promoted keeps
 * the runs it once held alive until the next major collection: measured, two thirds of a run's objects survived so.
 */
export class Bag<Field extends string, Item extends Placed<Field>> implements Iterable<Item> {
  readonly #field: Field
  readonly #items: Item[] = []

  /** @param field the items' field for their place: -1 while they are in no such bag */
  constructor(field: Field) {
    this.#field = field
  }

  get size(): number {
    return this.#items.length
  }

  add(item: Item): void {
    item[this.#field] = this.#items.length as Item[Field]
    this.#items.push(item)
  }

  /** Without effect when the item is not in the bag. */
  delete(item: Item): void {
    const place: number = item[this.#field]
    if (place < 0) return
    item[this.#field] = -1 as Item[Field]
    const last = this.#items.pop() as Item
    if (last === item) return
    this.#items[place] = last
    last[this.#field] = place as Item[Field]
  }

  has(item: Item): boolean {
    return item[this.#field] >= 0
  }

  clear(): void {
    for (const item of this) this.delete(item)
  }

  /** Over the items there are now, whatever is deleted meanwhile. */
  [Symbol.iterator](): Iterator<Item> {
    return [...this.#items][Symbol.iterator]()
  }
}
