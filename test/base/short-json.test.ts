import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { cutText } from '../../lib/base/cut-text.js'
import { shortJson } from '../../lib/base/short-json.js'

const LIMIT = 1024
const MB = 1024 * 1024

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

t.test('of a value that JSON carries it is the text of JSON', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const expected = JSON.stringify(value)
      t.equal(shortJson(value, expected.length), expected)
    }),
    { numRuns: 500 }
  )
  t.end()
})

t.test('so it is with what JSON leaves out or takes for something else', (t) => {
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom<unknown>(
      undefined,
      Symbol('a'),
      () => 1,
      -0,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      /a/,
      new URL('http://a/b')
    )
  )
  const special = fc.oneof(
    fc.date({ noInvalidDate: false }),
    fc.string({ unit: 'binary' }).map((text) => Object(text)),
    fc.constantFrom<unknown>(
      Object(1),
      Object(false),
      Object(Symbol('a')),
      Object.create(null),
      Object.create({ inherited: 1 })
    ),
    fc.record({ toJSON: fc.constant((key: string) => ({ key })) }),
    fc.record({ toJSON: fc.constant(() => undefined) })
  )
  const value = fc.oneof(
    leaf,
    special,
    fc.array(fc.oneof(leaf, special)),
    fc.dictionary(fc.string(), fc.oneof(leaf, special))
  )
  fc.assert(
    fc.property(value, (value) => {
      t.equal(shortJson(value, 100_000), JSON.stringify(value) ?? null)
    }),
    { numRuns: 500 }
  )
  t.equal(shortJson(new Array(1).concat(1), 99), '[null,1]')
  t.end()
})

t.test('what is cut is the start of the text, ends with a mark, and is well-formed', (t) => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 4 }), fc.array(fc.string({ unit: 'grapheme' }), { minLength: 3 }))
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 60 }), (value, limit) => {
      const expected = JSON.stringify(value)
      const text = shortJson(value, limit) as string
      t.ok(text.length <= limit)
      if (expected.length <= limit) return t.equal(text, expected)
      t.equal(text.at(-1), '…')
      t.ok(expected.startsWith(text.slice(0, -1)))
      t.ok(text.length >= limit - 1, 'no more is cut than has to be')
      t.notMatch(text, LONE_SURROGATE)
    }),
    { numRuns: 1000 }
  )
  t.equal(shortJson('😀😀😀', 5), '"😀…')
  t.equal(shortJson('😀😀😀', 4), '"😀…')
  t.equal(shortJson('😀😀😀', 3), '"…')
  t.equal(shortJson({ a: 1 }, 0), '')
  t.end()
})

t.test('what JSON refuses, or shows as an empty object, has a text', (t) => {
  const circular: unknown[] = [1]
  circular.push({ circular })
  const shared = { a: 1 }
  const foreign = runInNewContext(
    '({ error: new TypeError("foreign"), map: new Map([["a", 1]]), set: new Set([2]), bytes: new Uint8Array(3) })'
  )
  const error = Object.assign(new RangeError('too far'), { secret: 'x', toJSON: () => 'config' })
  for (const [value, expected] of [
    [12n, '"12"'],
    [{ n: -(2n ** 70n) }, '{"n":"-1180591620717411303424"}'],
    [Object(3n), '"3"'],
    [2n ** 1_000_000n, '"[huge BigInt]"'],
    [
      new Map<unknown, unknown>([
        ['a', { b: 1 }],
        [{ c: 2 }, undefined]
      ]),
      '[["a",{"b":1}],[{"c":2},null]]'
    ],
    [new Map(), '[]'],
    [new Set([1, undefined, 'b']), '[1,null,"b"]'],
    [Buffer.from('secret'), '"Buffer(6)"'],
    [
      { bytes: new Float64Array(4), view: new DataView(new ArrayBuffer(8)) },
      '{"bytes":"Float64Array(4)","view":"DataView(8)"}'
    ],
    [new ArrayBuffer(9), '"ArrayBuffer(9)"'],
    [error, '{"name":"RangeError","message":"too far"}'],
    [circular, '[1,{"circular":"[circular]"}]'],
    [[shared, shared], '[{"a":1},{"a":1}]'],
    [foreign, '{"error":{"name":"TypeError","message":"foreign"},"map":[["a",1]],"set":[2],"bytes":"Uint8Array(3)"}'],
    [Promise.resolve(1), '{}'],
    [undefined, null],
    [() => 1, null],
    [Symbol('a'), null],
    [{ toJSON: () => undefined }, null]
  ] as [unknown, string | null][]) {
    t.equal(shortJson(value, LIMIT), expected)
  }
  t.end()
})

