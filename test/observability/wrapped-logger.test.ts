import Fastify from 'fastify'
import t from 'tap'
import { captureLog } from '../../lib/observability/history/run-log.js'
import { silentLogger } from '../../lib/observability/log.js'
import { stderrLogger } from '../../lib/observability/stderr-logger.js'
import type { Logger } from '../../types/logger.js'
import { logLines } from '../fixtures/log-lines.js'

// What a run logs through a logger that is not pino's.

const BINDINGS = { jobId: 'report', runId: 'run-1' }

const messages = (lines: readonly string[]): unknown[] => lines.map((line) => JSON.parse(line).msg)

/** A logger of some other kind, from no more than its methods. */
const other = (methods: object): Logger => methods as Logger

t.test('of another logger the messages are kept, and every call reaches it', (t) => {
  const { logger, lines } = logLines()
  const run = captureLog(logger, BINDINGS)
  const any = run.log as unknown as Record<string, (...args: unknown[]) => void>
  run.log.info('started')
  any.warn?.({ password: 'secret' }, '%d rows of %s: %j%%', 3, 'orders', { a: 1 }, 'late', { secret: 1 })
  run.log.error(new Error('the disk is full'))
  run.log.error({ err: new Error('no space') }, 'failed')
  any.fatal?.('failed again', new Error('still no space'))
  run.log.child({ step: 1 }).child({ part: 2 }).debug({ msg: 'of a child' })
  run.log.trace({ message: 'as winston has it' })
  t.strictSame(run.lines(), [
    '{"level":"info","msg":"started"}',
    '{"level":"warn","msg":"3 rows of orders: {\\"a\\":1}% late"}',
    '{"level":"error","msg":"the disk is full"}',
    '{"level":"error","msg":"failed","err":"no space"}',
    '{"level":"fatal","msg":"failed again","err":"still no space"}',
    '{"level":"debug","msg":"of a child"}',
    '{"level":"trace","msg":"as winston has it"}'
  ])
  t.equal(lines.length, 7)
  t.match(lines[5]?.fields, { ...BINDINGS, step: 1, part: 2 })
  t.end()
})

