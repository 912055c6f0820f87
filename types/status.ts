import type { RunProgress } from './history.js'
import type { JobOverride, JobPause } from './levers.js'

/** A run that goes on, wherever it is. Times are in milliseconds since the Unix epoch. */
export interface RunningRun {
  readonly id: string
  readonly scheduledTime: number
  readonly startedAt: number
  readonly attempt: number
  readonly replicaId: string
  /** Who has asked for it by hand, if `trigger()` was told; `null` for nobody, and for a request that has waited. */
  readonly by: string | null
  readonly slot: number
  readonly fencingToken: number
  /** What is left of its lock's TTL, in milliseconds; `null` where it has lost its lock, or that was not asked for. */
  readonly lockTtl: number | null
  readonly progress: RunProgress | null
}

/** How a job stands in the whole fleet. Times are in milliseconds since the Unix epoch. */
export interface JobStatus {
  readonly id: string
  readonly name: string
  /** `null` for none. */
  readonly group: string | null
  readonly description: string | null
  /** The last run that began, anywhere; `null` before the first, or where it is not known any more. */
  readonly lastRun: {
    readonly id: string
    readonly scheduledTime: number
    readonly startedAt: number
    readonly replicaId: string
    /** `null` while it goes on. */
    readonly finishedAt: number | null
  } | null
  /** When the last run with outcome `success` ended, anywhere; `null` before the first. */
  readonly lastSuccess: number | null
  /** How many runs have failed since. */
  readonly consecutiveFailures: number
  /**
   * By when the next run is to have succeeded: its tick, jitter, grace and `timeout` in a row; without a `timeout` twice the longest
   * successful run, and a minute at least. `null` for a job that is paused, has no further tick, or runs by hand only.
   */
  readonly expectedSuccess: number | null
  /** Whether that is over. */
  readonly isOverdue: boolean
  readonly running: readonly RunningRun[]
  /** The nominal time of the next tick; `null` for none, or while the job is paused. */
  readonly nextRun: number | null
  readonly paused: boolean
  /** The pauses in force: by whom, why, and until when. */
  readonly pauses: readonly JobPause[]
  /** What operators have changed of the job's code; `null` for nothing. */
  readonly override: JobOverride | null
}

/** A replica of the fleet. */
export interface ReplicaStatus {
  readonly replicaId: string
  /** The version of this package. */
  readonly version: string
  /** The app's version, from the `package.json` in the working directory; `null` where there is none. */
  readonly appVersion: string | null
  /** When its scheduler was made, in milliseconds since the Unix epoch, by its own clock. */
  readonly startedAt: number
  /** When the store last heard of it: every 15 to 20 s while it is there. */
  readonly seenAt: number
  /** Its clock minus the store's, in milliseconds. */
  readonly clockSkew: number
  /** How many runs are active in it. */
  readonly running: number
  readonly jobs: number
  /** Whether it takes ticks: not before its start, with `autostart: false`, after `stop()`, and while it closes. */
  readonly takesTicks: boolean
}

/** How this replica is. */
export interface Health {
  /**
   * `ok`; `degraded` while claims cannot be had of Redis, or while ticks of low priority wait for the event loop; `stopped` while it
   * takes no ticks; `closing` once its end has begun.
   */
  readonly status: 'ok' | 'degraded' | 'stopped' | 'closing'
  readonly coordination: 'memory' | 'redis'
  /** Whether claims can be had. */
  readonly redisUp: boolean
  /** Why not, as it was last said; `null` while they can. */
  readonly reason: string | null
  readonly clockSkew: number
  readonly running: number
  /** How many due ticks wait to be claimed. */
  readonly backlog: number
}
