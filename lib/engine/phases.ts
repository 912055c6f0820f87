import { NotRunningError } from '../errors.js'

export type Phase = 'new' | 'open' | 'running' | 'stopped' | 'draining' | 'closing'

/**
 * What a scheduler does at the moment, and what may be asked of it.
 *
 * ```text
 *   new ──open()──► open ──run()──► running ◄──run()── stopped
 *                                      └────stop()───────▲
 *   any of these ──drain()──► draining ──close()──► closing
 * ```
 *
 * - `new`: jobs wait for the start.
 * - `open`: the store was asked to open; runs by hand begin.
 * - `running`: ticks come.
 * - `stopped`: no new ticks; all else as before. `stop()` leads here also from `new` and `open`.
 * - `draining`: no new runs; those under way end. Locks by name are still to be had, for these runs and for requests.
 * - `closing`: nothing new at all.
 */
export class Phases {
  #current: Phase = 'new'

  get current(): Phase {
    return this.#current
  }

  get isNew(): boolean {
    return this.#current === 'new'
  }

  /** Whether ticks come. */
  get isRunning(): boolean {
    return this.#current === 'running'
  }

  /** Whether the end has begun: no run begins any more. */
  get isEnding(): boolean {
    return this.#current === 'draining' || this.#current === 'closing'
  }

  /** @throws NotRunningError once the end has begun */
  open(): void {
    if (this.isEnding) throw this.notRunning('start')
    if (this.isNew) this.#current = 'open'
  }

  /** To be called only after `open`, and not once the end has begun. */
  run(): void {
    this.#current = 'running'
  }

  /** Without effect once the end has begun. */
  stop(): void {
    if (!this.isEnding) this.#current = 'stopped'
  }

  drain(): void {
    this.#current = 'draining'
  }

  close(): void {
    this.#current = 'closing'
  }

  /** @throws NotRunningError naming what cannot be done, unless the scheduler was opened and takes new runs */
  checkRunning(what: string): void {
    if (this.isNew || this.isEnding) throw this.notRunning(what)
  }

  /** @throws NotRunningError naming what cannot be done, once it is closing */
  checkOpen(what: string): void {
    if (this.#current === 'closing') throw this.notRunning(what)
  }

  /** The error that says why something cannot be done now. */
  notRunning(what: string): Error {
    if (this.#current === 'closing') return new NotRunningError(what, 'is closed')
    const why =
      this.#current === 'draining'
        ? 'takes no new runs, as it is closing'
        : 'has not been started: await `app.ready()`, `app.listen()` or `start()` first'
    return new NotRunningError(what, why)
  }
}
