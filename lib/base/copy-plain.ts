import { DataInvalidError } from '../errors.js'
import { isPlainObject } from './check.js'
import { show } from './show.js'

/** How deep data may be nested: far more than data is, and less than the stack takes. */
export const MAX_DEPTH = 500

/**
 * Copies arrays and plain objects, of whichever realm, all the way down; anything else in them, such as a `Date` or an instance
 * of a class, is the same in the copy. The copy is not frozen where what is copied is.
 *
 * @throws DataInvalidError when it cannot be read, or is nested deeper than 500 levels
 */
export function copyPlain(data: unknown): unknown {
  const known = new Map<object, unknown>()
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const isArray = Array.isArray(value)
    if (!isArray && !isPlainObject(value)) return value
    if (known.has(value)) return known.get(value)
    if (depth === MAX_DEPTH) throw new DataInvalidError(`it is nested deeper than ${MAX_DEPTH} levels`, show(data))
    const copied: object = isArray ? new Array(value.length) : {}
    known.set(value, copied)
    for (const key of Reflect.ownKeys(value)) {
      if (isArray && key === 'length') continue
      if (!Object.prototype.propertyIsEnumerable.call(value, key)) continue
      const property = copy((value as Record<PropertyKey, unknown>)[key], depth + 1)
      // Unlike assignment, it makes a property of `__proto__` too.
      Object.defineProperty(copied, key, { value: property, writable: true, enumerable: true, configurable: true })
    }
    return copied
  }
  try {
    return copy(data, 0)
  } catch (error) {
    if (error instanceof DataInvalidError) throw error
    throw new DataInvalidError('it cannot be read', show(data))
  }
}
