import { type Fleet, withFleet } from '../fixtures/fleet.js'
import type { Tick } from '../fixtures/judge.js'
import type { PlannedJob, PlannedRedis, ReplicaPlan } from '../fixtures/protocol.js'
import type { Scale } from '../scenario.js'

export const PREFIX = 'chaos'

/** The lock's TTL of most jobs: so short that a fault outlasts it. */
export const TTL = 1000

/** Jobs of every kind: short ones, some much more often, and one that needs its lock extended again and again. */
export const JOBS: readonly PlannedJob[] = [
  { id: 'second-1', interval: 1000, duration: 50, options: { lock: { ttl: TTL } } },
  { id: 'second-2', interval: 1000, duration: 200, options: { lock: { ttl: TTL } } },
  { id: 'second-3', interval: 1000, duration: 400, options: { lock: { ttl: TTL } } },
  { id: 'fast-1', interval: 200, duration: 10, options: { lock: { ttl: TTL } } },
  { id: 'fast-2', interval: 200, duration: 50, options: { lock: { ttl: TTL } } },
  { id: 'long', interval: 1000, duration: 600, options: { lock: { ttl: 450 } } }
]

/** The jobs of every second alone. */
export const SECONDS: readonly PlannedJob[] = JOBS.filter(({ interval }) => interval === 1000)

/** The ticks that a replica may still come to at a time: of each job the one whose grace is not over then. */
export function openAt(at: number): (tick: Tick) => boolean {
  return openBetween(at, at)
}

/** As `openAt`, at any moment between two. */
export function openBetween(from: number, until: number): (tick: Tick) => boolean {
  return ({ time, interval }) => time <= until && from <= time + interval
}

/** A number for the tests, or one for the long runs. */
export function scaled(scale: Scale, short: number, long: number): number {
  return scale === 'short' ? short : long
}

export interface FleetSettings {
  readonly jobs?: readonly PlannedJob[]
  readonly count?: number
  /** Where each replica finds its Redis. */
  readonly redis: PlannedRedis | ((index: number) => PlannedRedis)
  /** What is different about each of them. */
  readonly each?: (index: number) => Partial<ReplicaPlan>
}

/** The plan of a replica. */
export function planOf({ jobs = JOBS, redis, each }: FleetSettings, index: number): ReplicaPlan {
  return {
    name: `replica-${index}`,
    redis: typeof redis === 'function' ? redis(index) : redis,
    prefix: PREFIX,
    jobs,
    closeTimeout: 2000,
    ...each?.(index)
  }
}

/** Runs `body` with three replicas at work. */
export function withReplicas<Value>(settings: FleetSettings, body: (fleet: Fleet) => Promise<Value>): Promise<Value> {
  const { jobs = JOBS, count = 3 } = settings
  return withFleet(jobs, async (fleet) => {
    await fleet.start(...Array.from({ length: count }, (_, index) => planOf(settings, index)))
    await fleet.steady()
    return body(fleet)
  })
}
