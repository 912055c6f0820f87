import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { RedisInput, RedisMasterInput } from '../../types/scheduler.js'
import { isPlainObject } from '../check.js'
import { OptionInvalidError, RedisUrlInvalidError } from '../errors.js'
import { loadIoredis } from '../lazy.js'
import { show } from '../show.js'

/** A client of the app's or of our own. */
export interface RedisClient {
  readonly client: Redis | Cluster
  /** Whether we opened it, and therefore close it. */
  readonly owned: boolean
  /** Where it connects to, without credentials, for logs and errors. */
  readonly address: string
}

/**
 * What a client we open is made with. With ioredis' offline queue a claim asked for while Redis is down would be
 * executed on reconnect, and hold a lock that nobody knows of. A command that was sent and not answered is not sent
 * again behind our back: claims are repeated by the scheduler, which knows whether they are still wanted.
 */
const OWN_OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0
} satisfies RedisOptions

/** What a client we open has unless the options say otherwise. */
const DEFAULT_OPTIONS = {
  connectTimeout: 5000,
  disconnectTimeout: 100,
  // A connection that has died without a word is replaced, and not waited for until the kernel gives it up.
  socketTimeout: 3000,
  // What was the master is a replica now: a new connection finds the new master, where there is a way to.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2000)
} satisfies RedisOptions

/** Every claim goes to every master. */
const MAX_MASTERS = 99

/**
 * Makes the option `redis` into one client, or into one for each master; connects nothing.
 *
 * @throws RedisUrlInvalidError, OptionInvalidError; without the password in either
 */
export function resolveRedis(input: RedisInput): RedisClient | RedisClient[] {
  return Array.isArray(input) ? resolveMasters(input) : resolveOne(input as RedisMasterInput | Cluster)
}

/** Two that are one master would vote twice, and a Cluster has replicas of its own: neither makes a quorum. */
function resolveMasters(inputs: readonly RedisMasterInput[]): RedisClient[] {
  const { length } = inputs
  if (length < 3 || length > MAX_MASTERS || length % 2 === 0) {
    const expected = `an array of an odd number of masters, from 3 to ${MAX_MASTERS}`
    throw new OptionInvalidError('redis', expected, `an array of ${length}`)
  }
  const places = new Map<unknown, number>()
  // The copy has no holes, which `map` would pass over.
  return [...inputs].map((input, index) => {
    if (Array.isArray(input)) throw new OptionInvalidError(`redis[${index}]`, 'one Redis', 'an array')
    const master = resolveOne(input)
    const { client, address } = master
    if (isCluster(client)) throw new OptionInvalidError(`redis[${index}]`, 'one Redis', 'a Cluster')
    for (const place of [client, placeOf(client)]) {
      const other = places.get(place)
      if (other !== undefined) {
        throw new OptionInvalidError(
          'redis',
          'masters that are not the same',
          `${address} as [${other}] and [${index}]`
        )
      }
      places.set(place, index)
    }
    return master
  })
}

function resolveOne(input: RedisMasterInput | Cluster): RedisClient {
  if (typeof input === 'string') {
    checkUrl(input)
    const { Redis } = loadIoredis()
    return { client: new Redis(input, { ...DEFAULT_OPTIONS, ...OWN_OPTIONS }), owned: true, address: redactUrl(input) }
  }
  if (isClient(input)) {
    checkNumbers(input.options)
    return { client: input, owned: false, address: addressOf(input) }
  }
  if (isPlainObject(input)) return fromOptions(input as RedisOptions)
  // An object that is none of these may hold a password: only its kind is shown.
  const expected = 'a Redis URL, ioredis options, an ioredis client or Cluster, or an array of masters'
  throw new OptionInvalidError(
    'redis',
    expected,
    typeof input === 'object' && input !== null ? Object.prototype.toString.call(input) : show(input)
  )
}

/** redlock, for one, reads numbers as numbers. */
function checkNumbers(options: unknown): void {
  const { stringNumbers, redisOptions } = (options ?? {}) as { stringNumbers?: unknown; redisOptions?: unknown }
  if (stringNumbers) throw new OptionInvalidError('redis.stringNumbers', 'false or left out', show(stringNumbers))
  if (redisOptions) checkNumbers(redisOptions)
}

