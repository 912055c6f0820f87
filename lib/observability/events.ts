import type { SchedulerEventName, SchedulerEvents, SchedulerListener } from '../../types/events.js'
import type { Logger } from '../../types/logger.js'
import { isolated } from '../base/async-context.js'
import { isThenable } from '../base/check.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { logSafely } from './log.js'

/** All events that there are. None has a listener at first. */
const UNHEARD: Record<SchedulerEventName, boolean> = {
  submitted: false,
  executed: false,
  error: false,
  retried: false,
  missed: false,
  skipped: false,
  lockAcquired: false,
  lockFailed: false,
  lockLost: false,
  paused: false,
  resumed: false,
  changed: false,
  added: false,
  modified: false,
  removed: false
}

type AnyListener = (event: never) => unknown

interface Entry {
  readonly listener: AnyListener
  readonly once: boolean
}

/**
 * The scheduler's events. Unlike Node's EventEmitter it isolates its listeners: an error of one is logged and the others are
 * called all the same, and an `error` event without a listener is not thrown.
 */
export class Events {
  readonly #log: Logger
  readonly #entries = new Map<SchedulerEventName, Entry[]>()
  readonly #heard = { ...UNHEARD }

  constructor(log: Logger) {
    this.#log = log
  }

  /**
   * Whether each event has a listener: one that has none need not be made. This is read several times a run, so each event has a
   * field of its own, and nothing is looked up.
   */
  get heard(): Readonly<Record<SchedulerEventName, boolean>> {
    return this.#heard
  }

  /** @throws OptionInvalidError when there is no such event, or the listener is not a function */
  add<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>, once: boolean): void {
    if (!Object.hasOwn(UNHEARD, name)) {
      throw new OptionInvalidError('event', `one of ${Object.keys(UNHEARD).join(', ')}`, show(name))
    }
    if (typeof listener !== 'function') throw new OptionInvalidError('listener', 'a function', show(listener))
    // A new array each time: an event under way goes to those who listened when it began.
    this.#set(name, [...(this.#entries.get(name) ?? []), { listener, once }])
  }

  delete<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): void {
    this.#drop(name, (entry) => entry.listener === listener)
  }

  emit<Name extends SchedulerEventName>(name: Name, event: SchedulerEvents[Name]): void {
    const entries = this.#entries.get(name)
    if (entries === undefined) return
    for (const entry of entries) {
      if (entry.once) this.#drop(name, (other) => other === entry)
      try {
        const result = isolated(() => (entry.listener as (event: SchedulerEvents[Name]) => unknown)(event))
        // Of any realm and any library.
        if (isThenable(result)) Promise.resolve(result).catch((error: unknown) => this.#failed(name, error))
      } catch (error) {
        this.#failed(name, error)
      }
    }
  }

  #drop(name: SchedulerEventName, matches: (entry: Entry) => boolean): void {
    const entries = this.#entries.get(name) ?? []
    const index = entries.findIndex(matches)
    if (index >= 0) this.#set(name, entries.toSpliced(index, 1))
  }

  #set(name: SchedulerEventName, entries: Entry[]): void {
    this.#entries.set(name, entries)
    this.#heard[name] = entries.length > 0
  }

  #failed(name: SchedulerEventName, err: unknown): void {
    logSafely(this.#log, 'error', { err, event: name }, 'a listener of the scheduler failed')
  }
}
