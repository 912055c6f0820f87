import { copyJson } from '../base/json.js'
import { show } from '../base/show.js'
import { DataNotJsonError, DataTooLargeError } from '../errors.js'

/** The most bytes of UTF-8 that data may have as JSON where it is stored. */
export const MAX_DATA_BYTES = 262_144

/**
 * Writes data down, for where it is stored and run later, maybe on another replica. What is read back with `JSON.parse`
 * equals what was given; what JSON would change on the way is refused (see `copyJson`), a `Date` among it.
 *
 * @returns the data as JSON; `null` for `undefined`, which is no data
 * @throws DataNotJsonError; DataTooLargeError when it has more than 262,144 bytes of UTF-8
 */
export function serializeData(data: unknown): string | null {
  if (data === undefined) return null
  const { value, size } = copyJson(data)
  // Before it is written: an object that is there many times makes a text far larger than it is itself.
  if (size > MAX_DATA_BYTES) throw new DataTooLargeError(MAX_DATA_BYTES, `${size} or more: ${show(data)}`)
  const text = write(value, data)
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_DATA_BYTES) throw new DataTooLargeError(MAX_DATA_BYTES, `${bytes}: ${show(data)}`)
  return text
}

function write(value: unknown, data: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    // Of objects that are there many times, each within the next, the copy is deeper than any of them was looked at.
    throw new DataNotJsonError('it is nested too deeply', show(data))
  }
}
