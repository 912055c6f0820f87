import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { errorText } from '../../lib/observability/history/error-text.js'
import type { RunError } from '../../types/history.js'

const size = ({ name, message, stack, code = '' }: RunError): number =>
  name.length + message.length + (stack ?? '').length + code.length

const withStack = (error: Error, frames: number): Error => {
  const at = Array.from({ length: frames }, (_, index) => `    at frame${index} (/app/jobs/report.js:${index}:7)`)
  error.stack = [`${error.name}: ${error.message}`, ...at].join('\n')
  return error
}

t.test('an error is its name, message, stack and code', (t) => {
  const error = Object.assign(new TypeError('the disk is full'), { code: 'ENOSPC', secret: 'x' })
  t.strictSame(errorText(error), { name: 'TypeError', message: 'the disk is full', stack: error.stack, code: 'ENOSPC' })
  const plain = new Error('plain')
  t.strictSame(errorText(plain), { name: 'Error', message: 'plain', stack: plain.stack })
  t.equal(errorText(Object.assign(new Error('a'), { code: 404 })).code, '404')
  t.notOk('code' in errorText(Object.assign(new Error('a'), { code: { a: 1 } })))
  t.end()
})

t.test('an error of another realm, and what a library makes like one, are errors', (t) => {
  const foreign = runInContext('Object.assign(new RangeError("foreign"), { code: "E_FAR" })', createContext({}))
  t.match(errorText(foreign), {
    name: 'RangeError',
    message: 'foreign',
    stack: /^RangeError: foreign\n/,
    code: 'E_FAR'
  })
  const odd = runInContext('Object.assign(new Error("a"), { message: { b: 1 } })', createContext({}))
  t.match(errorText(odd), { name: 'Error', message: '{"b":1}', stack: /^Error: / })
  t.match(errorText(new DOMException('gone', 'AbortError')), { name: 'AbortError', message: 'gone', code: '20' })
  const like = { name: 'GrpcError', message: 'unavailable', code: 14 }
  t.strictSame(errorText(like), { name: 'GrpcError', message: 'unavailable', stack: null, code: '14' })
  t.end()
})

t.test('what is thrown and is no error says what it was', (t) => {
  for (const [thrown, message] of [
    ['the disk is full', 'the disk is full'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ statusCode: 500 }, '{"statusCode":500}'],
    [{ message: 'only that' }, '{"message":"only that"}'],
    [404, '404 (number)'],
    [10n, '"10"'],
    [Symbol('a'), 'Symbol(a) (symbol)'],
    [[1, [2]], '[1,[2]]'],
    [Buffer.alloc(100 * 1024 * 1024), '"Buffer(104857600)"']
  ] as [unknown, string][]) {
    t.strictSame(errorText(thrown), { name: 'NonError', message, stack: null })
  }
  t.match(
    errorText(() => 1),
    { name: 'NonError', message: /function/i, stack: null }
  )
  t.end()
})

t.test('a long message leaves room for the frames, which are cut at their end', (t) => {
  const error = withStack(new Error(`the answer was ${'<p>no</p>'.repeat(10_000)}`), 500)
  const { message, stack } = errorText(error)
  t.equal(message.length, 2048)
  t.match(message, /^the answer was <p>no.*…$/)
  t.match(stack, /^Error: the answer was .*…\n {4}at frame0 .*\n {4}at frame1 /)
  t.match(stack, /at frame20 [\s\S]*…$/)
  t.equal((stack as string).split('\n')[0]?.length, 'Error: '.length + 200)
  const medium = withStack(new Error('m'.repeat(1000)), 3)
  t.equal(errorText(medium).stack, medium.stack, 'as it is where there is room for it')
  const changed = withStack(new Error('a'.repeat(3000)), 3)
  changed.message = 'b'.repeat(3000)
  t.match(errorText(changed).stack, /^Error: a+…$/)
  changed.message = 'a'.repeat(2500)
  t.match(errorText(changed).stack, /^Error: a{1000,}…$/)
  t.end()
})

