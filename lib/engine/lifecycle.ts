import { detached } from '../base/async-context.js'
import type { Part } from '../base/part.js'
import type { Phases } from './phases.js'
import type { Shutdown } from './shutdown.js'

export interface LifecycleOptions {
  readonly phases: Phases
  /** In the order of a tick's path. */
  readonly parts: readonly Part[]
  readonly shutdown: Shutdown
  /** Called each time when the parts are about to start. */
  readonly onStart: () => void
}

/** Opens, starts, stops and closes the parts of a scheduler, in order, however often and whenever it is asked to. */
export class Lifecycle {
  readonly phases: Phases
  readonly #options: LifecycleOptions
  #opening: Promise<void> | null = null
  #starting: Promise<void> | null = null
  #draining: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(options: LifecycleOptions) {
    this.#options = options
    this.phases = options.phases
  }

  /**
   * Opens the parts, once; a lock by name or a pause may need the store before the start.
   *
   * @param what what needs it, for the error
   * @throws RedisAuthError; NotRunningError once it is closing
   */
  async openFor(what: string): Promise<void> {
    this.phases.checkOpen(what)
    this.#opening ??= this.#openParts()
    await this.#opening
    this.phases.checkOpen(what)
  }

  /**
   * Opens the parts; from now on runs by hand begin.
   *
   * @throws RedisAuthError; NotRunningError once the end has begun
   */
  async open(): Promise<void> {
    this.phases.open()
    await this.openFor('start')
  }

  /**
   * Begins the ticks, also again after `stop()`.
   *
   * @throws RedisAuthError; NotRunningError once the end has begun
   */
  start(): Promise<void> {
    if (this.phases.isEnding) return Promise.reject(this.phases.notRunning('start'))
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Ends the ticks; all else goes on. */
  stop(): void {
    this.phases.stop()
    this.#starting = null
    for (const part of this.#options.parts.toReversed()) part.stop?.()
  }

  /** Ends the runs: those under way may end within `closeTimeout`, then they are aborted. It does not wait for ever. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  /** Ends the runs, and what goes on under locks by name, within one `closeTimeout`; all else is as before. */
  async quiesce(): Promise<void> {
    const { shutdown } = this.#options
    const drained = this.drain()
    shutdown.limitNamedLocks()
    await drained
    await shutdown.namedLocksSettled()
  }

  /** Ends everything. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Whoever asks for that first has a context of no concern to connections. */
  async #openParts(): Promise<void> {
    await detached(() => Promise.all(this.#options.parts.map((part) => part.open?.())))
  }

  async #start(): Promise<void> {
    const { phases, parts, onStart } = this.#options
    try {
      await this.open()
    } catch (error) {
      // Closed meanwhile: there is nothing to start any more.
      if (phases.isEnding) return
      throw error
    }
    // Stopped or closed meanwhile, or started anew after a stop.
    if (phases.isEnding || this.#starting === null || phases.isRunning) return
    phases.run()
    onStart()
    for (const part of parts) part.start?.()
  }

  async #drain(): Promise<void> {
    const { phases, shutdown } = this.#options
    const hasBegun = !phases.isNew
    this.stop()
    phases.drain()
    await shutdown.endRuns(this.#settled(), hasBegun)
  }

  async #close(): Promise<void> {
    const { phases, parts, shutdown } = this.#options
    await this.quiesce()
    phases.close()
    await shutdown.endNamedLocks()
    for (const part of parts) await part.close?.()
  }

  async #settled(): Promise<void> {
    // A start under way ends first; how, it has told its own caller.
    await this.#opening?.catch(() => {})
    for (const part of this.#options.parts) await part.settled?.()
  }
}
