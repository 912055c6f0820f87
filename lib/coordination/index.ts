import type { Coordination, CoordinationListener } from '../../types/coordination.js'
import type { ResolvedOptions } from '../options.js'
import { MemoryCoordination } from './memory.js'
import { MemoryStore } from './memory-store.js'
import { QuorumCoordination } from './quorum.js'
import { RedisCoordination } from './redis.js'
import { resolveRedis } from './redis-client.js'

/**
 * The coordination that the options ask for; it is not opened yet.
 *
 * @throws RedisUrlInvalidError, OptionInvalidError
 */
export function createCoordination(options: ResolvedOptions, listener: CoordinationListener): Coordination {
  const { redis, prefix, replicaId, maxClockSkew, clock } = options
  if (options.coordination !== undefined) return options.coordination({ replicaId, maxClockSkew, listener })
  if (redis === undefined) {
    return new MemoryCoordination(clock, new MemoryStore(), maxClockSkew, listener, replicaId)
  }
  const resolved = resolveRedis(redis)
  const common = { prefix, replicaId, maxClockSkew, clock }
  if (!Array.isArray(resolved)) return new RedisCoordination({ redis: resolved, ...common, listener })
  const masters = resolved.map((master) => ({
    address: master.address,
    connect: (listener: CoordinationListener) =>
      new RedisCoordination({ redis: master, ...common, listener, isVote: true })
  }))
  return new QuorumCoordination({ masters, clock, listener })
}
