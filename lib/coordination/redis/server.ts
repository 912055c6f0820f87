import type { CoordinationListener } from '../../../types/coordination.js'
import { describeServer, findUnsafe, runIdOf } from './checks.js'
import type { HandedFields, ProbeReply, ScriptCommands } from './commands.js'
import { ANSWER_GRANTED } from './constants.js'
import type { Keys } from './keys.js'
import type { LinkProbes } from './link.js'
import { RefusalError } from './refusals.js'

/** What the field of a run begins with that another is to replace: as in lua/shared/replaced.lua. */
const REPLACED_MARK = String.fromCharCode(127)

const GRANTED = `${ANSWER_GRANTED} `

/** What hears of the changes that it has. */
interface NotedChanges {
  /** The version of the last one that is known. */
  known(): string
  /** It says the version of the last one. */
  note(version: string): void
  /** It is another one, or has forgotten something. */
  forget(): void
}

/**
 * Which server it is, and how much it knows: notices one that has taken another's place, or has forgotten something. Asks
 * it for the time, and what it allows.
 */
export class RedisServer {
  readonly #address: string
  readonly #keys: Keys
  readonly #commands: ScriptCommands
  readonly #listener: CoordinationListener
  readonly #changes: NotedChanges
  /** Its `run_id`, `''` where it may not be asked. */
  #id = ''
  #description: string | null = null
  /** The last fencing token it has given, as it said itself. */
  #fence = 0
  /** The last answers to claims that began with a later one: read only when it is asked for. */
  #lastGrant = ''

  constructor(
    address: string,
    keys: Keys,
    commands: ScriptCommands,
    listener: CoordinationListener,
    changes: NotedChanges
  ) {
    this.#address = address
    this.#keys = keys
    this.#commands = commands
    this.#listener = listener
    this.#changes = changes
  }

  /** `null` where it may not be asked. */
  get id(): string | null {
    return this.#id || null
  }

  /** Which one it is, for people. */
  get description(): string {
    return this.#description === null ? this.#address : `${this.#address}, ${this.#description}`
  }

  get probes(): LinkProbes {
    return {
      time: () => this.#askTime(),
      write: () => this.#askTime(this.#keys.probe),
      all: () => this.#askAll()
    }
  }

  /**
   * Notes what claims were answered.
   *
   * @returns whether the first was granted
   */
  noteAnswers(answers: string): boolean {
    if (!answers.startsWith(GRANTED)) return false
    this.#lastGrant = answers
    return true
  }

  /** Notes what it says of itself. */
  note(id: string, fence: number): void {
    const isOther = id !== '' && this.#id !== '' && id !== this.#id
    const isPast = fence < Math.max(this.#fence, Number(this.#lastGrant.split(' ', 2)[1] ?? 0))
    this.#id = id
    this.#fence = fence
    this.#lastGrant = ''
    if (isPast) {
      const lost = fence === 0 ? 'has lost its data' : 'has data from the past'
      const message = `Redis at ${this.#address} ${lost}: claims, locks and changes of jobs since are unknown to it, so a tick may run twice or count as missed, and a pause or an override may be gone`
      this.#listener.onNotice('warn', message)
    }
    if (!isOther && !isPast) return
    this.#changes.forget()
    this.#listener.onPast(true)
  }

  /** Passes on what other replicas have handed back, and which runs they are to replace. */
  tellHanded(fields: HandedFields): void {
    for (let index = 0; index < fields.length; index += 2) {
      const field = fields[index] as string
      const [tick, by] = (fields[index + 1] as string).split(' ')
      if (field.startsWith(REPLACED_MARK)) this.#listener.onReplaced(field.slice(REPLACED_MARK.length))
      else this.#listener.onHandedBack(field, Number(tick), by as string)
    }
  }

  async #askTime(...written: string[]): Promise<number> {
    const keys = [this.#keys.fence, this.#keys.handed, this.#keys.version, ...written]
    const reply = await this.#commands.rlsTime(keys.length, ...keys, this.#changes.known())
    if (typeof reply === 'number') return reply
    const [micros, handed, version] = reply
    this.tellHanded(handed)
    this.#changes.note(version)
    return micros
  }

  /** Tries all that claims need, and looks whom they are asked of. */
  async #askAll(): Promise<number> {
    const { fence, handed, paused, open, version, probes } = this.#keys
    const keys = [fence, handed, paused, open, version, ...probes]
    const probed = readProbe(await this.#commands.rlsProbe(keys.length, ...keys))
    for (const reason of findUnsafe(probed.info)) this.#listener.onUnsafe(reason)
    this.#description = describeServer(probed.info)
    this.tellHanded(probed.handed)
    this.note(runIdOf(probed.info) ?? '', probed.fence)
    this.#changes.note(probed.version)
    return probed.micros
  }
}

interface Probed {
  readonly micros: number
  readonly handed: HandedFields
  /** `null` where Redis may not be asked that. */
  readonly info: string | null
  /** The last fencing token; 0 where there is none, NaN where something else is there. */
  readonly fence: number
  /** The version of the last change; `''` for none. */
  readonly version: string
}

/** @throws RefusalError where there are commands that the user may not run */
function readProbe([micros, handed, refused, info, fence, version]: ProbeReply): Probed {
  if (refused !== '') {
    const commands = refused.toLowerCase().replaceAll(' ', ', ')
    throw new RefusalError(`NOPERM this user may not run what claims and locks need: ${commands}`)
  }
  return { micros, handed, info: info === '' ? null : info, fence: Number(fence), version }
}