function fromOptions(input: RedisOptions): RedisClient {
  // The replies our scripts read are those of ioredis' own mapping.
  const { replyMapping: _ignored, ...options } = input
  const { host, port, sentinels } = options as { host?: unknown; port?: unknown; sentinels?: unknown }
  if (host !== undefined && typeof host !== 'string') throw new OptionInvalidError('redis.host', 'a string', show(host))
  if (port !== undefined && !(Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536)) {
    throw new OptionInvalidError('redis.port', 'a port from 1 to 65535', show(port))
  }
  if (sentinels && !(Array.isArray(sentinels) && sentinels.length > 0)) {
    throw new OptionInvalidError('redis.sentinels', 'an array of addresses', show(sentinels))
  }
  for (const [key, value] of Object.entries(OWN_OPTIONS)) {
    const given = (options as Record<string, unknown>)[key]
    if (given === undefined || given === value) continue
    throw new OptionInvalidError(
      `redis.${key}`,
      `${value}, which a scheduler's own client needs, or left out`,
      show(given)
    )
  }
  checkNumbers(options)
  const { Redis } = loadIoredis()
  try {
    const client = new Redis({ ...DEFAULT_OPTIONS, ...options, ...OWN_OPTIONS })
    return { client, owned: true, address: addressOf(client) }
  } catch (error) {
    // Only what ioredis says: the options may hold a password.
    throw new OptionInvalidError(
      'redis',
      'options that ioredis takes',
      error instanceof Error ? error.message : 'others'
    )
  }
}

/** Whether a value is an ioredis client or Cluster, also of another copy of ioredis. */
function isClient(value: unknown): value is Redis | Cluster {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as { defineCommand?: unknown; status?: unknown; evalsha?: unknown }
  return typeof candidate.defineCommand === 'function' && typeof candidate.status === 'string'
}

function checkUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const known = parsed !== null && (parsed.protocol === 'redis:' || parsed.protocol === 'rediss:')
  // The database, when given, is a number; ioredis would take another path for 0.
  if (!known || parsed.hostname === '' || !/^(\/\d*)?$/.test(parsed.pathname)) {
    throw new RedisUrlInvalidError(show(redactUrl(url)))
  }
}

/**
 * A Redis URL that can be shown: without credentials, also where they stand in a URL that is broken, such as
 * `redis://user:password` with its host forgotten.
 */
export function redactUrl(url: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(url)?.[0] ?? ''
  const [address = '', ...query] = url.slice(scheme.length).split(/[?#]/)
  // An @ in what looks like the query may be that of credentials with a ? in them.
  if (query.some((part) => part.includes('@'))) return `${scheme}***`
  const at = address.lastIndexOf('@')
  const host = at < 0 ? address.replace(/^[^:/]*:(?!\d{1,5}(?:\/|$))[^/]+/, '***') : `***@${address.slice(at + 1)}`
  return scheme + host + (query.length > 0 ? '?***' : '')
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return 'nodes' in client && typeof client.nodes === 'function'
}

/** What two clients of one master have in common, whatever they call it; its databases are not independent. */
function placeOf({ options }: Redis): string {
  const { host = 'localhost', port = 6379, path, sentinels, name = '' } = options
  const of = (host = 'localhost', port: number | string = 6379): string => {
    return `${/^(localhost|127\.0\.0\.1|::1)$/i.test(host) ? 'localhost' : host.toLowerCase()}:${port}`
  }
  if (sentinels) return `${name} of ${sentinels.map((each) => of(each.host, each.port)).sort()}`
  return path ?? of(host, port)
}

function addressOf(client: Redis | Cluster): string {
  if (isCluster(client)) return 'a Cluster'
  const { host, port, path, sentinels, name } = client.options
  if (sentinels) return `the master ${name ?? ''} of ${sentinels.length} Sentinels`
  return path ?? `${host ?? '127.0.0.1'}:${port ?? 6379}`
}
