/** The oldest Redis that has every command the scripts use. */
const OLDEST = [6, 2]

/** The first Redis that respects `min-replicas-to-write` in scripts. Valkey, and services that report a Redis version, report later ones. */
const HEEDS_REPLICAS = [6, 2, 7]

/** The `run_id` of a server's process; `null` where INFO does not show it. */
export function runIdOf(info: string | null): string | null {
  return /^run_id:(\w+)/m.exec(info ?? '')?.[1] ?? null
}

/** Which server it is, for people: its version, and whether it stands alone; `null` where it may not be asked. */
export function describeServer(info: string | null): string | null {
  const version = /^redis_version:([\d.]+)/m.exec(info ?? '')?.[1]
  if (info === null || version === undefined) return null
  // Valkey tells the version of Redis that it stands for as well.
  const valkey = /^valkey_version:([\d.]+)/m.exec(info)?.[1]
  const name = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`
  if (/^cluster_enabled:1/m.test(info)) return `${name}, a Cluster`
  const replicas = Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0)
  return `${name}, one master${replicas === 0 ? '' : ` with ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`}`
}

/**
 * Settings of a Redis that endanger claims and locks, as sentences for the log; empty when there are none.
 *
 * @param info the reply to INFO; `null` where it is refused
 */
export function findUnsafe(info: string | null): string[] {
  if (info === null) {
    return ['this Redis user may not run INFO: whether Redis evicts keys, or is too old, cannot be seen; allow +info']
  }
  const found: string[] = []
  const version = /^redis_version:([\d.]+)/m.exec(info)?.[1] ?? ''
  if (isOlder(version, OLDEST)) {
    found.push(`Redis ${version} is older than ${OLDEST.join('.')}, the oldest that is supported`)
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  if (policy !== undefined && policy !== 'noeviction') {
    found.push(`Redis evicts keys (maxmemory-policy ${policy}): claims and locks can be lost; set it to noeviction`)
  }
  // A master of a Cluster that is cut off from the others stops taking writes by itself.
  const isMaster = /^role:master/m.test(info) && /^connected_slaves:[1-9]/m.test(info)
  if (!isMaster || /^cluster_enabled:1/m.test(info)) return found
  const split = 'after a split two masters grant the same ticks for as long as it lasts'
  // INFO has this field only where `min-replicas-to-write` and `min-replicas-max-lag` are set.
  if (!/^min_slaves_good_slaves:/m.test(info)) {
    found.push(
      `Redis has replicas and takes writes without them: ${split}; set min-replicas-to-write to 1 and min-replicas-max-lag to 3`
    )
  }
  if (isOlder(version, HEEDS_REPLICAS)) {
    const needed = HEEDS_REPLICAS.join('.')
    found.push(`Redis ${version} does not heed min-replicas-to-write in scripts: ${split}; take ${needed} or later`)
  }
  return found
}

/** Whether a version is older than another; `false` for an unknown version. */
function isOlder(version: string, than: readonly number[]): boolean {
  if (version === '') return false
  const parts = version.split('.').map(Number)
  for (const [index, least] of than.entries()) {
    const part = parts[index] ?? 0
    if (part !== least) return part < least
  }
  return false
}
