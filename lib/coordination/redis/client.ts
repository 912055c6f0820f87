import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { RedisInput, RedisMasterInput } from '../../../types/redis.js'
import { isPlainObject } from '../../base/check.js'
import { ourNameFor, PEER_REDIS_NAMES } from '../../base/peer-names.js'
import { show } from '../../base/show.js'
import { OptionInvalidError, OptionUnknownError, RedisUrlInvalidError } from '../../errors.js'
import { DEFAULT_OPTIONS, duplicate, isClient, isCluster, isToBeChecked, OWN_OPTIONS } from './own-connection.js'

/** A scheduler's client of one Redis, before it is made. */
export interface RedisClient {
  /** Whether it is the scheduler's, which closes it; else it is a client of the app's that cannot be duplicated. */
  readonly owned: boolean
  /** Its address without credentials, for logs and errors. */
  readonly address: string
  /** Makes it, and does not connect it. ioredis is loaded here, unless the app has given a client. */
  make(): Promise<Redis | Cluster>
}

/** Every claim goes to every master. */
const MAX_MASTERS = 99

/**
 * Reads the option `redis`: one client, or one for each master.
 *
 * @throws RedisUrlInvalidError, OptionInvalidError, OptionUnknownError; none of them shows a password
 */
export function resolveRedis(input: RedisInput): RedisClient | RedisClient[] {
  return Array.isArray(input) ? resolveMasters(input) : resolveOne(input as RedisMasterInput | Cluster)
}

/** One master under two addresses would vote twice, and a Cluster is no single master: neither can be part of a quorum. */
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
    const { address } = master
    if (isClient(input) && isCluster(input)) throw new OptionInvalidError(`redis[${index}]`, 'one Redis', 'a Cluster')
    for (const place of [input, placeOf(input)]) {
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
    // The first of them wins, also over the URL's query.
    return { owned: true, address: redactUrl(input), make: () => makeRedis(OWN_OPTIONS, input, DEFAULT_OPTIONS) }
  }
  if (isClient(input)) {
    const own = duplicate(input)
    if (own === null) checkNumbers(input.options)
    return { owned: own !== null, address: addressOf(input), make: async () => own ?? input }
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

/** redlock, for one, expects numbers as numbers. */
function checkNumbers(options: unknown): void {
  const { stringNumbers, redisOptions } = (options ?? {}) as { stringNumbers?: unknown; redisOptions?: unknown }
  if (stringNumbers) throw new OptionInvalidError('redis.stringNumbers', 'false or left out', show(stringNumbers))
  if (redisOptions) checkNumbers(redisOptions)
}

function fromOptions(input: RedisOptions): RedisClient {
  // Our scripts' replies are read in ioredis' default mapping.
  const { replyMapping: _ignored, ...options } = input
  for (const [key, value] of Object.entries(options)) {
    const ours = value === undefined ? null : ourNameFor(key, PEER_REDIS_NAMES)
    if (ours !== null) throw new OptionUnknownError(key, '`redis`', `: here it is ${ours}`)
  }
  const { host, port, sentinels, name } = options as Readonly<Record<string, unknown>>
  if (host !== undefined && typeof host !== 'string') throw new OptionInvalidError('redis.host', 'a string', show(host))
  if (port !== undefined && !(Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536)) {
    throw new OptionInvalidError('redis.port', 'a port from 1 to 65535', show(port))
  }
  const { db } = options as { db?: unknown }
  if (db !== undefined && !(Number.isInteger(Number(db)) && Number(db) >= 0)) {
    throw new OptionInvalidError('redis.db', 'the number of a database', show(db))
  }
  if (sentinels && !(Array.isArray(sentinels) && sentinels.length > 0)) {
    throw new OptionInvalidError('redis.sentinels', 'an array of addresses', show(sentinels))
  }
  if (sentinels && (typeof name !== 'string' || name === '')) {
    throw new OptionInvalidError('redis.name', 'the name of the master that the Sentinels watch', show(name))
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
  const enableReadyCheck = isToBeChecked(sentinels)
  const own = { ...DEFAULT_OPTIONS, enableReadyCheck, ...options, ...OWN_OPTIONS }
  return { owned: true, address: addressIn(own), make: () => makeRedis(own) }
}

async function makeRedis(...args: readonly unknown[]): Promise<Redis> {
  // By its default, as a bundler may not know the names that a CommonJS package exports; and into one file.
  const { default: ioredis } = await import(/* webpackMode: "eager" */ 'ioredis')
  try {
    return Reflect.construct(ioredis.Redis, args) as Redis
  } catch (error) {
    // Only ioredis' own words: the options may hold a password.
    throw new OptionInvalidError(
      'redis',
      'options that ioredis takes',
      error instanceof Error ? error.message : 'others'
    )
  }
}

function checkUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const known = parsed !== null && (parsed.protocol === 'redis:' || parsed.protocol === 'rediss:')
  // The database, when given, is a number; ioredis would take another path for 0.
  if (!known || parsed.hostname === '' || !/^(\/\d*)?$/.test(parsed.pathname)) {
    throw new RedisUrlInvalidError('', show(redactUrl(url)))
  }
  try {
    decodeURIComponent(parsed.username + parsed.password)
  } catch {
    const expected = ', with a % in the user or the password written as %25'
    throw new RedisUrlInvalidError(expected, show(redactUrl(url)))
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

/** Equal for two that lead to one master, by whatever name; the databases of one server are not independent. */
function placeOf(input: RedisMasterInput): string {
  const options = typeof input === 'string' ? targetOf(input) : isClient(input) ? input.options : input
  const { host = 'localhost', port = 6379, path, sentinels, name = '' } = options as RedisOptions
  const of = (host = 'localhost', port: number | string = 6379): string => {
    return `${/^(localhost|127\.0\.0\.1|::1)$/i.test(host) ? 'localhost' : host.toLowerCase()}:${port}`
  }
  if (sentinels) return `${name} of ${sentinels.map((each) => of(each.host, each.port)).sort()}`
  return path ?? of(host, port)
}

/** Where a URL leads, as ioredis reads it. */
function targetOf(url: string): RedisOptions {
  const { hostname, port, searchParams } = new URL(url)
  const path = searchParams.get('path')
  return { host: hostname, ...(port && { port: Number(port) }), ...(path && { path }) }
}

function addressOf(client: Redis | Cluster): string {
  return isCluster(client) ? 'a Cluster' : addressIn(client.options)
}

function addressIn({ host, port, path, sentinels, name }: RedisOptions): string {
  if (sentinels) return `the master ${name ?? ''} of ${sentinels.length} Sentinels`
  return path ?? `${host ?? '127.0.0.1'}:${port ?? 6379}`
}
