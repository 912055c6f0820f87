import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { SECOND } from '../../base/duration.js'
import { isOfReplica } from './refusals.js'

// The options of the scheduler's connections, wherever they lead.

/** How long opening a connection may take: the next attempt may find another master. */
const CONNECT_LIMIT = 2 * SECOND

/** For how long one of a Cluster's connections may be silent: what its link sees is the Cluster. */
const SILENCE_LIMIT = 3 * SECOND

const retryStrategy = (attempt: number): number => Math.min(50 * 2 ** Math.min(attempt, 6), 2000)

/**
 * Options that a connection of ours must have. With ioredis' offline queue, a claim requested while Redis is down would be
 * executed on reconnect, and would hold a lock that nobody knows of. ioredis must not resend a command that was sent and
 * not answered: the scheduler repeats claims itself, and knows whether they are still wanted.
 */
export const OWN_OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0
} satisfies RedisOptions

/** Options that it has unless those of the scheduler say otherwise. */
export const DEFAULT_OPTIONS = {
  // A Redis that is loading its data says so in its replies; where there is a ready check, it is repeated every second.
  enableReadyCheck: false,
  maxLoadingRetryTime: SECOND,
  connectTimeout: CONNECT_LIMIT,
  disconnectTimeout: SECOND / 10,
  keepAlive: 10 * SECOND,
  // The former master is a replica now, or cut off from its replicas: a new connection finds the new master, where
  // something leads to it.
  reconnectOnError: isOfReplica,
  retryStrategy,
  // A Sentinel that hangs is passed over, and all of them are asked repeatedly.
  sentinelCommandTimeout: CONNECT_LIMIT,
  sentinelRetryStrategy: (attempt: number) => Math.min(50 * attempt, 1000)
} satisfies RedisOptions

/** Options that a client of the app's may have for its own purposes, and that do not suit claims. */
const NOT_OF_THE_APP = {
  commandTimeout: undefined,
  // A silent connection is renewed by its link.
  socketTimeout: undefined,
  role: 'master',
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  enableAutoPipelining: false,
  himportFieldsets: undefined,
  replyMapping: 'legacy'
} as RedisOptions

/** Further options of a Cluster of ours. ioredis must not resend its commands either. */
const CLUSTER_OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  enableReadyCheck: false,
  scaleReads: 'master',
  slotsRefreshTimeout: SECOND,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  clusterRetryStrategy: retryStrategy,
  // A node that is lost is looked up in the Cluster's slots, and not only at its old address.
  clusterNodeRetryStrategy: undefined,
  himportFieldsets: undefined
} as ClusterOptions

/**
 * A connection of our own to the server of a client of the app's. That client is only the template: it is neither used,
 * connected nor closed. It makes the copy itself, so that this is of the app's version of ioredis. `null` where it cannot.
 */
export function duplicate(client: Redis | Cluster): Redis | Cluster | null {
  try {
    const made = isCluster(client) ? duplicateCluster(client) : duplicateRedis(client)
    return made !== client && isClient(made) ? made : null
  } catch {
    return null
  }
}

function duplicateRedis(client: Redis): Redis {
  const { sentinels, db } = client.options
  // A database selected since is the one that counts: the app's other processes have selected it, too.
  const { condition } = client as { condition?: { select?: number } | null }
  return client.duplicate({
    ...DEFAULT_OPTIONS,
    ...NOT_OF_THE_APP,
    ...OWN_OPTIONS,
    enableReadyCheck: isToBeChecked(sentinels) || !waitsForHandshake(client),
    db: condition?.select ?? db ?? 0
  })
}

/** Behind Sentinels a ready check makes sure that the server they name as master is one. */
export function isToBeChecked(sentinels: unknown): boolean {
  return Boolean(sentinels)
}

/**
 * Whether the client is ready only once the handshake of its connection is answered, as of ioredis 6. ioredis 5 is ready
 * before it knows whether its database was selected, and takes a connection that was closed meanwhile for ready, for ever.
 * There the ready check is made: it follows the handshake, and sees whether the connection is still open.
 */
function waitsForHandshake({ options }: Redis): boolean {
  return 'replyMapping' in options
}

function duplicateCluster(client: Cluster): Cluster {
  const { redisOptions } = client.options
  const own = {
    ...redisOptions,
    ...DEFAULT_OPTIONS,
    ...NOT_OF_THE_APP,
    ...OWN_OPTIONS,
    socketTimeout: SILENCE_LIMIT
  }
  return client.duplicate([], { ...CLUSTER_OPTIONS, redisOptions: own } as Parameters<Cluster['duplicate']>[1])
}

/** Whether a value is an ioredis client or Cluster, also of another copy of ioredis. */
export function isClient(value: unknown): value is Redis | Cluster {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as { defineCommand?: unknown; status?: unknown }
  return typeof candidate.defineCommand === 'function' && typeof candidate.status === 'string'
}

export function isCluster(client: Redis | Cluster): client is Cluster {
  return 'nodes' in client && typeof client.nodes === 'function'
}
