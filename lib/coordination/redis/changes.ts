import type { Cluster, Redis } from 'ioredis'
import type {
  Change,
  ChangeAnswer,
  ChangeRequest,
  CoordinationListener,
  Standing,
  StandingPause
} from '../../../types/coordination.js'
import { groupScope, jobScope, nameOfChange, scopeOf } from '../../base/scopes.js'
import { nextInSequence } from '../../base/sequence.js'
import { ChangeFeed } from '../change-feed.js'
import { readChange, readOverride, readPause, writeChange } from './change-text.js'
import type { ScriptCommands } from './commands.js'
import { BY_CODE_MARK, CHANGE_CONFLICT, CHANGE_PASSED, CHANGE_UNKNOWN, GROUP_SCOPE, NOBODY } from './constants.js'
import { unescapeField } from './fields.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { writeKey } from './requests.js'

export interface RedisChangesOptions {
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly commands: ScriptCommands
  readonly keys: Keys
  readonly listener: CoordinationListener
}

/** Changes in one Redis: who makes them, and how this process hears of those that others have made. */
export class RedisChanges {
  readonly #options: RedisChangesOptions
  readonly #feed: ChangeFeed

  constructor(options: RedisChangesOptions) {
    this.#options = options
    this.#feed = new ChangeFeed({
      read: (after) => this.#read(after),
      tell: (changes, isComplete) => options.listener.onChanges(changes, isComplete)
    })
  }

  /** The version of the last change that is known, as Redis has it: `''` for none, and none of its own before the first contact. */
  get known(): string {
    const { known } = this.#feed
    return known === null ? NOBODY : `${known || ''}`
  }

  /** The version that claims are made by, as Redis has it: `''` for none. */
  get applied(): string {
    return `${this.#feed.applied || ''}`
  }

  /** A reply says the version of the last change. */
  note(version: string): void {
    this.#feed.note(Number(version))
  }

  /** The server is another one, or has lost something: what was known of it says nothing. */
  forget(): void {
    this.#feed.forget()
  }

  /**
   * @param at as of `CoordinationNode.changeAt`; `''` for now
   * @throws RedisUnavailableError
   */
  async change(request: ChangeRequest, at: number | null | ''): Promise<ChangeAnswer> {
    const { link, commands, keys } = this.#options
    const { id, kind, expected } = request
    const isAny = expected === undefined
    const args = [
      id,
      `${at ?? NOBODY}`,
      kind,
      writeScope(scopeOf(request)),
      writeChange(request),
      isAny ? '' : (expected ?? NOBODY),
      request.kind === 'cancel' ? (request.isDone ? '' : request.runId) : 'jobId' in request ? request.jobId : '',
      request.kind === 'release' ? `${request.slot ?? ''}` : request.kind === 'skip' ? `${request.scheduledTime}` : ''
    ]
    const [status, text] = await link.command(nameOfChange(request), () => commands.rlsChange(1, keys.fence, ...args))
    const change = readChange(text)
    if (status === CHANGE_CONFLICT) return { status: 'conflict', by: change?.by ?? null, at: change?.at ?? null }
    if (status === CHANGE_UNKNOWN) return { status: 'unknown' }
    if (status === CHANGE_PASSED) return { status: 'passed' }
    return { status: 'made', change: change as Change }
  }

  /** @throws RedisUnavailableError */
  async standing(): Promise<Standing> {
    const { link, commands, keys } = this.#options
    const askedAt = nextInSequence()
    const [, ofJobs, ofOthers, skipped, overridden] = await link.command('read what is in force', () =>
      commands.rlsStanding(1, keys.fence)
    )
    this.#feed.noteRead(askedAt)
    const pauses: StandingPause[] = []
    const resumed: string[] = []
    const add = (fields: readonly string[], scopeOfField: (field: string) => StandingPause['scope']): void => {
      for (let index = 0; index < fields.length; index += 2) {
        const noted = fields[index + 1] as string
        const pause = readPause(scopeOfField(fields[index] as string), noted)
        if (pause !== null) pauses.push(pause)
        else if (fields === ofJobs && !noted.endsWith(BY_CODE_MARK)) resumed.push(fields[index] as string)
      }
    }
    add(ofJobs, jobScope)
    add(ofOthers, readScope)
    const skips = skipped.flatMap((field, index) => {
      const [, tick, jobId = ''] = (index % 2 === 0 && /^(\d+) (.*)$/s.exec(field)) || []
      if (tick === undefined) return []
      const by = readChange(skipped[index + 1])?.by
      return [{ jobId, scheduledTime: Number(tick), ...(by === undefined ? {} : { by }) }]
    })
    const overrides = overridden.flatMap((entry, index) => (index % 2 === 0 ? [] : (readOverride(entry) ?? [])))
    return { pauses, resumed, skips, overrides }
  }

  /** @throws RedisUnavailableError */
  async last(limit: number): Promise<readonly Change[]> {
    const { client, link, keys } = this.#options
    try {
      const entries = await link.exchange(() => client.xrevrange(keys.changes, '+', '-', 'COUNT', limit))
      return entries.flatMap(([, fields]) => readChange(fields[1]) ?? [])
    } catch (error) {
      throw link.unavailable('read what was changed', error)
    }
  }

  async #read(after: number): Promise<{ changes: readonly (Change | null)[]; version: number }> {
    const { client, link, keys } = this.#options
    try {
      // The version first: there are changes up to it at least when they are read.
      const [version, entries] = await link.exchange(() => {
        return Promise.all([client.get(keys.version), client.xrange(keys.changes, `(${after}-0`, '+')])
      })
      return { changes: entries.map(([, fields]) => readChange(fields[1])), version: Number(version) }
    } catch (error) {
      throw link.unavailable('read what was changed', error)
    }
  }
}

/** A scope as a field: of a group as claims have it, whose name may be any text. */
function writeScope(scope: string): string {
  return scope.startsWith(GROUP_SCOPE) ? GROUP_SCOPE + writeKey(scope.slice(GROUP_SCOPE.length)) : scope
}

function readScope(field: string): StandingPause['scope'] {
  return field.startsWith(GROUP_SCOPE) ? groupScope(unescapeField(field.slice(GROUP_SCOPE.length))) : 'all'
}