t.test('a value that cannot be read does no harm', (t) => {
  const thrown = (): never => {
    throw new Error('no')
  }
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()
  const half = new Proxy({ a: 1 }, { ownKeys: thrown })
  for (const [value, expected] of [
    [
      {
        a: 1,
        get b() {
          return thrown()
        },
        c: 3
      },
      '{"a":1,"b":"[unreadable]","c":3}'
    ],
    [{ toJSON: thrown }, '"[unreadable]"'],
    [
      [
        {
          get toJSON() {
            return thrown()
          }
        },
        2
      ],
      '["[unreadable]",2]'
    ],
    [revoked, '"[unreadable]"'],
    [{ a: 1, half, b: 2 }, '{"a":1,"half":"[unreadable]","b":2}'],
    [new Proxy({}, { getPrototypeOf: thrown }), '"[unreadable]"'],
    [new Proxy([], { get: thrown }), '"[unreadable]"'],
    [Object.defineProperty(new Error('a'), 'message', { get: thrown }), '"[unreadable]"'],
    [Object.defineProperty(Object('text'), 'toString', { value: thrown }), '"[unreadable]"'],
    [{ toJSON: () => ({ toJSON: thrown, a: 1 }) }, '{"a":1}']
  ] as [unknown, string][]) {
    t.equal(shortJson(value, LIMIT), expected)
  }
  t.end()
})

t.test('nothing is looked at that has no room in the text', (t) => {
  let reads = 0
  const counting = <Value extends object>(target: Value): Value =>
    new Proxy(target, {
      get: (target, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++
        return Reflect.get(target, key)
      }
    })
  const million = Array.from({ length: 1_000_000 }, (_, index) => index)
  t.equal(shortJson(counting(million), LIMIT)?.length, LIMIT)
  t.ok(reads < LIMIT, `${reads} reads`)
  reads = 0
  // Members that are left out: the text does not grow, the work would.
  const nothing = counting(Object.fromEntries(million.slice(0, 50_000).map((index) => [index, undefined])))
  t.equal(shortJson(nothing, LIMIT), '{}…')
  t.ok(reads < 3 * LIMIT, `${reads} reads`)
  let deep: unknown = 1
  for (let level = 0; level < 100_000; level++) deep = [deep]
  t.equal(shortJson(deep, LIMIT), `${'['.repeat(500)}"[deep]"${']'.repeat(500)}`)
  t.equal(shortJson(deep, 100), `${'['.repeat(99)}…`)
  let asked = 0
  const endless = (): unknown => ({ a: { toJSON: () => asked++ < 1e6 && endless() } })
  t.equal(shortJson(endless(), LIMIT)?.at(-1), '…')
  t.ok(asked < LIMIT, `${asked} levels`)
  t.end()
})

t.test('the size of a value costs nothing', (t) => {
  // Not `repeat`: its text is only put together when it is first read.
  const text = Buffer.alloc(100 * MB, 'x').toString('latin1')
  const large: Record<string, unknown> = {
    text,
    boxed: Object(text),
    buffer: Buffer.alloc(100 * MB),
    holes: new Array(2 ** 32 - 1),
    array: new Array(10 * MB).fill('text'),
    key: { [text]: 1 },
    map: new Map(Array.from({ length: 100_000 }, (_, index) => [index, index])),
    bigint: 1n << 30_000_000n
  }
  for (const [name, value] of Object.entries(large)) {
    const { user } = process.cpuUsage()
    const shown = shortJson(value, LIMIT)
    const spent = (process.cpuUsage().user - user) / 1000
    t.ok(shown !== null && shown.length <= LIMIT, name)
    // What JSON.stringify spends on these is some hundred milliseconds, or all memory.
    t.ok(spent < 80, `${name}: ${spent} ms`)
  }
  t.end()
})

t.test('a text that was cut does not keep the whole one in memory', (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const held = (): number => {
    gc()
    return process.memoryUsage().heapUsed
  }
  const before = held()
  const kept = Array.from({ length: 20 }, (_, index) => cutText(Buffer.alloc(5 * MB, `${index}`).toString(), 100))
  t.ok(held() - before < 20 * MB)
  t.equal(kept[19], `${'19'.repeat(49)}1…`)
  t.end()
})
