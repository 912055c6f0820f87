import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { SECOND } from '../../base/duration.js'
import { isOfReplica } from './refusals.js'

// What the scheduler's connections are opened with, whoever says where to.

/** How long opening a connection may take: the next attempt may find another master. */
const CONNECT_LIMIT = 2 * SECOND

const retryStrategy = (attempt: number): number => Math.min(50 * 2 ** Math.min(attempt, 6), 2000)

/**
 * What a connection of ours must have. With ioredis' offline queue a claim asked for while Redis is down would be
 * executed on reconnect, and hold a lock that nobody knows of. A command that was sent and not answered is not sent
 * again behind our back: claims are repeated by the scheduler, which knows whether they are still wanted.
 */
export const OWN_OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0
} satisfies RedisOptions

/** What it has unless the options of the scheduler say otherwise. */
export const DEFAULT_OPTIONS = {
  // A Redis that loads its data says so when it is asked for something; where there is a check, it is made each second.
  enableReadyCheck: false,
  maxLoadingRetryTime: SECOND,
  connectTimeout: CONNECT_LIMIT,
  disconnectTimeout: SECOND / 10,
  // A connection that has died without a word is replaced, and not waited for until the kernel gives it up.
  socketTimeout: 3 * SECOND,
  keepAlive: 10 * SECOND,
  // What was the master is a replica now, or cut off from its own: a new connection finds the new one, where there is a
  // way to.
  reconnectOnError: isOfReplica,
  retryStrategy,
  // A Sentinel that hangs is passed over, and all of them are asked again and again.
  sentinelCommandTimeout: CONNECT_LIMIT,
  sentinelRetryStrategy: (attempt: number) => Math.min(50 * attempt, 1000)
} satisfies RedisOptions

/** What a client of the app's may have for reasons of its own, and that does not fit claims. */
const NOT_OF_THE_APP = {
  commandTimeout: undefined,
  role: 'master',
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  enableAutoPipelining: false,
  himportFieldsets: undefined,
  replyMapping: 'legacy'
} as RedisOptions

/** What a Cluster of ours has beside that. Its commands are not sent again behind our back either. */
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
  // A node that is lost is looked for in the Cluster's slots, and not only where it was.
  clusterNodeRetryStrategy: undefined,
  himportFieldsets: undefined
} as ClusterOptions

/**
 * A connection of our own to where a client of the app's leads, which is only a template: neither used, connected nor
 * closed. Made by the client itself, so that it is of the app's ioredis, whichever that is. `null` where it cannot make
 * one.
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
  // The database it has selected since counts, as the app's other processes have done the same.
  const { condition } = client as { condition?: { select?: number } | null }
  return client.duplicate({
    ...DEFAULT_OPTIONS,
    ...NOT_OF_THE_APP,
    ...OWN_OPTIONS,
    enableReadyCheck: isToBeChecked(sentinels) || !waitsForHandshake(client),
    db: condition?.select ?? db ?? 0
  })
}

/** Behind Sentinels it is looked at whether what they have named a master is one. */
export function isToBeChecked(sentinels: unknown): boolean {
  return Boolean(sentinels)
}

/**
 * Whether it is ready only when what a connection begins with is answered, as from ioredis 6 on. ioredis 5 would not know
 * by then whether it is in its database, and takes a connection that was closed meanwhile for ready, for ever. The ready
 * check comes after these answers, and looks whether the connection is still there.
 */
function waitsForHandshake({ options }: Redis): boolean {
  return 'replyMapping' in options
}

function duplicateCluster(client: Cluster): Cluster {
  const { redisOptions } = client.options
  const own = { ...redisOptions, ...DEFAULT_OPTIONS, ...NOT_OF_THE_APP, ...OWN_OPTIONS }
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
