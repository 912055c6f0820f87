import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { captureLog } from '../../lib/observability/history/run-log.js'

// Where a run's lines go as well.

/** The pino that Fastify has. */
const pino = createRequire(import.meta.resolve('fastify'))('pino') as typeof import('pino').pino

const BINDINGS = { jobId: 'report', runId: 'run-1' }

/** A stream that keeps what is written to it, without the newlines. */
function written(): { readonly stream: { write(line: string): void }; readonly lines: string[] } {
  const lines: string[] = []
  return { stream: { write: (line) => void lines.push(line.replace(/\n$/, '')) }, lines }
}

const messages = (lines: readonly string[]): unknown[] => lines.map((line) => JSON.parse(line).msg)

t.test('streams are told what pino tells them, and write what they would', (t) => {
  const [info, errors, plain] = [written(), written(), written()]
  const told: unknown[] = []
  const watching = {
    [Symbol.for('pino.metadata')]: true,
    write(this: Record<string, unknown>, line: string) {
      const { lastLevel, lastMsg, lastObj, lastTime, lastLogger } = this
      told.push([lastLevel, lastMsg, lastObj, typeof lastTime, lastLogger])
      plain.stream.write(line)
    }
  }
  const many = pino.multistream([
    { level: 'info', stream: info.stream },
    { level: 'error', stream: errors.stream },
    { level: 'warn', stream: watching }
  ])
  const run = captureLog(pino({}, many), BINDINGS)
  run.log.info('a')
  const child = run.log.child({})
  child.error({ table: 'orders' }, 'b')
  t.strictSame([info.lines.length, plain.lines.length, errors.lines.length], [2, 1, 1])
  t.strictSame(run.lines(), info.lines)
  t.strictSame((told[0] as unknown[]).slice(0, 4), [50, 'b', { table: 'orders' }, 'string'])
  t.equal((told[0] as unknown[])[4], child)
  const direct = captureLog(pino({}, watching as never), BINDINGS)
  direct.log.warn('c')
  t.match(told[1], [40, 'c'])
  t.end()
})

t.test('a stream with a state of its own keeps it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'run-log-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'buffered.log')
  const destination = pino.destination({ dest: file, sync: false, minLength: 4096 })
  await once(destination, 'ready')
  const parent = pino(destination)
  const run = captureLog(parent, BINDINGS)
  run.log.info('a')
  parent.info('between')
  await new Promise<void>((resolve) => (run.log as typeof parent).flush(() => resolve()))
  t.equal((await readFile(file, 'utf8')).match(/\n/g)?.length, 2, 'flushed')
  run.log.fatal('b')
  t.equal((await readFile(file, 'utf8')).match(/\n/g)?.length, 3, 'pino flushes after a fatal line')
  parent.info('after')
  destination.end()
  await once(destination, 'close')
  const found = (await readFile(file, 'utf8')).trimEnd().split('\n')
  t.strictSame(messages(found), ['a', 'between', 'b', 'after'])
  t.strictSame(run.lines(), [found[0], found[2]])

  class Private {
    readonly #lines: string[] = []
    flushed = 0
    write(line: string): void {
      this.#lines.push(line)
    }
    flushSync(): void {
      this.flushed += this.#lines.length
    }
  }
  const own = new Private()
  const other = captureLog(pino({}, own), BINDINGS)
  other.log.fatal('c')
  t.equal(own.flushed, 1)
  await new Promise<void>((resolve) => (other.log as typeof parent).flush(() => resolve()))
  t.strictSame(messages(other.lines()), ['c'])
})

t.test("a transport in pino's worker gets each line once", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'run-log-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'transport.log')
  const transport = pino.transport({ target: 'pino/file', options: { destination: file } })
  const run = captureLog(pino(transport), BINDINGS)
  run.log.info('a')
  run.log.child({ step: 1 }).warn('b')
  // Nothing else keeps this process alive: pino's worker does not.
  const alive = setInterval(() => {}, 1000)
  transport.end()
  await once(transport, 'close')
  clearInterval(alive)
  t.strictSame((await readFile(file, 'utf8')).trimEnd().split('\n'), run.lines())
  t.strictSame(messages(run.lines()), ['a', 'b'])
})

t.test('a stream that fails, or a hook that makes no text, is as without it', (t) => {
  const broken = captureLog(
    pino(
      {},
      {
        write() {
          throw new Error('EPIPE')
        }
      }
    ),
    BINDINGS
  )
  t.throws(() => broken.log.info('a'), { message: 'EPIPE' })
  t.strictSame(messages(broken.lines()), ['a'])
  const lines: unknown[] = []
  const hooks = { streamWrite: (line: string) => Buffer.from(line) as never }
  const binary = captureLog(pino({ hooks }, { write: (line: unknown) => void lines.push(line) }), BINDINGS)
  binary.log.info('a')
  t.ok(Buffer.isBuffer(lines[0]))
  t.strictSame(binary.lines(), [])
  t.end()
})
