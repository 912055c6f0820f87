import type { Fingerprint } from './fingerprint.js'
import type { HeldLock } from './locks.js'
import type { OpenRun } from './open-runs.js'

/** Who runs a tick: a claim gives it to one replica, together with the job's lock. */
export interface Claims {
  /**
   * Asks for all that is due in this process in one call, with at most one request per job. The answers are in the order
   * of the requests.
   *
   * @param callId a call that is repeated under its id before any other call, as its reply was lost, gets the same answers
   * @param blocks lets the store tell of many jobs at once; a store may ignore it
   */
  claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]>
  /**
   * Hands claims back that will have no run here: each tick can be claimed again and its lock is released. A later claim
   * of the same job stays as it is. The answers are in the order of the claims.
   *
   * @param callId as of `claim`
   */
  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]>
}

/**
 * What is asked for: a scheduled tick, a tick without a run (it is missed), a run by hand, to take over the run of a
 * replica that died, to begin what has waited longest for a slot of the job, or a run as this replica starts.
 */
export type ClaimKind = 'tick' | 'miss' | 'manual' | 'recover' | 'waiting' | 'start'

export interface ClaimRequest {
  readonly jobId: string
  readonly kind: ClaimKind
  /** The nominal time, in milliseconds since the Unix epoch; with `afterCompletion` the earliest it may be. */
  readonly scheduledTime: number
  /**
   * The latest tick that is taken with it: `scheduledTime`, or a later one that it stands for. Of a run as a replica starts,
   * the time since which no run must have begun.
   */
  readonly coversUntil: number
  /** Unique across replicas. */
  readonly runId: string
  /** The lock's time to live in milliseconds. */
  readonly ttl: number
  /** How long the claim must be remembered, in milliseconds; a run by hand does not change how long a tick's claim is. */
  readonly retention: number
  /** For a trigger measured from the last run's end, its interval in milliseconds; else 0. */
  readonly afterCompletion: number
  /** Whether the job's code pauses it: it is paused unless an operator has resumed it. */
  readonly pausedInitially: boolean
  /**
   * The job's group, whose pause is the job's.
   *
   * @default ''
   */
  readonly group?: string
  /** Leave the tick unclaimed when the lock is held: it waits for the lock. For `waiting`: only requests by hand begin. */
  readonly waits: boolean
  /** A run whose replica died is to be taken over before there is another one. */
  readonly rerun: boolean
  /** How many runs of the job may go on at once: each has a slot of its own, with a lock. */
  readonly slots: number
  /** What becomes of a tick that finds no slot free: see the job's option. */
  readonly overlap: Overlap
  /** How many runs of the job the fleet begins; `null` for any number. */
  readonly maxRuns: number | null
  /**
   * Whether the job runs as replicas start, so that it is remembered when its last run began.
   *
   * @default false
   */
  readonly startsRuns?: boolean
  /**
   * The concurrency key of a run by hand: no other run with it goes on.
   *
   * @default ''
   */
  readonly key?: string
  /**
   * Who asks for a run by hand.
   *
   * @default ''
   */
  readonly by?: string
  readonly fingerprint: Fingerprint
  readonly memo?: ClaimMemo
}

/**
 * Where a store may keep its record of a job from one claim to the next, so that it need not look it up for each tick.
 * It belongs to whoever asks; only the store reads and writes it.
 */
export interface ClaimMemo {
  /** The store that has written it; `null` before the first. */
  store: object | null
  record: object | null
}

/**
 * Blocks: sets of jobs with one trigger, each known by a name. Once all jobs of a block were asked for in one tick and all
 * are taken, a store may remember that for a while, so that other replicas need not ask for each job.
 */
export interface ClaimBlocks {
  /** The tick of all the blocks. */
  readonly scheduledTime: number
  /** The blocks among the requests: the first `size` requests are the first block, and so on; the rest belong to none. */
  readonly asked: readonly { readonly name: string; readonly size: number }[]
  /** Other blocks, whose ticks are still to be asked for. */
  readonly waiting: readonly string[]
  /** Called for each of the waiting blocks that is taken. */
  onTaken(name: string): void
}

/** What becomes of a tick that finds no slot free: as the job's option of this name. */
export type Overlap = 'skip' | 'wait' | 'replace'

