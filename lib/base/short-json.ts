import { types } from 'node:util'
import { MAX_DEPTH } from './copy-plain.js'
import { cutText } from './cut-text.js'

const UNREADABLE = '"[unreadable]"'

/**
 * The JSON text of a value, cut at `limit` characters, where it then ends with `…`. `null` for what JSON has no text
 * for: `undefined`, functions and symbols.
 *
 * It is the text of `JSON.stringify`, except for what that refuses or shows as `{}`: a BigInt is its digits as a string;
 * a `Map` an array of its entries; a `Set` an array; an error `{"name":...,"message":...}`; a Buffer, typed array or
 * ArrayBuffer its name and length, as in `"Buffer(1024)"`; an object that contains itself `"[circular]"` there, one
 * nested deeper than 500 levels `"[deep]"`, and a property that cannot be read `"[unreadable]"`.
 *
 * The work is bounded by `limit`, whatever the size of the value, but for two parts of the language: the keys of one
 * object are listed as a whole, and a `toJSON` does what it does. Never throws.
 */
export function shortJson(value: unknown, limit: number): string | null {
  const writer = new JsonWriter(limit)
  return writer.member('', { '': value }, '')
    ? cutText(writer.isComplete ? writer.text : `${writer.text}…`, limit)
    : null
}

class JsonWriter {
  text = ''
  readonly #limit: number
  /** How many more members are looked at: those that JSON leaves out add nothing to the text. */
  #looks: number
  /** The objects that are being written, the outermost first. */
  readonly #open = new Set<object>()

  constructor(limit: number) {
    this.#limit = limit
    this.#looks = 2 * limit + 100
  }

  /** Writes a member after its `prefix`; nothing, and `false`, for one that JSON leaves out. */
  member(prefix: string, holder: Readonly<Record<string, unknown>>, key: string): boolean {
    this.#looks--
    const before = this.text
    try {
      const value = afterToJson(holder[key], key)
      if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return false
      this.text += prefix
      this.#value(value)
    } catch {
      this.text = `${before}${prefix}${UNREADABLE}`
    }
    return true
  }

  /** Whether all members were looked at, as far as the text has room for them. */
  get isComplete(): boolean {
    return this.#looks >= 0
  }

  get #isOver(): boolean {
    return this.text.length > this.#limit || !this.isComplete
  }

  #value(value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#object(value)
    else if (typeof value === 'string') this.text += this.#quoted(value)
    else if (typeof value === 'bigint') this.text += this.#digits(value)
    else if (typeof value === 'number' && !Number.isFinite(value)) this.text += 'null'
    else this.text += String(value)
  }

  #object(value: object): void {
    const size = sizeText(value)
    if (size !== null) this.text += this.#quoted(size)
    else if (this.#open.has(value)) this.text += '"[circular]"'
    else if (this.#open.size === MAX_DEPTH) this.text += '"[deep]"'
    else if (types.isBoxedPrimitive(value) && !types.isSymbolObject(value)) this.#value(unboxed(value))
    else {
      this.#open.add(value)
      try {
        this.#container(value)
      } finally {
        this.#open.delete(value)
      }
    }
  }

  #container(value: object): void {
    if (types.isMap(value)) this.#items(Map.prototype.entries.call(value))
    else if (types.isSet(value)) this.#items(Set.prototype.values.call(value))
    else if (Array.isArray(value)) this.#array(value)
    else if (isError(value)) this.#keys({ name: value.name, message: value.message })
    else this.#keys(value as Record<string, unknown>)
  }

  #items(items: Iterable<unknown>): void {
    let separator = '['
    for (const item of items) {
      if (this.#isOver) break
      if (!this.member(separator, { 0: item }, '0')) this.text += `${separator}null`
      separator = ','
    }
    this.text += separator === '[' ? '[]' : ']'
  }

  /** By index, as JSON does it: the iterator of an array may be anything. */
  #array(array: readonly unknown[]): void {
    const { length } = array
    this.text += '['
    for (let index = 0; index < length && !this.#isOver; index++) {
      const separator = index === 0 ? '' : ','
      const isThere = this.member(separator, array as unknown as Record<string, unknown>, String(index))
      if (!isThere) this.text += `${separator}null`
    }
    this.text += ']'
  }

  #keys(object: Readonly<Record<string, unknown>>): void {
    let separator = '{'
    for (const key in object) {
      if (this.#isOver) break
      if (!Object.hasOwn(object, key)) this.#looks--
      else if (this.member(`${separator}${this.#quoted(key)}:`, object, key)) separator = ','
    }
    this.text += separator === '{' ? '{}' : '}'
  }

  /** No more of a string than has room: with its quote it is longer than the limit then. */
  #quoted(text: string): string {
    return JSON.stringify(text.length > this.#limit ? text.slice(0, this.#limit) : text)
  }

  #digits(value: bigint): string {
    // To write a number of millions of digits takes seconds.
    return BigInt.asIntN(4 * this.#limit, value) === value ? `"${value}"` : '"[huge BigInt]"'
  }
}

/** What JSON takes for a value. A Buffer, whose `toJSON` makes an array of all bytes, and an error are not asked. */
function afterToJson(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || sizeText(value) !== null || isError(value)) return value
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? Reflect.apply(toJSON, value, [key]) : value
}

function isError(value: object): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

/** The name and length of an object that is bytes or numbers; `null` of any other. */
function sizeText(value: object): string | null {
  if (types.isAnyArrayBuffer(value)) return `ArrayBuffer(${value.byteLength})`
  if (types.isDataView(value)) return `DataView(${value.byteLength})`
  if (!types.isTypedArray(value)) return null
  return `${Buffer.isBuffer(value) ? 'Buffer' : value[Symbol.toStringTag]}(${value.length})`
}

function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number(value)
  if (types.isStringObject(value)) return String(value)
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value)
  return BigInt.prototype.valueOf.call(value)
}
