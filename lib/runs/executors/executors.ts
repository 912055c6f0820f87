import type { Executor } from '../../../types/executor.js'
import type { Logger } from '../../../types/logger.js'
import { isPlainObject } from '../../base/check.js'
import { show } from '../../base/show.js'
import { OptionInvalidError } from '../../errors.js'
import type { ResolvedHandler } from '../../jobs/handler.js'
import { logSafely } from '../../observability/log.js'
import { eventLoop } from './event-loop.js'

/** The executors of a scheduler: the event loop for functions, and further ones, each under the name of its kind. */
export class Executors {
  readonly #kinds: ReadonlyMap<string, Executor>
  readonly #log: Logger
  /** Those whose `start` was called. */
  readonly #started = new Map<string, Executor>()
  #starting: Promise<void> | null = null

  /** @param further by their kind, which is the key in `handler: { kind: work }` */
  constructor(further: Readonly<Record<string, Executor>>, log: Logger) {
    this.#kinds = new Map(Object.entries(further))
    this.#log = log
  }

  /**
   * Finds out which executor runs a handler: a function, or an object whose one key is the kind of an executor.
   *
   * @throws OptionInvalidError
   */
  resolve(handler: unknown): ResolvedHandler {
    if (typeof handler === 'function') return { executor: eventLoop, work: handler }
    const resolved = this.#resolveKind(handler)
    if (resolved === null) throw new OptionInvalidError('handler', this.#expected(), show(handler))
    return resolved
  }

  /** Starts all of them, once. */
  open(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Closes those that were started. Never rejects. */
  async close(): Promise<void> {
    await this.#starting?.catch(() => {})
    await Promise.all(Array.from(this.#started, ([kind, executor]) => this.#close(kind, executor)))
  }

  async #start(): Promise<void> {
    for (const [kind, executor] of this.#kinds) {
      this.#started.set(kind, executor)
      await executor.start?.()
    }
  }

  async #close(kind: string, executor: Executor): Promise<void> {
    try {
      await executor.close?.()
    } catch (err) {
      logSafely(this.#log, 'error', { err, executor: kind }, `the executor '${kind}' could not be closed`)
    }
  }

  #resolveKind(handler: unknown): ResolvedHandler | null {
    // What a user gives may throw when it is read.
    try {
      if (!isPlainObject(handler)) return null
      const [kind, ...others] = Object.keys(handler)
      const executor = kind === undefined ? undefined : this.#kinds.get(kind)
      if (kind === undefined || executor === undefined || others.length > 0) return null
      return { executor, work: handler[kind] }
    } catch {
      return null
    }
  }

  #expected(): string {
    const kinds = Array.from(this.#kinds.keys(), (kind) => `\`{ ${kind}: ... }\``)
    return ['a function', ...kinds].join(' or ')
  }
}
