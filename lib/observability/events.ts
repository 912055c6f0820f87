import type { SchedulerEventName, SchedulerEvents, SchedulerListener } from '../../types/events.js'
import type { Logger } from '../../types/logger.js'
import { isolated } from '../async-context.js'
import { isThenable } from '../check.js'
import { OptionInvalidError } from '../errors.js'
import { show } from '../show.js'
import { logSafely } from './log.js'

const EVENT_NAMES: Record<SchedulerEventName, true> = {
  submitted: true,
  executed: true,
  error: true,
  retried: true,
  missed: true,
  skipped: true,
  lockAcquired: true,
  lockFailed: true,
  lockLost: true,
  paused: true,
  resumed: true,
  added: true,
  modified: true,
  removed: true
}

type AnyListener = (event: never) => unknown

interface Entry {
  readonly listener: AnyListener
  readonly once: boolean
}

/**
 * The scheduler's events. Unlike node's EventEmitter it isolates its listeners: one that throws or rejects is logged,
 * the others are called all the same, and `error` without a listener is no exception.
 */
export class Events {
  readonly #log: Logger
  readonly #entries = new Map<SchedulerEventName, Entry[]>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** @throws OptionInvalidError when there is no such event, or the listener is not a function */
  add<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>, once: boolean): void {
    if (!Object.hasOwn(EVENT_NAMES, name)) {
      throw new OptionInvalidError('event', `one of ${Object.keys(EVENT_NAMES).join(', ')}`, show(name))
    }
    if (typeof listener !== 'function') throw new OptionInvalidError('listener', 'a function', show(listener))
    // A new array each time: an event under way goes to those who listened when it began.
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), { listener, once }])
  }

  delete<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): void {
    this.#drop(name, (entry) => entry.listener === listener)
  }

  /** Whether anybody listens: an event nobody hears need not be made. */
  has(name: SchedulerEventName): boolean {
    return (this.#entries.get(name)?.length ?? 0) > 0
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
    if (index >= 0) this.#entries.set(name, entries.toSpliced(index, 1))
  }

  #failed(name: SchedulerEventName, err: unknown): void {
    logSafely(this.#log, 'error', { err, event: name }, 'a listener of the scheduler failed')
  }
}
