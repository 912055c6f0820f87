import type { Cluster, Redis } from 'ioredis'
import type { EnqueueAnswer, QueuedRequest, Waiting } from '../../../types/coordination.js'
import type { ScriptCommands } from './commands.js'
import { KEEP_RESULT } from './constants.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { writeKey } from './requests.js'
import type { RedisServer } from './server.js'

export interface RedisWaitingOptions {
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly server: RedisServer
  readonly commands: ScriptCommands
  readonly keys: Keys
}

/** What waits in one Redis for a slot of a job. */
export class RedisWaiting implements Waiting {
  readonly #options: RedisWaitingOptions

  constructor(options: RedisWaitingOptions) {
    this.#options = options
  }

  async hear(): Promise<void> {
    const { link, server } = this.#options
    try {
      await link.exchange(() => server.probes.time())
    } catch (error) {
      link.unavailable('ask for news', error)
    }
  }

  async enqueue({ jobId, id, key, hasData, brought, isAwaited }: QueuedRequest): Promise<EnqueueAnswer> {
    const { link, commands, keys } = this.#options
    const args = [jobId, id, writeKey(key), hasData ? '1' : '0', brought, isAwaited ? '1' : '0']
    const reply = await link.command('keep a request', () => commands.rlsEnqueue(1, keys.fence, ...args))
    const [waitsAs, isOwn] = reply
    return waitsAs === '' ? { status: 'full' } : { status: 'waits', id: waitsAs, joined: isOwn === '0' }
  }

  async readRequest(jobId: string, requestId: string): Promise<string | null> {
    const { client, link, keys } = this.#options
    return await link.command('read a request', () => client.hget(keys.requests(jobId), requestId))
  }

  async writeResult(requestId: string, result: string): Promise<void> {
    const { client, link, keys } = this.#options
    await link.command('keep a result', () => client.set(keys.result(requestId), result, 'PX', KEEP_RESULT))
  }

  async readResult(
    jobId: string,
    requestId: string
  ): Promise<{ readonly result: string | null; readonly isKnown: boolean }> {
    const { client, link, keys } = this.#options
    // In this order: what is forgotten meanwhile has its result by then, or will have none.
    const [brought, result] = await link.command('read a result', () =>
      Promise.all([client.hget(keys.requests(jobId), requestId), client.get(keys.result(requestId))])
    )
    return { result, isKnown: brought !== null }
  }
}
