import { closest, distance } from 'fastest-levenshtein'
import { isSchedulerError, OptionInvalidError, OptionUnknownError } from '../errors.js'
import { ourNameFor, type PeerNames, plainName } from './peer-names.js'
import { show } from './show.js'

/** The length of a key beyond which no similar option is searched for: it is no typing mistake, and the search costs its length. */
const MAX_KEY = 100

/**
 * Whether a value is a plain options object, of whichever realm (`vm`, Jest, a worker's message): not an array, not a
 * class instance other than a null-prototype one.
 */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
}

/** Whether a value is a promise, of whichever realm or library. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/**
 * Copies an options object: its own enumerable keys, each read once, those whose value is `undefined` left out.
 * The object may be hostile, with getters and proxies that throw.
 *
 * @param where names the object in the error's message
 * @param peers the names of these options in other schedulers
 * @throws OptionInvalidError when it is no plain object or cannot be read; OptionUnknownError, which suggests our
 *   name for a peer's, or the nearest known key
 */
export function copyKnown<Known extends string>(
  value: unknown,
  known: readonly Known[],
  where: string,
  peers: PeerNames = {}
): Partial<Record<Known, unknown>> {
  const name = where.replaceAll('`', '')
  try {
    if (!isPlainObject(value)) throw new OptionInvalidError(name, 'a plain object', show(value))
    const copy: Partial<Record<Known, unknown>> = Object.create(null)
    for (const key of Object.keys(value)) {
      if (!isOneOf(key, known)) throw unknownKey(key, known, where, peers)
      const read = value[key]
      if (read !== undefined) copy[key] = read
    }
    return copy
  } catch (error) {
    if (isSchedulerError(error)) throw error
    throw new OptionInvalidError(name, 'an object that can be read', show(value))
  }
}

/**
 * Checks an option that is one of some words.
 *
 * @throws OptionInvalidError
 */
export function oneOf<Value extends string>(
  value: Value | undefined,
  name: string,
  allowed: readonly Value[],
  otherwise: Value
): Value {
  if (value === undefined) return otherwise
  if (allowed.includes(value)) return value
  throw new OptionInvalidError(name, `one of ${allowed.map((each) => `'${each}'`).join(', ')}`, show(value))
}

function isOneOf<Known extends string>(key: string, known: readonly Known[]): key is Known {
  return (known as readonly string[]).includes(key)
}

function unknownKey(key: string, known: readonly string[], where: string, peers: PeerNames): Error {
  if (key.length > MAX_KEY) return new OptionUnknownError(`${key.slice(0, MAX_KEY)}...`, where, '')
  const ours = ourNameFor(key, peers)
  if (ours !== null) return new OptionUnknownError(key, where, `: here it is ${ours}`)
  // Compared without case and separators: `day_of_week` and `TimeZone` are near to `dayOfWeek` and `timezone`.
  const nearest = closest(plainName(key), known.map(plainName))
  const near = distance(plainName(key), nearest) <= Math.max(2, key.length / 3)
  const name = known.find((each) => plainName(each) === nearest)
  return new OptionUnknownError(key, where, near ? `, did you mean \`${name}\`?` : `, known are ${known.join(', ')}`)
}