t.test('the causes are told after the stack, also where that is cut', (t) => {
  const root = Object.assign(new Error('connect ECONNREFUSED\n127.0.0.1:5432'), { name: 'PgError' })
  const middle = new TypeError('no connection', { cause: root })
  const error = withStack(new Error('the report failed', { cause: middle }), 500)
  const lines = (errorText(error).stack as string).split('\n')
  t.match(lines.at(-3), /at frame\d+.*…$/)
  t.strictSame(lines.slice(-2), [
    '[cause]: TypeError: no connection',
    '[cause]: PgError: connect ECONNREFUSED 127.0.0.1:5432'
  ])
  const several = new AggregateError([new Error('a'), 'text', new RangeError('c'), new Error('d')], 'all have failed')
  t.match(
    errorText(several).stack,
    /\n\[error 1 of 4\]: Error: a\n\[error 2 of 4\]: NonError: text\n\[error 3 of 4\]: RangeError: c$/
  )
  const circular: Error = new Error('a', { cause: new Error('b') })
  ;(circular.cause as Error).cause = circular
  t.equal((errorText(circular).stack as string).match(/\[cause\]/g)?.length, 2)
  t.match(
    errorText(new Error('a', { cause: { statusCode: 500 } })).stack,
    /\n\[cause\]: NonError: \{"statusCode":500\}$/
  )
  let chain = new Error('last')
  for (let index = 0; index < 10_000; index++) chain = new Error(`${index}`, { cause: chain })
  t.equal((errorText(chain).stack as string).match(/\[cause\]/g)?.length, 5)
  const bare = Object.assign(new Error('a', { cause: new Error('b') }), { stack: undefined })
  t.equal(errorText(bare).stack, '[cause]: Error: b')
  t.end()
})

t.test('all of it together is within the limit', (t) => {
  const text = fc.string({ unit: 'grapheme', maxLength: 300 })
  fc.assert(
    fc.property(text, text, text, text, fc.integer({ min: 16, max: 600 }), (name, message, code, inner, limit) => {
      const cause = new AggregateError([new Error(inner), inner], inner, { cause: inner })
      const error = Object.assign(new Error(message, { cause }), { name, code })
      const found = errorText(withStack(error, 30), limit)
      t.ok(size(found) <= limit, `${size(found)} of ${limit}`)
      // Where it was cut there is no half of a pair.
      for (const each of [found.name, found.message, found.stack, found.code]) {
        t.equal(Buffer.from(each ?? '').toString(), each ?? '')
      }
    }),
    { numRuns: 500 }
  )
  const huge = Object.assign(new Error('m'.repeat(50_000_000)), { name: 'n'.repeat(50_000_000), code: 'c'.repeat(1e6) })
  const found = errorText(huge)
  t.equal(size(found), 4096)
  t.strictSame([found.name.length, found.code?.length], [100, 100])
  t.end()
})

t.test('nothing that is thrown makes it throw', (t) => {
  const thrown = (): never => {
    throw new Error('no')
  }
  const hostile = new Proxy({}, { get: thrown, getPrototypeOf: thrown, ownKeys: thrown, has: thrown })
  const { proxy: revoked, revoke } = Proxy.revocable(new Error('a'), {})
  revoke()
  for (const value of [hostile, revoked]) {
    t.strictSame(errorText(value), { name: 'NonError', message: '"[unreadable]"', stack: null })
  }
  const error = new Error('a')
  for (const key of ['stack', 'name', 'message', 'code', 'cause', 'errors']) {
    Object.defineProperty(error, key, { get: thrown })
  }
  t.strictSame(errorText(error), { name: 'Error', message: '', stack: null })
  const odd = Object.assign(new Error('a'), { name: { a: 1 }, message: { b: 1n }, stack: ['x'], code: Symbol('a') })
  t.strictSame(errorText(odd), { name: 'Error', message: '{"b":"1"}', stack: null })
  t.equal(errorText(Object.assign(new Error('a'), { message: Symbol('s') })).message, 'Symbol(s) (symbol)')
  t.match(errorText(new Error('a', { cause: hostile })).stack, /\n\[cause\]: NonError: "\[unreadable\]"$/)
  t.ok(errorText(new AggregateError([hostile, revoked])).stack)
  const first = Object.defineProperty([null, new Error('b')], 0, { get: thrown })
  t.match(errorText(Object.assign(new Error('a'), { errors: first })).stack, /\n\[error 2 of 2\]: Error: b$/)
  const errors = new Proxy([], { get: thrown })
  t.match(errorText(Object.assign(new Error('a'), { errors })), { name: 'Error', message: 'a', stack: /^Error: a/ })
  // biome-ignore lint/suspicious/noThenProperty: a thenable that is thrown
  t.equal(errorText({ then: thrown }).message, '{}')
  t.end()
})
