import { DataNotJsonError, isSchedulerError } from '../errors.js'
import { isPlainObject } from './check.js'
import { MAX_DEPTH } from './copy-plain.js'
import { show } from './show.js'

/** A copy of a value that JSON carries. */
export interface JsonCopy {
  readonly value: unknown
  /** How many bytes it has at least as JSON. */
  readonly size: number
}

/**
 * Copies a value that JSON carries as it is: `null`, booleans, finite numbers, strings, and arrays and plain objects of
 * these, of whichever realm. Each property is read once. A property that is `undefined` is left out, as JSON does it.
 *
 * Everything else would arrive as something else, or not at all, and is refused: `Date`, `Map`, instances of classes
 * (with `toJSON` too), functions, symbols, BigInt, NaN, an object that contains itself, holes in arrays.
 *
 * @throws DataNotJsonError
 */
export function copyJson(data: unknown): JsonCopy {
  try {
    return new Copying(data).copy(data, '', 0)
  } catch (error) {
    if (isSchedulerError(error)) throw error
    throw new DataNotJsonError('it can be read', show(data))
  }
}

class Copying {
  readonly #data: unknown
  /** The objects copied so far; `null` while one is being copied. One that is there twice is copied once. */
  readonly #known = new Map<object, JsonCopy | null>()

  constructor(data: unknown) {
    this.#data = data
  }

  copy(value: unknown, path: string, depth: number): JsonCopy {
    switch (typeof value) {
      case 'boolean':
        return { value, size: 4 }
      case 'string':
        return { value, size: value.length + 2 }
      case 'number':
        if (Number.isFinite(value)) return { value, size: 1 }
        break
      case 'object':
        return value === null ? { value, size: 4 } : this.#copyObject(value, path, depth)
    }
    throw this.#refused(path, `is ${show(value)}`)
  }

  #copyObject(value: object, path: string, depth: number): JsonCopy {
    const known = this.#known.get(value)
    if (known === null) throw this.#refused(path, 'contains itself')
    if (known !== undefined) return known
    if (depth === MAX_DEPTH) throw this.#refused(path, `is nested deeper than ${MAX_DEPTH} levels`)
    this.#known.set(value, null)
    const copy = Array.isArray(value) ? this.#copyArray(value, path, depth) : this.#copyPlain(value, path, depth)
    this.#known.set(value, copy)
    return copy
  }

  #copyArray(array: readonly unknown[], path: string, depth: number): JsonCopy {
    const { length } = array
    // Counted before it is read: an array of a billion holes is refused at once.
    if (Reflect.ownKeys(array).length !== length + 1) throw this.#refused(path, 'is an array with holes or other keys')
    const items: unknown[] = []
    let size = 2
    for (let index = 0; index < length; index++) {
      const item = this.copy(array[index], `${path}/${index}`, depth + 1)
      items.push(item.value)
      size += item.size + 1
    }
    return { value: items, size }
  }

  #copyPlain(object: object, path: string, depth: number): JsonCopy {
    if (!isPlainObject(object)) throw this.#refused(path, `is ${show(object)}`)
    const entries: [string, unknown][] = []
    let size = 2
    for (const key of Reflect.ownKeys(object)) {
      if (!Object.prototype.propertyIsEnumerable.call(object, key)) continue
      if (typeof key === 'symbol') throw this.#refused(path, `has the symbol ${show(key)} as a key`)
      const read = object[key]
      if (read === undefined) continue
      const property = this.copy(read, `${path}/${key}`, depth + 1)
      entries.push([key, property.value])
      size += key.length + property.size + 4
    }
    // Unlike assignment, it makes a property of `__proto__` too.
    return { value: Object.fromEntries(entries), size }
  }

  #refused(path: string, reason: string): Error {
    const where = path === '' ? 'it' : `\`data${path.slice(0, 200)}\``
    return new DataNotJsonError(`${where} ${reason}`, show(this.#data))
  }
}
