/** The oldest Redis whose commands are all that the scripts use. */
const OLDEST = [6, 2] as const

/**
 * What a Redis says of itself that endangers claims and locks, in words for a log; empty when there is nothing.
 *
 * @param info the reply to INFO
 */
export function findUnsafe(info: string): string[] {
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
  return found
}
