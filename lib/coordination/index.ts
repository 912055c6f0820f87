import type { Clock } from '../../types/clock.js'
import type {
  Coordination,
  CoordinationFactory,
  CoordinationListener,
  HistoryBounds
} from '../../types/coordination.js'
import type { RedisInput } from '../../types/redis.js'
import { MemoryCoordination } from './memory/coordination.js'
import { MemoryStore } from './memory/store.js'
import { QuorumCoordination } from './quorum/coordination.js'
import { resolveRedis } from './redis/client.js'
import { RedisCoordination } from './redis/coordination.js'

export interface CoordinationOptions {
  /** `undefined` for coordination in this process only. */
  readonly redis: RedisInput | undefined
  readonly prefix: string
  readonly replicaId: string
  /** In milliseconds. */
  readonly maxClockSkew: number
  readonly clock: Clock
  /** How much of the history is kept; `null` for none. */
  readonly history: HistoryBounds | null
  /** Makes it in place of all that is built in. */
  readonly coordination: CoordinationFactory | undefined
}

/**
 * The coordination that the options ask for; it is not opened yet.
 *
 * @throws RedisUrlInvalidError, OptionInvalidError
 */
export function createCoordination(options: CoordinationOptions, listener: CoordinationListener): Coordination {
  const { redis, prefix, replicaId, maxClockSkew, clock, history } = options
  if (options.coordination !== undefined) return options.coordination({ replicaId, maxClockSkew, history, listener })
  if (redis === undefined) {
    return new MemoryCoordination(clock, new MemoryStore(), maxClockSkew, listener, replicaId, history)
  }
  const resolved = resolveRedis(redis)
  const common = { prefix, replicaId, maxClockSkew, clock, history }
  if (!Array.isArray(resolved)) return new RedisCoordination({ redis: resolved, ...common, listener })
  const masters = resolved.map((master) => ({
    address: master.address,
    connect: (listener: CoordinationListener) =>
      new RedisCoordination({ redis: master, ...common, listener, isNode: true })
  }))
  return new QuorumCoordination({ masters, clock, listener })
}
