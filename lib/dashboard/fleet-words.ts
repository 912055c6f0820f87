// The first lines of the fleet's page.
import type { AdminFleet } from '../../types/admin.js'
import { list, plural, quoted } from './words.js'

type Replica = AdminFleet['replicas'][number]

/** The app's version that most replicas run; of equally many the one that came last. */
export function mainVersion(replicas: readonly Replica[]): string | null {
  const counts = new Map<string | null, { count: number; since: number }>()
  for (const { appVersion, startedAt } of replicas) {
    const known = counts.get(appVersion) ?? { count: 0, since: 0 }
    counts.set(appVersion, { count: known.count + 1, since: Math.max(known.since, startedAt) })
  }
  const [first] = [...counts].sort(([, a], [, b]) => b.count - a.count || b.since - a.since)
  return first?.[0] ?? null
}

export function fleetHeadline({ replicas }: AdminFleet, lastHeard: string | null): string {
  if (lastHeard !== null) return `${plural(replicas.length, 'replica')}, last heard of ${lastHeard}`
  const taking = replicas.filter(({ takesTicks }) => takesTicks).length
  const main = mainVersion(replicas)
  const others = replicas.filter(({ appVersion }) => appVersion !== main).length
  const first =
    taking === 0 ? 'No replica takes ticks' : `${plural(taking, 'replica')} ${taking === 1 ? 'takes' : 'take'} ticks`
  return others === 0 ? first : `${first}, ${others} ${others === 1 ? 'runs' : 'run'} another version`
}

export function fleetSubline({ replicas, differences }: AdminFleet): string {
  const main = mainVersion(replicas)
  const others = replicas.filter(({ appVersion }) => appVersion !== main)
  const idle = replicas.filter(({ takesTicks }) => !takesTicks)
  const parts: string[] = []
  if (others.length > 0) {
    const names = list(others.slice(0, 3).map(({ replicaId }) => quoted(replicaId)))
    const more = others.length > 3 ? ` and ${others.length - 3} more` : ''
    const versions = [...new Set(others.map(({ appVersion }) => appVersion ?? 'no version'))]
    parts.push(
      `${names}${more} ${others.length === 1 ? 'runs' : 'run'} ${list(versions)} instead of ${main ?? 'no version'}`
    )
  }
  if (differences !== null && differences.length > 0)
    parts.push(`${plural(differences.length, 'definition')} ${differences.length === 1 ? 'differs' : 'differ'}`)
  if (idle.length > 0 && idle.length < replicas.length) {
    parts.push(
      `${list(idle.slice(0, 3).map(({ replicaId }) => quoted(replicaId)))}${idle.length > 3 ? ' and others' : ''} ${idle.length === 1 ? 'takes' : 'take'} none`
    )
  }
  return parts.length === 0 ? 'All run the same version and define their jobs alike.' : `${parts.join('; ')}.`
}

/** `+184 ms`, with a real minus. */
export function skew(ms: number): string {
  const rounded = Math.round(ms)
  if (rounded === 0) return '0 ms'
  const size = Math.abs(rounded)
  const text = size < 10_000 ? `${size} ms` : `${Math.round(size / 1000)} s`
  return `${rounded < 0 ? '−' : '+'}${text}`
}
