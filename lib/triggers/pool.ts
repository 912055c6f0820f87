import { isProxy } from 'node:util/types'
import type { Trigger, TriggerInput } from '../../types/trigger.js'
import { isPlainObject } from '../base/check.js'
import type { TriggerDefaults } from './resolve.js'
import { resolveTrigger } from './resolve.js'

interface Entry {
  readonly trigger: Trigger
  /** The inputs, as written, that are known to mean this trigger. */
  readonly forms: string[]
  users: number
}

// A trigger can be written in any number of ways, of which only a few are remembered.
const MAX_FORMS = 8
const MAX_FORM = 400

/**
 * Triggers shared by the jobs that have equal ones, so that a tick of a thousand jobs is computed once.
 *
 * Each `acquire` needs one `release`; the last one removes the trigger.
 */
export class TriggerPool {
  readonly #defaults: TriggerDefaults
  readonly #byKey = new Map<string, Entry>()
  readonly #byForm = new Map<string, Entry>()

  constructor(defaults: TriggerDefaults) {
    this.#defaults = { timezone: defaults.timezone }
  }

  /** How many different triggers are in use. */
  get size(): number {
    return this.#byKey.size
  }

  /**
   * Returns the trigger that an input describes.
   *
   * @param onBareInterval see `resolveTrigger`
   * @throws what `resolveTrigger` throws; the pool is then unchanged
   */
  acquire(input: TriggerInput, onBareInterval?: (interval: number) => void): Trigger {
    const form = formOf(input)
    let entry = form === null ? undefined : this.#byForm.get(form)
    if (entry === undefined) {
      const trigger = resolveTrigger(input, this.#defaults, onBareInterval)
      entry = this.#byKey.get(trigger.key)
      if (entry === undefined) {
        entry = { trigger, forms: [], users: 0 }
        this.#byKey.set(trigger.key, entry)
      }
      if (form !== null && entry.forms.length < MAX_FORMS) {
        entry.forms.push(form)
        this.#byForm.set(form, entry)
      }
    }
    entry.users++
    return entry.trigger
  }

  /** Releases a trigger; does nothing if it is not from this pool. */
  release(trigger: Trigger): void {
    const entry = this.#byKey.get(trigger.key)
    if (entry === undefined || entry.trigger !== trigger) return
    entry.users--
    if (entry.users > 0) return
    this.#byKey.delete(trigger.key)
    for (const form of entry.forms) this.#byForm.delete(form)
  }
}

/**
 * A flat input as one string, without interpreting it; `null` for an input that is not flat.
 *
 * Equal strings mean equal inputs, as each part is preceded by its length. Only data properties that are strings or
 * finite numbers qualify, as anything else may change after it was read.
 */
function formOf(input: unknown): string | null {
  if (isProxy(input) || !isPlainObject(input)) return null
  let form = ''
  for (const key of Object.keys(input)) {
    const value: unknown = Object.getOwnPropertyDescriptor(input, key)?.value
    if (typeof value !== 'string' && !Number.isFinite(value)) return null
    const text = String(value)
    if (form.length + key.length + text.length > MAX_FORM) return null
    form += `${key.length}:${key}${typeof value === 'string' ? 's' : 'n'}${text.length}:${text}`
  }
  return form
}
