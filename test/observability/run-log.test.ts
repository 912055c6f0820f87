import { createRequire } from 'node:module'
import Fastify from 'fastify'
import t from 'tap'
import { captureLog } from '../../lib/observability/history/run-log.js'
import type { Logger } from '../../types/logger.js'

/** The pino that Fastify has. */
const pino = createRequire(import.meta.resolve('fastify'))('pino') as typeof import('pino').pino

const BINDINGS = { jobId: 'report', runId: 'run-1' }

/** A stream that keeps what is written to it, without the newlines. */
function written(): { readonly stream: { write(line: string): void }; readonly lines: string[] } {
  const lines: string[] = []
  return { stream: { write: (line) => void lines.push(line.replace(/\n$/, '')) }, lines }
}

const parsed = (lines: readonly string[]): Record<string, unknown>[] => lines.map((line) => JSON.parse(line))

const messages = (lines: readonly string[]): unknown[] => parsed(lines).map(({ msg }) => msg)

/** A logger of some other kind, from no more than its methods. */
const other = (methods: object): Logger => methods as Logger

t.test('what an app of Fastify logs is kept as pino writes it, with its redaction', async (t) => {
  const { stream, lines } = written()
  const app = Fastify({
    logger: {
      stream,
      redact: ['password', 'user.token'],
      serializers: { order: ({ id }: { id: number }) => `order ${id}` },
      formatters: { level: (label: string) => ({ level: label }) },
      mixin: () => ({ traceId: 'abc' }),
      base: { service: 'shop' }
    }
  })
  const run = captureLog(app.log, BINDINGS)
  run.log.info({ password: 'secret', user: { token: 'secret' }, order: { id: 7, card: '4111' } }, 'paid by %s', 'card')
  const error = Object.assign(new TypeError('the disk is full'), { stack: 'at job.js' })
  run.log.error(error)
  run.log.debug('below the level')
  app.log.info('not of the run')
  t.equal(lines.length, 3)
  t.strictSame(run.lines(), lines.slice(0, 2))
  t.match(parsed(run.lines()), [
    {
      level: 'info',
      service: 'shop',
      traceId: 'abc',
      ...BINDINGS,
      password: '[Redacted]',
      user: { token: '[Redacted]' },
      order: 'order 7',
      msg: 'paid by card'
    },
    { level: 'error', err: { type: 'TypeError', stack: 'at job.js' }, msg: 'the disk is full' }
  ])
  t.notMatch(run.lines().join(), /secret|4111/)
  await app.close()
})

t.test('the last 20 lines are kept, each cut at 1,000 characters', (t) => {
  const { stream, lines } = written()
  const run = captureLog(pino({}, stream), BINDINGS)
  t.strictSame(run.lines(), [])
  for (let index = 0; index < 20; index++) run.log.info(`line ${index}`)
  t.strictSame(run.lines(), lines)
  for (let index = 20; index < 45; index++) run.log.info(`line ${index}`)
  t.strictSame(run.lines(), lines.slice(-20))
  const kept = captureLog(pino({}, stream), BINDINGS, 3)
  const bare = captureLog(pino({ base: null, timestamp: false, crlf: true }, stream), {}, 1)
  for (const { length, cut } of [
    { length: 1000, cut: false },
    { length: 1001, cut: true },
    { length: 100_000, cut: true }
  ]) {
    bare.log.info('m'.repeat(length - '{"level":30,"msg":""}'.length))
    const [line] = bare.lines()
    t.equal(line?.length, 1000)
    t.match(line, cut ? /m…$/ : /m"}$/)
  }
  for (let index = 0; index < 4; index++) kept.log.info('😀'.repeat(600 + index))
  t.equal(kept.lines().length, 3)
  for (const line of kept.lines()) t.equal(Buffer.from(line).toString(), line)
  t.strictSame(captureLog(pino({}, stream), BINDINGS, 0).lines(), [])
  t.end()
})

t.test('children are of the run, and levels are those of pino', (t) => {
  const { stream, lines } = written()
  const parent = pino(
    { customLevels: { notice: 35 }, hooks: { streamWrite: (line) => line.replace('secret', '***') } },
    stream
  )
  const [one, two] = [captureLog(parent, { runId: 'one' }), captureLog(parent, { runId: 'two' })]
  const child = one.log.child({ step: 1 }, { redact: ['iban'], msgPrefix: '[import] ' })
  const grandchild = child.child({ part: 2 })
  grandchild.warn({ iban: 'AT61' }, 'a secret')
  two.log.info('of the other run')
  one.log.debug('off')
  one.log.level = 'debug'
  one.log.debug('on')
  t.equal(parent.level, 'info')
  ;(one.log as typeof parent).notice('of its own level')
  one.log.level = 'silent'
  one.log.fatal('off again')
  t.strictSame(one.lines(), [lines[0], lines[2], lines[3]])
  t.match(parsed(one.lines())[0], { runId: 'one', step: 1, part: 2, iban: '[Redacted]', msg: '[import] a ***' })
  t.strictSame(two.lines(), [lines[1]])
  t.equal(lines.length, 4)
  t.end()
})

t.test('a pino logger that is frozen, shared, behind a Proxy, or of another copy of pino', (t) => {
  const { stream, lines } = written()
  const again = createRequire(import.meta.url)
  const symbols = (log: object): string[] => Object.getOwnPropertySymbols(log).map(String)

  const shared = pino({}, stream)
  const before = symbols(shared)
  for (const parent of [
    other({ child: () => shared }),
    Object.assign(Object.create(shared), { child: () => shared })
  ]) {
    const run = captureLog(parent, BINDINGS)
    run.log.info('of the run')
    shared.info('of others')
    t.strictSame(messages(run.lines()), ['of the run'])
  }
  t.strictSame(symbols(shared), before)
  const self: Logger = Object.assign(shared.child({}), { child: () => self })
  const run = captureLog(self, BINDINGS)
  run.log.info('of the run')
  self.info('of others')
  t.strictSame(messages(run.lines()), ['of the run'])

  const frozen = Object.freeze(pino({}, stream))
  const cold = captureLog(frozen, BINDINGS)
  cold.log.info('cold')
  t.strictSame(cold.lines(), lines.slice(-1))

  const proxied = captureLog(new Proxy(pino({}, stream), {}), BINDINGS)
  proxied.log.info('through')
  t.match(parsed(proxied.lines()), [{ ...BINDINGS, msg: 'through' }])
  const refusing = new Proxy(pino({}, stream), {
    get: (log, name) => {
      const value = Reflect.get(log, name)
      return name !== 'child' ? value : () => new Proxy(log.child(BINDINGS), { defineProperty: () => false })
    }
  })
  const refused = captureLog(refusing, BINDINGS)
  refused.log.info('refused')
  t.strictSame(refused.lines(), ['{"level":"info","msg":"refused"}'])

  for (const path of Object.keys(again.cache)) if (/[\\/]pino[\\/]/.test(path)) delete again.cache[path]
  const copy = createRequire(import.meta.resolve('fastify'))('pino') as typeof pino
  t.not(copy.symbols.streamSym, pino.symbols.streamSym)
  for (const each of [copy, pino, copy]) {
    const run = captureLog(each({ name: 'copy' }, stream), BINDINGS)
    run.log.info('its own')
    t.strictSame(run.lines(), lines.slice(-1))
  }
  t.end()
})
