/** The oldest Redis whose commands are all that the scripts use. */
const OLDEST = [6, 2] as const

/** What a server calls its process; `null` where it does not tell. */
export function runIdOf(info: string | null): string | null {
  return /^run_id:(\w+)/m.exec(info ?? '')?.[1] ?? null
}

/**
 * What a Redis says of itself that endangers claims and locks, in words for a log; empty when there is nothing.
 *
 * @param info the reply to INFO; `null` where it is refused
 */
export function findUnsafe(info: string | null): string[] {
  if (info === null) {
    return ['this Redis user may not run INFO: whether Redis evicts keys, or is too old, cannot be seen; allow +info']
  }
  const found: string[] = []
  const version = /^redis_version:(\d+)\.(\d+)/m.exec(info)
  if (version !== null) {
    const [major, minor] = [Number(version[1]), Number(version[2])]
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
      found.push(`Redis ${major}.${minor} is older than ${OLDEST.join('.')}, the oldest that is supported`)
    }
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  if (policy !== undefined && policy !== 'noeviction') {
    found.push(`Redis evicts keys (maxmemory-policy ${policy}): claims and locks can be lost; set it to noeviction`)
  }
  // Said only where `min-replicas-to-write` and `min-replicas-max-lag` are set. A master of a Cluster that is cut off from
  // the others takes no writes any more by itself.
  const isMaster = /^role:master/m.test(info) && /^connected_slaves:[1-9]/m.test(info)
  if (isMaster && !/^min_slaves_good_slaves:/m.test(info) && !/^cluster_enabled:1/m.test(info)) {
    found.push(
      'Redis has replicas and takes writes without them: after a split two masters grant the same ticks for as long as ' +
        'it lasts; set min-replicas-to-write to 1 and min-replicas-max-lag to 3'
    )
  }
  return found
}
