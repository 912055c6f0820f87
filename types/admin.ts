// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { HistoryEntry, HistoryRun, RunProgress } from './history.js'
import type { JobOverride, JobPause, ReleasedLock } from './levers.js'
import type { RunOutcome, RunTrigger, SkipReason } from './run.js'
import type { ReplicaStatus } from './status.js'
import type { TriggerObject } from './trigger.js'

/** What somebody may do by the admin routes, beyond looking. */
export type AdminAction = 'trigger' | 'pause' | 'resume' | 'skip' | 'override' | 'reset' | 'release' | 'cancel'

/** Who somebody is, and what they may do. */
export interface AdminUser {
  /** Stands in the log, in the history and in the audit event of each action; 1 to 200 characters. */
  readonly user: string
  /**
   * What they may do; an empty array for looking alone.
   *
   * @default all actions
   */
  readonly can?: readonly AdminAction[]
}

/** What `authorize` returns: whether somebody may, who it is, or nothing where it has answered by itself. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function that answers by itself need not return anything
export type AdminAnswer = boolean | AdminUser | FastifyReply | undefined | void

export interface AdminOptions {
  /**
   * The path below which the dashboard and its API are, within the prefix of the instance that the plugin is registered on.
   *
   * @default '/scheduler'
   */
  readonly prefix?: string
  /**
   * Decides on each request for the page, its assets, its API and its stream: `false` refuses it with 403, `true` allows everything, an
   * object says who it is and what they may do. It may answer by itself, such as with a redirect to a login. What it throws is
   * answered as an error of the app's routes is.
   *
   * Without it the routes only read, and only requests from this machine are answered: by a loopback address, with a local `Host`, and
   * without the headers of a proxy.
   */
  readonly authorize?: (request: FastifyRequest, reply: FastifyReply) => AdminAnswer | PromiseLike<AdminAnswer>
  /**
   * Paths of what is not shown, as pino's `redact` takes them, each beginning with `data`, `result` or `error`: such as
   * `data.card.number` or `result.*.token`. What is there is shown as `[redacted]`.
   *
   * @default []
   */
  readonly redact?: readonly string[]
  /**
   * The app's name on the page.
   *
   * @default the `name` in the `package.json` of the working directory, else the `prefix` in Redis
   */
  readonly title?: string
}

// What the routes answer with. All times are in milliseconds since the Unix epoch, by the fleet's clock.

/**
 * How a job stands: the first of these that holds. `gone`: no living replica has it. `overdue`: a success was due and has not come.
 * `failing`: its last run failed. `missed`: its last tick had no run, as nobody had room, Redis was away or its replica closed.
 * `overlapping`: its last tick had no run, as the one before still goes on.
 */
export type AdminState = 'gone' | 'paused' | 'overdue' | 'failing' | 'missed' | 'overlapping' | 'running' | 'on_time'

/** Which states are shown under one heading. */
export type AdminRank = 'attention' | 'running' | 'paused' | 'on_time' | 'gone'

/** What became of one tick, or of several in a row that had no run for one reason. */
export interface AdminTick {
  /** Its nominal time; of several that of the first. */
  readonly at: number
  readonly kind: RunOutcome | 'running' | 'waiting' | SkipReason
  /** Of several ticks without a run that of the last, and how many there are. */
  readonly until?: number
  readonly count?: number
  /** The run's id. */
  readonly run?: string
  /** The replica that ran it, or said why it had no run. */
  readonly on?: string
  readonly started?: number
  /** How long its handler took; of one that goes on, so far. In milliseconds. */
  readonly ms?: number
  /** Left out for 1. */
  readonly attempt?: number
  /** Left out for `schedule`. */
  readonly trigger?: RunTrigger
  /** `name: message` of what it failed with, 200 characters at most. */
  readonly error?: string
  /** Who asked for a run by hand, or has skipped the tick. */
  readonly by?: string
  readonly progress?: RunProgress
  /** Of a job that runs on every replica: what the others made of the tick. */
  readonly others?: readonly AdminTick[]
}

/** A run that goes on. */
export interface AdminRunning {
  readonly id: string
  readonly scheduledTime: number
  readonly startedAt: number
  readonly attempt: number
  readonly replicaId: string
  readonly by: string | null
  readonly slot: number
  readonly fencingToken: number
  /** What is left of its lock's TTL, in milliseconds; `null` where that was not asked for, or it has lost its lock. */
  readonly lockTtl: number | null
  readonly progress: RunProgress | null
}