/** The answer to one request. */
export type ClaimAnswer =
  | {
      readonly status: 'granted'
      /** `null` for a `miss`, or a tick that is skipped: it is taken, nothing is to run. */
      readonly lock: HeldLock | null
      readonly fencingToken: number
      /** The tick up to which all are accounted for; `null` when none of this trigger is on record. */
      readonly previous: number | null
      /**
       * When the job was resumed, if that was later than `previous` or `previous` is `null`: the ticks until then had no
       * run because of the pause.
       */
      readonly resumedAt: number | null
      /**
       * The tick claimed: the one asked for, except with `afterCompletion`, where the store knows it best, and for
       * `recover`, where it is that of the run taken over.
       */
      readonly scheduledTime: number
      /** 1, and one more each time that the run is taken over. */
      readonly attempt: number
      /** To `waiting`: the request by hand that has waited; left out for a tick. */
      readonly request?: { readonly id: string; readonly key: string }
      /** Whether the job has been given all of its runs with this one. */
      readonly isLast?: true
      /** Whether an operator has said that the tick has no run: it is taken, and to be counted so. A lock that comes with it is to be let go. */
      readonly isSkipped?: true
      /** The run that is taken over, unless an earlier takeover of it was given up: then it is not known any more. */
      readonly from?: OpenRun
    }
  /** `last` is the last claimed tick where the request `waits`, else `null`. */
  | { readonly status: 'claimed_elsewhere'; readonly last: number | null }
  /** As many runs of the job go on as it has slots. The tick is `taken`, so that the fleet counts it once, unless it `waits`. */
  | {
      readonly status: 'overlap'
      readonly taken: boolean
      /** A run's lock is free: its replica died, and it is to be taken over (`recover`) before another has its slot. */
      readonly isLeft: boolean
      readonly previous: number | null
      readonly resumedAt: number | null
    }
  /**
   * The tick waits in the store for a slot, in the place of the one that was `displaced`, if one waited. `replaces` is the
   * run that it is to replace, if any.
   */
  | {
      readonly status: 'queued'
      readonly displaced: number | null
      readonly replaces: string | null
      readonly previous: number | null
      readonly resumedAt: number | null
      readonly isLast?: true
    }
  /**
   * The job has been given all of its runs; `last` is its last claimed tick. `isSettled`: none of them goes on or waits, so that
   * none can be given back.
   */
  | { readonly status: 'ended'; readonly last: number; readonly isSettled: boolean }
  /** To `waiting`: the job is paused, so that this tick, which has waited, is to be counted and has no run. */
  | { readonly status: 'dropped'; readonly scheduledTime: number }
  /** `first` is true for the one replica that is to count the tick. */
  | { readonly status: 'paused'; readonly first: true; readonly previous: number | null }
  | { readonly status: 'paused'; readonly first: false }
  /** The tick lies in the store's future; it is due at `due` (by the store's clock). */
  | { readonly status: 'early'; readonly due: number }
  /**
   * To a tick, or one without a run: the job was overridden, or its override was reset, and this replica has not heard of it yet.
   * Nothing was claimed.
   */
  | { readonly status: 'stale' }
  /** To `recover`: the run's lock is held, for so many milliseconds unless it is extended. */
  | { readonly status: 'running'; readonly remaining: number }
  /**
   * `maybe`: the request may have been executed all the same, now or when its call was made before. `unreadable`: the store
   * answers, but cannot read its record of this job, so that the tick may have run.
   */
  | { readonly status: 'unavailable'; readonly error: Error; readonly maybe: boolean; readonly unreadable?: true }

/** A claim that is handed back. */
export interface HandedBack {
  readonly lock: HeldLock
  readonly scheduledTime: number
  /** Whether the other replicas are told, so that one of them asks for the tick. */
  readonly tell: boolean
  /** As in the claim's request. */
  readonly afterCompletion: number
  /**
   * Whether it is what has waited for a slot, so that it waits again: it is `wasted` where a later tick has come since.
   *
   * @default false
   */
  readonly waited?: boolean
}

/**
 * `free`: the tick can be claimed again. `wasted`: a later tick was claimed since, so that this one has no run; of what has
 * waited, followed by which tick it is. `not_ours`: the request had not claimed it. `unavailable`: the store did not answer.
 */
export type HandBackAnswer = 'free' | 'wasted' | `wasted ${number}` | 'not_ours' | 'unavailable'
