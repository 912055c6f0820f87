// Data as JSON: what is read back equals what was given, or it is refused.
import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { copyJson } from '../../lib/base/json.js'
import { MAX_DATA_BYTES, serializeData } from '../../lib/jobs/data.js'

const NOT_JSON = 'FST_ERR_RLS_DATA_NOT_JSON'
const TOO_LARGE = 'FST_ERR_RLS_DATA_TOO_LARGE'

class Order {
  readonly id = 7
}

/** Code that is not to be reached. */
const hostile = (): never => {
  throw new Error('hostile')
}

/** A value, and how the message shows what was received and where it is wrong. */
const REFUSED: readonly (readonly [data: unknown, message: RegExp])[] = [
  [() => {}, /it is \[Function/],
  [Symbol('a'), /it is Symbol\(a\)/],
  [5n, /it is 5n/],
  [Number.NaN, /it is NaN/],
  [Number.POSITIVE_INFINITY, /it is Infinity/],
  [{ at: new Date(0) }, /`data\/at` is 1970-01-01T00:00:00\.000Z.*got \{ at:/],
  [{ at: new Date(Number.NaN) }, /`data\/at` is Invalid Date/],
  [{ list: [1, { n: -Infinity }] }, /`data\/list\/1\/n` is -Infinity/],
  [new Map([[1, 2]]), /it is Map/],
  [new Set(), /it is Set/],
  [new Order(), /it is Order \{ id: 7 \}/],
  [{ toJSON: () => 5 }, /`data\/toJSON` is/],
  [new URL('https://example.org'), /it is /],
  [Buffer.from('a'), /it is .*Buffer/],
  [new Error('a'), /it is Error/],
  [Promise.resolve(1), /it is Promise/],
  [Object(5), /it is \[Number: 5\]/],
  [new Array(3), /holes or other keys/],
  [new Array(2 ** 32 - 1), /holes or other keys/],
  [Object.assign([1], { name: 'x' }), /holes or other keys/],
  [[undefined], /`data\/0` is undefined/],
  [{ [Symbol('a')]: 1 }, /has the symbol Symbol\(a\)/],
  [
    {
      get a() {
        return hostile()
      }
    },
    /it can be read/
  ],
  [new Proxy({}, { ownKeys: hostile }), /it can be read/],
  [new Proxy([], { get: hostile }), /it can be read/]
]

t.test('what JSON would change is refused, with where it is and what was given', async (t) => {
  for (const [data, message] of REFUSED) {
    t.throws(() => serializeData(data), { code: NOT_JSON, statusCode: 400, message }, String(message))
    t.throws(() => copyJson(data), { code: NOT_JSON, message })
  }
})

t.test('an object that contains itself is refused, one that is there twice is not', async (t) => {
  const circle: { list: unknown[] } = { list: [] }
  circle.list.push({ circle })
  t.throws(() => serializeData(circle), { code: NOT_JSON, message: /`data\/list\/0\/circle` contains itself/ })
  const shared = { a: 1 }
  t.equal(serializeData({ x: shared, y: [shared, shared] }), '{"x":{"a":1},"y":[{"a":1},{"a":1}]}')
})

t.test('data of no value is none, and what is undefined within it is left out', async (t) => {
  t.equal(serializeData(undefined), null)
  t.equal(serializeData(null), 'null')
  t.equal(serializeData({ a: undefined, b: 1 }), '{"b":1}')
})

t.test('what is read back equals what was given', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (data) => {
      // JSON has one zero.
      const given: unknown = JSON.parse(JSON.stringify(data))
      return isDeepStrictEqual(JSON.parse(serializeData(given) as string), given)
    })
  )
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true }), (data) => {
      let text: string | null
      try {
        text = serializeData(data)
      } catch (error) {
        return (error as { code: string }).code === NOT_JSON
      }
      // What is accepted is what a structured clone keeps too, but for properties that are undefined, and -0.
      return text === null ? data === undefined : text === JSON.stringify(structuredClone(data))
    })
  )
  t.pass('checked')
})

t.test('a property named __proto__ is a property', async (t) => {
  const given: unknown = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}')
  const copy = copyJson(given).value as object
  t.equal(JSON.stringify(copy), '{"__proto__":{"polluted":true},"constructor":1}')
  t.equal(Object.getPrototypeOf(copy), Object.prototype)
  t.equal((copy as { polluted?: boolean }).polluted, undefined)
})

t.test('a copy shares nothing with what was given, whose properties are read once', async (t) => {
  let reads = 0
  const given = {
    get counted() {
      return { reads: ++reads }
    },
    list: [{ a: 1 }]
  }
  const copy = copyJson(given).value as typeof given
  t.strictSame(copy, { counted: { reads: 1 }, list: [{ a: 1 }] })
  t.equal(reads, 1)
  t.not(copy.list, given.list)
  t.not(copy.list[0], given.list[0])
})

t.test('objects of another realm are taken', async (t) => {
  const foreign: unknown = runInNewContext("({ list: [1, { a: null }], text: 'x' })")
  t.equal(serializeData(foreign), '{"list":[1,{"a":null}],"text":"x"}')
  t.throws(() => serializeData(runInNewContext('({ at: new Date(0) })')), { code: NOT_JSON })
})

t.test('256 KB are the most, counted as UTF-8', async (t) => {
  const ofBytes = (bytes: number, character = 'x'): string =>
    character.repeat((bytes - 2) / Buffer.byteLength(character))
  t.equal(Buffer.byteLength(serializeData(ofBytes(MAX_DATA_BYTES)) ?? ''), MAX_DATA_BYTES)
  t.throws(() => serializeData(ofBytes(MAX_DATA_BYTES + 1)), {
    code: TOO_LARGE,
    statusCode: 413,
    message: /at most 262144 bytes.*got 262145.*'xxx/
  })
  t.equal(Buffer.byteLength(serializeData(ofBytes(MAX_DATA_BYTES, '€')) ?? ''), MAX_DATA_BYTES - 2)
  t.throws(() => serializeData(`${ofBytes(MAX_DATA_BYTES, '€')}€`), { code: TOO_LARGE, message: /got 262145/ })
})

t.test('what is larger or deeper than anybody could write is refused at once, in a short message', async (t) => {
  let doubled: unknown[] = [1]
  for (let level = 0; level < 60; level++) doubled = [doubled, doubled]
  let deep: unknown[] = []
  for (let level = 0; level < 100_000; level++) deep = [deep]
  const nested: unknown[] = [[]]
  for (let index = 1; index < 50_000; index++) nested.push([nested[index - 1]])
  const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`key${index}`, index]))
  for (const [data, code] of [
    [doubled, TOO_LARGE],
    [deep, NOT_JSON],
    [nested, TOO_LARGE],
    [many, TOO_LARGE],
    ['x'.repeat(10_000_000), TOO_LARGE]
  ] as const) {
    try {
      serializeData(data)
      t.fail('accepted')
    } catch (error) {
      t.equal((error as { code: string }).code, code)
      t.ok((error as Error).message.length < 2000)
    }
  }
})