export interface AdminJob {
  readonly id: string
  readonly name: string
  readonly group: string | null
  readonly description: string | null
  readonly state: AdminState
  readonly rank: AdminRank
  /** When it runs, such as `Every 10 minutes`; `By hand only` without a trigger. */
  readonly schedule: string
  /** The time zone that it runs by; `null` where it is the same in every zone. */
  readonly timezone: string | null
  /** From one tick to the next, in milliseconds, as it is now; `null` where there are no two. */
  readonly period: number | null
  /** Whether it runs on every replica (`lock: false`). */
  readonly isOnEvery: boolean
  readonly isOverridden: boolean
  readonly lastSuccess: number | null
  /** By when the next run is to have succeeded. */
  readonly expectedSuccess: number | null
  readonly consecutiveFailures: number
  readonly running: readonly AdminRunning[]
  readonly pauses: readonly JobPause[]
  readonly nextRun: number | null
  /** Durations of successful runs among `ticks`, in milliseconds; `null` without any, or without `ticks`. */
  readonly p50: number | null
  readonly p95: number | null
  /**
   * What became of the last ticks, the oldest first: 60 in an answer of `/api/jobs` and `/api/job`; in the stream the newest of those
   * that may have changed, to be merged by `at` and `run`.
   */
  readonly ticks: readonly AdminTick[]
}

/** How many jobs there are of each. */
export interface AdminCounts {
  readonly all: number
  readonly ranks: Readonly<Record<AdminRank, number>>
  readonly states: Readonly<Record<AdminState, number>>
}

/**
 * The order of jobs, `-` in front for the other way round: `rank` for problems first, else by id, by the last success, by the next
 * tick, or by how often they run. A job that has no such time comes last. Equal ones, and those of one rank, are ordered by how bad
 * their state is, then by id.
 */
export type AdminSort = 'rank' | 'id' | 'lastSuccess' | 'nextRun' | 'period'

/** `GET /api/jobs?search=&state=&group=&sort=&limit=&offset=`; `state` is an AdminRank or AdminState, `sort` an AdminSort. */
export interface AdminJobs {
  readonly at: number
  readonly counts: AdminCounts
  /** All groups there are. */
  readonly groups: readonly string[]
  /** How many jobs match, and how many of those are of each rank. */
  readonly total: number
  readonly matching: Readonly<Record<AdminRank, number>>
  readonly offset: number
  /** Of those that match, in the order asked for: by default problems first. */
  readonly jobs: readonly AdminJob[]
}

/** An option of a job that differs from its code. */
export interface AdminDifference {
  readonly option: string
  readonly code: unknown
  readonly now: unknown
}

/** `GET /api/job?id=` */
export interface AdminJobDetail {
  readonly at: number
  readonly job: AdminJob
  /** As it is in force: durations in milliseconds. `data` and the trigger are as they were given. */
  readonly definition: {
    readonly trigger: TriggerObject | null
    readonly data: unknown
    readonly timeout: number | null
    /** The grace for its next tick. */
    readonly misfireGraceTime: number
    readonly coalesce: string
    readonly overlap: string
    readonly maxInstances: number
    readonly maxRuns: number | null
    readonly jitter: number
    readonly priority: string
    readonly recovery: string
    readonly onRedisError: string
    /** `null` for a job that runs on every replica. */
    readonly lockTtl: number | null
    readonly retry: {
      readonly limit: number
      readonly delay: number
      readonly factor: number
      readonly maxDelay: number
      readonly jitter: boolean
    } | null
    readonly pauseAfterFailures: number | null
    readonly runOnStart: boolean
    readonly hasSchema: boolean
  }
  /** The next ten ticks; none while it is paused without an end, else those after it. */
  readonly nextRuns: readonly number[]
  readonly override: (JobOverride & { readonly differences: readonly AdminDifference[] }) | null
  /** The last run that failed, with its error and its log; `null` for none among those kept. */
  readonly lastFailure: HistoryRun | null
  /** The tick that waits for a slot; `null` for none. */
  readonly waitingTick: number | null
}

/** `GET /api/runs?job=&limit=&before=`: the story of a job, the newest first. */
export interface AdminRuns {
  readonly at: number
  readonly job: string
  readonly entries: readonly HistoryEntry[]
  /** What people have done with the job, its group or all jobs since the oldest of these, the newest first; as far as it is known. */
  readonly changes: readonly AdminChange[]
  /** What `before` is to be for those that follow; `null` where there are none. */
  readonly next: number | null
  /** How much is kept; `null` where no history is. */
  readonly kept: { readonly runs: number; readonly retention: number } | null
}

/** `GET /api/ticks?job=&from=&to=`: of up to 100 jobs, `job` given for each. */
export interface AdminTicks {
  readonly at: number
  readonly from: number
  readonly to: number
  /** In the order asked for; the ticks within the time, the oldest first, those of runs that began before and reach into it included. */
  readonly lanes: readonly {
    readonly job: string
    readonly ticks: readonly AdminTick[]
    /** Ticks to come within the time, at most 200. */
    readonly coming: readonly number[]
    /** Up to when something may be forgotten; `null` for nothing. */
    readonly forgottenUntil: number | null
  }[]
}

/** `GET /api/run?id=&job=` */
export interface AdminRun {
  readonly at: number
  readonly run: HistoryRun
}

