import { randomBytes } from 'node:crypto'
import type { Coordination, CoordinationListener } from '../../types/coordination.js'
import type { ResolvedOptions } from '../options.js'
import { MemoryCoordination, MemoryStore } from './memory.js'
import { RedisCoordination } from './redis.js'
import { resolveRedis } from './redis-client.js'

/**
 * The coordination that the options ask for; it is not opened yet.
 *
 * @throws RedisUrlInvalidError, OptionInvalidError
 */
export function createCoordination(options: ResolvedOptions, listener: CoordinationListener): Coordination {
  const { redis, prefix, replicaId, maxClockSkew, clock } = options
  if (redis === undefined) {
    return new MemoryCoordination(clock, new MemoryStore(), maxClockSkew, () => randomBytes(16).toString('hex'))
  }
  return new RedisCoordination({ redis: resolveRedis(redis), prefix, replicaId, maxClockSkew, clock, listener })
}
