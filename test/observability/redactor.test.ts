import t from 'tap'
import { createRedactor } from '../../lib/observability/history/redactor.js'
import type { HistoryRedact, RedactKind } from '../../types/history.js'

const never = (error: unknown): void => {
  throw error
}

t.test('each text is what redact makes of it, by its kind', (t) => {
  const asked: [string, RedactKind][] = []
  const redact = createRedactor((text, kind) => {
    asked.push([text, kind])
    return kind === 'note' ? '' : text.replace(/\d{16}/, '[card]')
  }, never)
  t.equal(redact('paid with 4111111111111111', 'log'), 'paid with [card]')
  t.equal(redact('anything', 'note'), '')
  t.strictSame(asked, [
    ['paid with 4111111111111111', 'log'],
    ['anything', 'note']
  ])
  t.equal(createRedactor(undefined, never)('as it is', 'result'), 'as it is')
  t.end()
})

t.test('where redact fails the text is not kept, and that is told once', async (t) => {
  const thrown = new Error('no such pattern')
  const unhandled: unknown[] = []
  const listener = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', listener)
  for (const [redact, told] of [
    [
      () => {
        throw thrown
      },
      thrown
    ],
    [
      () => undefined,
      { code: 'FST_ERR_RLS_OPTION_INVALID', message: /`history\.redact`.*returns a string, got undefined/ }
    ],
    [() => Object('boxed'), { code: 'FST_ERR_RLS_OPTION_INVALID' }],
    [async () => 'later', { code: 'FST_ERR_RLS_OPTION_INVALID', message: /got Promise/ }],
    [() => Promise.reject(thrown), { code: 'FST_ERR_RLS_OPTION_INVALID' }],
    [() => Object.defineProperty({}, 'then', { get: () => never(thrown) }), TypeError]
  ] as [HistoryRedact, Error][]) {
    const warned: unknown[] = []
    const redacted = createRedactor(redact, (error) => {
      warned.push(error)
      throw new Error('the log is full')
    })
    t.equal(redacted('secret', 'error'), '[redact failed]')
    t.equal(redacted('secret', 'log'), '[redact failed]')
    t.equal(warned.length, 1)
    if (typeof told !== 'function') t.match(warned[0], told)
  }
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', listener)
  t.strictSame(unhandled, [])
})

t.test('one text that cannot be redacted leaves the others', (t) => {
  let warned = 0
  const redact = createRedactor(
    (text) => {
      if (text === 'bad') throw new Error('bad')
      return text.toUpperCase()
    },
    () => warned++
  )
  t.strictSame(
    ['a', 'bad', 'b', 'bad'].map((text) => redact(text, 'result')),
    ['A', '[redact failed]', 'B', '[redact failed]']
  )
  t.equal(warned, 1)
  t.end()
})
