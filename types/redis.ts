import type { RedisOptions } from 'ioredis'

/** The part that `Redis` and `Cluster` of ioredis 5 and 6 have in common. */
interface RedisConnection {
  readonly status: string
  readonly options: object
  defineCommand(name: string, definition: { readonly lua: string; readonly numberOfKeys?: number }): void
  duplicate(): unknown
}

/** An ioredis `Redis`, recognised by its shape, so that its version need not be the scheduler's. */
export interface RedisLike extends RedisConnection {
  readonly nodes?: never
}

/** An ioredis `Cluster`, recognised by its shape. */
export interface ClusterLike extends RedisConnection {
  nodes(): readonly unknown[]
}

/** The options of ioredis 5 and 6, which differ in `Connector` alone. */
export type RedisOptionsInput = Omit<RedisOptions, 'Connector'> & { readonly Connector?: unknown }

/**
 * One Redis: its URL, ioredis options, or an ioredis client of the app as a template for the scheduler's own clients.
 */
export type RedisMasterInput = string | RedisOptionsInput | RedisLike

/** One Redis, an ioredis `Cluster` of the app, or an array of independent masters: an odd number, at least 3. */
export type RedisInput = RedisMasterInput | ClusterLike | readonly RedisMasterInput[]
