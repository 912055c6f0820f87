import type { Clock } from '../../../types/clock.js'
import type { AbandonVote } from '../../../types/coordination/node.js'
import type { CoordinationListener, LostRun, OpenRun } from '../../../types/coordination.js'
import type { RedisChanges } from './changes.js'
import type { ScriptCommands } from './commands.js'
import { ABANDON_CLOSED, ABANDON_ELSEWHERE, ABANDON_HELD, ABANDON_RECORDED } from './constants.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { readOpenRun } from './record.js'
import type { RedisRecords } from './records.js'
import { writeAbandoned } from './requests.js'
import type { RedisServer } from './server.js'

const ABANDON_VOTES: { readonly [code: number]: AbandonVote } = {
  [ABANDON_CLOSED]: 'closed',
  [ABANDON_RECORDED]: 'recorded',
  [ABANDON_ELSEWHERE]: 'elsewhere',
  [ABANDON_HELD]: 'held'
}

export interface RedisOpenRunsOptions {
  readonly link: RedisLink
  readonly server: RedisServer
  readonly changes: RedisChanges
  readonly commands: ScriptCommands
  readonly keys: Keys
  readonly clock: Clock
  readonly records: RedisRecords
  readonly listener: CoordinationListener
}

/** Runs in one Redis that have begun and not ended: who looks for those whose replica died, and who records it. */
export class RedisOpenRuns {
  readonly #link: RedisLink
  readonly #server: RedisServer
  readonly #changes: RedisChanges
  readonly #commands: ScriptCommands
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #listener: CoordinationListener
  readonly #records: RedisRecords

  constructor({ link, server, changes, commands, keys, clock, listener, records }: RedisOpenRunsOptions) {
    this.#link = link
    this.#server = server
    this.#changes = changes
    this.#commands = commands
    this.#keys = keys
    this.#clock = clock
    this.#listener = listener
    this.#records = records
  }

  async findAbandoned(): Promise<readonly OpenRun[]> {
    const sent = this.#clock.monotonic()
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsLook(1, this.#keys.fence))
      const [micros, fence, serverId, found, waiting, version, handed] = reply
      this.#link.heardAsLook(sent, micros)
      this.#server.note(serverId, Number(fence))
      this.#server.tellHanded(handed)
      this.#changes.note(version)
      for (const jobId of waiting) this.#listener.onWaiting(jobId)
      return readOpenRuns(found)
    } catch (error) {
      this.#link.unavailable('look for runs', error)
      return []
    }
  }

  async abandon(runs: readonly LostRun[], callId: string): Promise<readonly AbandonVote[]> {
    const args = [...this.#records.bounds, ...runs.map((run) => writeAbandoned(run, this.#records.writeEntry))]
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsAbandon(1, this.#keys.fence, callId, ...args))
      return runs.map((_run, index) => ABANDON_VOTES[Number(reply[index])] ?? 'unavailable')
    } catch (error) {
      this.#link.unavailable('record abandoned runs', error)
      this.#records.noteLost(runs.map(({ jobId }) => jobId))
      return runs.map(() => 'unavailable')
    }
  }

  async reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    const ids = runs.map(({ runId }) => runId)
    try {
      await this.#link.exchange(() => this.#commands.rlsReopen(1, this.#keys.fence, callId, ...ids))
    } catch (error) {
      this.#link.unavailable('record abandoned runs', error)
    }
  }
}

/** @param found what stands among the open runs, each followed by until when its lock was to last */
function readOpenRuns(found: readonly string[]): OpenRun[] {
  const runs: OpenRun[] = []
  for (let index = 0; index < found.length; index += 2) {
    const run = readOpenRun(found[index] as string, Number(found[index + 1]))
    if (run !== null) runs.push(run)
  }
  return runs
}
