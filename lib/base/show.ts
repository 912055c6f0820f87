import { inspect } from 'node:util'

const MAX_SHOWN = 400
const MAX_SHOWN_KEYS = 20

/**
 * A received value as text for an error's message: one line of bounded length; of an object too large to list, only its size.
 * Never throws, whatever the value does.
 */
export function show(value: unknown): string {
  try {
    const keys = mostKeys(value, 2)
    if (keys > MAX_SHOWN_KEYS) return `an object of ${keys} keys (object)`
    const text = inspect(value, {
      depth: 1,
      breakLength: Infinity,
      maxStringLength: 200,
      maxArrayLength: 5,
      customInspect: false
    })
    const bounded = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
    return value === null || value === undefined ? bounded : `${bounded} (${typeof value})`
  } catch {
    return 'a value that cannot be shown'
  }
}

/** The number of keys of the largest object within `depth` levels. */
function mostKeys(value: unknown, depth: number): number {
  // Listing the keys of a buffer takes seconds, and it is shown shortened anyway.
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return 0
  const keys = Object.keys(value)
  if (depth <= 1 || keys.length > MAX_SHOWN_KEYS) return keys.length
  const inner = keys.map((key) => mostKeys(Object.getOwnPropertyDescriptor(value, key)?.value, depth - 1))
  return Math.max(keys.length, ...inner)
}