/** Something that somebody has done. */
export interface AdminChange {
  readonly at: number
  readonly by: string
  readonly action: AdminAction
  /** One of these is given, or none for all jobs. */
  readonly job: string | null
  readonly group: string | null
  readonly run: string | null
  /** The tick that was skipped, or run again. */
  readonly scheduledTime: number | null
  /** Until when it is paused. */
  readonly until: number | null
  /** The names of the options that were changed. */
  readonly options: readonly string[]
  readonly note: string | null
}

/** `GET /api/fleet` */
export interface AdminFleet {
  readonly at: number
  /** Who asks, and what they may do. */
  readonly you: { readonly user: string | null; readonly can: readonly AdminAction[] }
  readonly app: {
    readonly title: string
    readonly replicaId: string
    readonly version: string
    readonly timezone: string
  }
  readonly replicas: readonly (ReplicaStatus & {
    /** The most runs that are active in it at once; `null` where that is not known. */
    readonly concurrency: number | null
    readonly runs: readonly { readonly job: string; readonly run: string }[]
  })[]
  readonly store: AdminStore
  readonly history: { readonly runs: number; readonly retention: number; readonly logs: string | false } | null
  /** Options that living replicas define differently; `null` where that is not known. */
  readonly differences:
    | readonly {
        readonly job: string
        readonly option: string
        readonly values: readonly {
          readonly value: unknown
          readonly appVersions: readonly string[]
          readonly replicas: readonly string[]
        }[]
      }[]
    | null
  /** What people have done, the newest first: the last 50. */
  readonly changes: readonly AdminChange[]
}

/** What the replicas share, as the replica that answers sees it. */
export interface AdminStore {
  readonly kind: 'memory' | 'redis'
  readonly isUp: boolean
  /** Why not. */
  readonly reason: string | null
  /** Since when it has not answered; `null` while it does. */
  readonly awaySince: number | null
  /** How long it takes to answer, in milliseconds; `null` where that is not known. */
  readonly latency: number | null
  /** Such as `redis-main:6379, Redis 7.4.1, one master`; `null` in memory. */
  readonly server: string | null
  readonly lastOutage: { readonly from: number; readonly to: number } | null
}

/**
 * The stream `GET /api/events`. `event: jobs` brings AdminStreamJobs, `event: store` AdminStreamStore each second or when it changes,
 * `event: reset` that something was left out: what is shown is to be read anew.
 */
export interface AdminStreamJobs {
  readonly at: number
  readonly counts: AdminCounts
  /** Those that have changed; at most 200 at a time. */
  readonly jobs: readonly AdminJob[]
  /** The ids of those that are there no more. */
  readonly removed: readonly string[]
}

export interface AdminStreamStore {
  readonly at: number
  readonly store: AdminStore
  /** How many replicas there are, and how many of them take ticks. */
  readonly replicas: number
  readonly takeTicks: number
}

/** What `POST /api/...` takes. `note` says why, in at most 500 characters. */
export interface AdminRequests {
  readonly trigger: {
    readonly job: string
    readonly scheduledTime?: number
    readonly data?: unknown
    readonly note?: string
  }
  readonly pause: AdminTarget & {
    readonly until?: number | string
    readonly note?: string
    readonly expectedVersion?: string | null
  }
  readonly resume: AdminTarget & { readonly note?: string; readonly expectedVersion?: string | null }
  readonly skip: { readonly job: string; readonly scheduledTime: number; readonly note?: string }
  readonly override: {
    readonly job: string
    readonly changes: Readonly<Record<string, unknown>>
    readonly note?: string
    readonly expectedVersion?: string | null
  }
  readonly reset: { readonly job: string; readonly note?: string; readonly expectedVersion?: string | null }
  readonly release: { readonly job: string; readonly slot?: number; readonly note?: string }
  readonly cancel: { readonly run: string; readonly note?: string }
  readonly preview: { readonly trigger: unknown; readonly count?: number; readonly after?: number }
}

type AdminTarget = { readonly job: string } | { readonly group: string } | { readonly all: true }

/** What `POST /api/...` answers with; an action that was carried out is always answered with 200. */
export interface AdminAnswers {
  /** What was asked for; the run follows within about a second. */
  readonly trigger: { readonly request: string }
  readonly pause: { readonly pause: JobPause }
  /** What pauses it all the same. */
  readonly resume: { readonly pauses: readonly JobPause[] }
  readonly skip: { readonly scheduledTime: number }
  readonly override: { readonly override: JobOverride }
  readonly reset: Record<string, never>
  readonly release: { readonly released: readonly ReleasedLock[] }
  readonly cancel: Record<string, never>
  readonly preview: { readonly schedule: string; readonly timezone: string | null; readonly times: readonly number[] }
}

/** What all routes answer with where they refuse: 400 bad input, 403, 404, 409 held, 412 somebody else was faster, 503 Redis is away. */
export interface AdminError {
  readonly statusCode: number
  readonly code: string
  readonly error: string
  readonly message: string
}
