import { closest, distance } from 'fastest-levenshtein'
import { OptionInvalidError, OptionUnknownError, show } from './errors.js'

/** Whether a value is a plain options object: not an array, not a class instance other than a null-prototype one. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/**
 * Refuses an options object that is not a plain object or has a key that is not known, naming the nearest known one.
 *
 * @param where names the object in the error's message, such as ``'the job `cleanup`'``
 * @throws OptionInvalidError, OptionUnknownError
 */
export function checkKeys(
  value: unknown,
  known: readonly string[],
  where: string
): asserts value is Record<string, unknown> {
  if (!isPlainObject(value)) throw new OptionInvalidError(where, 'a plain object', show(value))
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const nearest = closest(key, known as string[])
    const hint =
      distance(key, nearest) <= Math.max(2, key.length / 3)
        ? `, did you mean \`${nearest}\`?`
        : `, known are ${known.join(', ')}`
    throw new OptionUnknownError(key, where, hint)
  }
}