t.test('another logger works as it does without this', async (t) => {
  const calls: unknown[] = []
  class Own {
    #threshold = 'warn'
    readonly #name: string
    constructor(name: string) {
      this.#name = name
    }
    get level(): string {
      return this.#threshold
    }
    set level(level: string) {
      this.#threshold = level
    }
    info(...args: unknown[]): this {
      calls.push([this.#name, ...args])
      return this
    }
    warn(...args: unknown[]): this {
      return this.info(...args)
    }
    async error(): Promise<never> {
      throw new Error('the log is full')
    }
    name(): string {
      return this.#name
    }
    child(): Own {
      return new Own(`child of ${this.#name}`)
    }
  }
  const run = captureLog(new Own('root') as unknown as Logger, BINDINGS)
  const log = run.log as unknown as Own
  t.ok(log instanceof Own)
  t.equal(log.constructor, Own)
  t.equal(log.info, log.info)
  t.equal(log.name(), 'child of root')
  const { info } = log
  info('below its level')
  t.equal(log.warn('a').warn('b'), log, 'what it chains is kept too')
  log.level = 'info'
  t.equal(log.level, 'info')
  log.info('c')
  t.equal(log.child().name(), 'child of child of root')
  log.warn = () => log
  log.warn('d')
  t.strictSame(messages(run.lines()), ['a', 'b', 'c', 'd'])
  t.equal(calls.length, 4)
  await t.rejects(log.error(), { message: 'the log is full' })

  for (const [level, written] of [
    [{ level: () => 40 }, ['warn']],
    [{ level: 40 }, ['warn']],
    [{ isLevelEnabled: (each: string) => each === 'info' }, ['info']],
    [{ level: 'verbose' }, ['info', 'warn']],
    [
      {
        get level() {
          throw new Error('no')
        }
      },
      ['info', 'warn']
    ]
  ] as [object, string[]][]) {
    const nothing = (): void => {}
    const bound = other(
      Object.defineProperties({ info: nothing, warn: nothing }, Object.getOwnPropertyDescriptors(level))
    )
    const run = captureLog(bound, BINDINGS)
    run.log.info('info')
    run.log.warn('warn')
    t.strictSame(messages(run.lines()), written)
  }
})

t.test('a logger that says nothing is given as it is', async (t) => {
  const app = Fastify()
  for (const logger of [app.log, silentLogger]) {
    const run = captureLog(logger, BINDINGS)
    t.equal(run.log, logger)
    run.log.error('nothing')
    t.strictSame(run.lines(), [])
  }
  await app.close()
})

t.test('whatever the logger is, a run has one, and nothing is lost', (t) => {
  const thrown = (): never => {
    throw new Error('no')
  }
  const { logger, lines } = logLines()
  const frozen = captureLog(Object.freeze({ ...logger, child: () => Object.freeze({ ...logger }) }) as Logger, BINDINGS)
  frozen.log.info('frozen')
  t.strictSame(messages(frozen.lines()), ['frozen'])
  const childless = captureLog(other({ ...logger, child: thrown }), BINDINGS)
  childless.log.info('childless')
  t.strictSame(messages(childless.lines()), ['childless'])
  t.strictSame(
    lines.splice(0).map(({ message }) => message),
    ['frozen', 'childless']
  )

  const { log } = captureLog(stderrLogger(), BINDINGS)
  t.equal(log.level, 'warn')
  log.info('not told')

  // Nothing about it can be found out; it works all the same.
  const closed = new Proxy({ ...logger } as object, { getPrototypeOf: thrown, ownKeys: thrown, has: thrown }) as Logger
  const run = captureLog({ ...logger, child: () => closed } as Logger, BINDINGS)
  run.log.info('closed')
  t.strictSame(messages(run.lines()), ['closed'])
  t.equal(lines.length, 1)
  const callable = Object.assign(() => 'called', logger)
  const { log: called } = captureLog({ ...logger, child: () => callable } as unknown as Logger, BINDINGS)
  t.equal((called as unknown as () => string)(), 'called')
  t.doesNotThrow(() => captureLog(undefined as never, BINDINGS))
  t.doesNotThrow(() => captureLog(new Proxy({}, { get: thrown }) as never, BINDINGS))
  t.end()
})

t.test('whatever is logged, the call is as without this, and its line is bounded', (t) => {
  const thrown = (): never => {
    throw new Error('no')
  }
  const circular: Record<string, unknown> = {}
  circular.circular = circular
  let calls = 0
  const run = captureLog(other({ info: () => calls++, child: thrown }), BINDINGS, 100)
  const info = run.log.info as (...args: unknown[]) => void
  const values = [
    new Proxy({}, { get: thrown, has: thrown }),
    {
      get msg() {
        return thrown()
      }
    },
    { toJSON: thrown },
    circular,
    Symbol('a'),
    10n ** 5000n,
    undefined,
    null,
    () => thrown(),
    Object.create(null),
    'x'.repeat(50_000_000),
    Buffer.alloc(50_000_000),
    // biome-ignore lint/suspicious/noThenProperty: a thenable that is logged
    { then: thrown }
  ]
  for (const value of values) {
    info(value)
    info(value, value)
    info('%s and %o', value, value)
    info(...Array(10_000).fill(value))
  }
  info()
  t.equal(calls, 4 * values.length + 1)
  t.equal(run.lines().length, calls)
  const numbers = Array.from({ length: 100 }, (_, index) => index)
  info('of', ...numbers)
  t.equal(messages(run.lines()).at(-1), `of ${numbers.slice(0, 19).join(' ')}`)
  info('a text', values[0])
  t.equal(messages(run.lines()).at(-1), 'a text')
  info('%s', 'y'.repeat(50_000_000))
  t.equal(messages(run.lines()).at(-1), `${'y'.repeat(199)}…`)
  for (const line of run.lines()) {
    t.ok(line.length <= 1000)
    t.match(JSON.parse(line), { level: 'info', msg: String })
  }
  t.end()
})
