import { checkKeys, isPlainObject } from '../check.js'
import { OptionInvalidError, OptionUnknownError, show } from '../errors.js'

const MAX_KEY = 100
const MAX_SHOWN_KEYS = 20

/**
 * Shows a received value like `show` does, but says only the size of an object too large to list.
 */
export function shown(value: unknown): string {
  const size = largest(value, 2)
  return size > MAX_SHOWN_KEYS ? `an object of ${size} keys (object)` : show(value)
}

function largest(value: unknown, depth: number): number {
  try {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 0
    const keys = Object.keys(value)
    if (depth <= 1 || keys.length > MAX_SHOWN_KEYS) return keys.length
    let size = keys.length
    for (const key of keys)
      size = Math.max(size, largest(Object.getOwnPropertyDescriptor(value, key)?.value, depth - 1))
    return size
  } catch {
    return 0
  }
}

/**
 * Copies an options object: own enumerable keys only, each read once, those whose value is `undefined` left out.
 *
 * @param where names the object in the error's message
 * @throws OptionInvalidError, OptionUnknownError
 */
export function copyKnown(value: unknown, known: readonly string[], where: string): Record<string, unknown> {
  if (!isPlainObject(value)) throw new OptionInvalidError(where, 'a plain object', shown(value))
  const keys = Object.keys(value)
  const unknown = keys.find((key) => !known.includes(key))
  if (unknown !== undefined) {
    // A name this long is nobody's typing mistake, and the search for the nearest one costs its length.
    if (unknown.length > MAX_KEY) throw new OptionUnknownError(`${unknown.slice(0, MAX_KEY)}...`, where, '')
    checkKeys({ [unknown]: true }, known, where)
  }
  const copy: Record<string, unknown> = Object.create(null)
  for (const key of keys) {
    const read = value[key]
    if (read !== undefined) copy[key] = read
  }
  return copy
}
