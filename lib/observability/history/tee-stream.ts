import type { KeptLines } from './kept-lines.js'

/** Streams that have it are told about each line before it is written: `pino.multistream`, and many of users. */
const METADATA = Symbol.for('pino.metadata')

/** What pino calls of a stream. */
interface Destination {
  write(line: unknown): unknown
  flush?(done: () => void): void
  flushSync?(): void
  [METADATA]?: unknown
  lastLevel?: unknown
  lastObj?: unknown
  lastMsg?: unknown
  lastTime?: unknown
  lastLogger?: unknown
}

/** The streams' symbol of the pino that was seen last. It is not a registered one: each copy of pino has its own. */
let known: symbol | null = null

/**
 * Puts a stream of its own on a pino logger that keeps the lines and passes them on. pino reads the stream of a logger
 * through the prototypes of its children, so that those made later have it too.
 *
 * What is kept is what pino writes, with its redaction, serializers, mixins and bindings. A line below the level is not.
 *
 * @param isShared whether others log through it too: then it stays as it is, and an object made from it keeps the lines
 * @returns the logger that keeps its lines, or `null` when this is not pino's
 */
export function teePino<Log extends object>(log: Log, isShared: boolean, lines: KeptLines): Log | null {
  const symbol = streamSymbol(log)
  if (symbol === null) return null
  const stream = (log as Record<symbol, unknown>)[symbol]
  if (!isDestination(stream)) return null
  const tee = new TeeStream(stream, lines)
  // A child of pino's has no stream of its own: one that has was not made for this run, and may be shared too.
  const own: Log = isShared || Object.hasOwn(log, symbol) ? Object.create(log) : log
  // Not assigned: that fails under a frozen parent.
  Object.defineProperty(own, symbol, { value: tee, writable: true, enumerable: true, configurable: true })
  return (own as Record<symbol, unknown>)[symbol] === tee ? own : null
}

/**
 * Passes everything on to the stream behind it. An object with that stream as its prototype would not do: its methods
 * would keep their state here, and those of a class with private members would throw.
 */
class TeeStream {
  readonly #stream: Destination
  readonly #lines: KeptLines

  constructor(stream: Destination, lines: KeptLines) {
    this.#stream = stream
    this.#lines = lines
  }

  write(line: unknown): unknown {
    this.#lines.add(line)
    return this.#stream.write(line)
  }

  flush(done?: () => void): void {
    if (typeof this.#stream.flush === 'function') this.#stream.flush(done ?? (() => {}))
    else done?.()
  }

  flushSync(): void {
    if (typeof this.#stream.flushSync === 'function') this.#stream.flushSync()
  }

  get [METADATA](): unknown {
    return this.#stream[METADATA]
  }

  set lastLevel(level: unknown) {
    this.#stream.lastLevel = level
  }

  set lastObj(object: unknown) {
    this.#stream.lastObj = object
  }

  set lastMsg(message: unknown) {
    this.#stream.lastMsg = message
  }

  set lastTime(time: unknown) {
    this.#stream.lastTime = time
  }

  set lastLogger(logger: unknown) {
    this.#stream.lastLogger = logger
  }
}

function isDestination(stream: unknown): stream is Destination {
  return typeof stream === 'object' && stream !== null && typeof (stream as Destination).write === 'function'
}

function streamSymbol(log: object): symbol | null {
  if (known !== null && known in log) return known
  for (let each: object | null = log; each !== null; each = Object.getPrototypeOf(each)) {
    const found = Object.getOwnPropertySymbols(each).find(({ description }) => description === 'pino.stream')
    if (found === undefined) continue
    known = found
    return found
  }
  return null
}
