/**
 * The seam between the scheduler and what its replicas share: memory, one Redis (or Cluster) and a quorum of masters
 * implement it. Nothing here throws for contention or for Redis trouble: both are answers.
 */
export interface Coordination {
  /** What is known of the store. */
  readonly state: CoordinationState
  /**
   * The fleet's clock, by which ticks are due on every replica: the store's own, as far as it has been measured, else
   * this process'. Milliseconds since the Unix epoch.
   */
  now(): number
  /**
   * This process' clock was corrected by a step back, to `now`: ticks later than `floor` are still to be claimed. Only in
   * memory, as other stores have a clock of their own.
   */
  correct?(now: number, floor: number): void
  /**
   * Opens what has to be opened. Resolves once the store answers, or once it is known not to for now; claims then
   * begin when it comes.
   *
   * @throws RedisAuthError when Redis refuses the credentials
   */
  open(): Promise<void>
  /**
   * Asks for all that is due in this process, in one call, with one request a job at most. The answers are in the
   * requests' order.
   *
   * @param callId a call that is repeated under its id before any other, as its reply was lost, gets the same answers
   * @param blocks what saves a store from being asked for each job; it may be left unused
   */
  claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]>
  /** Gives a lock its whole TTL from now on. `'lost'` is final; `'unavailable'` may be tried again. */
  extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'>
  /** Ends runs: records their end, and releases each lock that is still the run's own. The answers are in the order given. */
  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]>
  /**
   * Takes claims back that will have no run here, by the ids of their requests: the tick is free again and its lock is
   * released. What was claimed since stays as it is. The answers are in the order given.
   *
   * @param callId as of `claim`
   */
  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]>
  /**
   * Takes a lock by name, apart from all jobs.
   *
   * @param token unique across replicas; a call repeated with the same token gets the same lock
   */
  acquire(name: string, ttl: number, token: string): Promise<AcquireAnswer>
  /** Releases a lock taken by `acquire`. */
  release(lock: HeldLock): Promise<ReleaseAnswer>
  /**
   * Pauses a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  pause(jobId: string, note: string | undefined): Promise<void>
  /**
   * Resumes a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  resume(jobId: string): Promise<void>
  /**
   * Looks for runs whose lock has ended some seconds ago and whose end nobody has recorded, as their replica died or lost
   * the lock. None when the store does not answer; `null` where it is known without asking that there is none.
   */
  findAbandoned(): Promise<readonly OpenRun[]> | null
  /**
   * Records runs as abandoned.
   *
   * @param callId a call that is repeated under its id, as its reply was lost, gets the same answers
   * @returns of each run whether this call has recorded it, which is so once in the fleet; `null` when that is not known
   */
  abandon(runs: readonly OpenRun[], callId: string): Promise<readonly boolean[] | null>
  /**
   * Ends what stands open in a store that has forgotten its end, and tells it of claims it has forgotten, as it was
   * restarted with data of the past, or failed over to a replica that lags.
   *
   * @param until an id of this process: runs with ids that were made before are its own
   * @param live the ids of those that go on, that are asked for, and whose end is about to be told
   */
  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void>
  /**
   * What the store remembers of jobs, in the order given.
   *
   * @throws RedisUnavailableError
   */
  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]>
  /**
   * Keeps what a definition of a job says, for a replica that has another one, and tells what that one says.
   *
   * @returns `null` when that is not known, or the store does not answer
   */
  shareDefinition(jobId: string, own: Definition, text: string, other: Definition): Promise<string | null>
  /** Closes what `open` opened, and nothing else. */
  close(): Promise<void>
}

/**
 * One store of a quorum. What it claims stays open until it is confirmed: the next to claim is told of the tick before
 * an open one.
 */
export interface CoordinationNode extends Coordination {
  /**
   * Confirms claims that a majority has granted, by the ids of their requests, and lets fencing tokens be greater than
   * `fencingToken` from now on.
   *
   * @returns of each claim whether it was still the request's own; `null` when the store did not answer
   */
  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null>
  /** Takes over claims that a majority has confirmed, unless it has confirmed others of the same ticks, or knows later ones. */
  adopt(claims: readonly ConfirmedClaim[]): Promise<void>
  /** Sets a lock that others have given to its holder, with its whole TTL, unless it is held here. Whether it was set. */
  mend(lock: HeldLock): Promise<boolean>
  /** As `abandon`, with what has become of each run on this store. */
  tryToAbandon(runs: readonly OpenRun[], callId: string): Promise<readonly AbandonAnswer[]>
  /** Takes back what a call of `tryToAbandon` has recorded. */
  reopen(runs: readonly OpenRun[], callId: string): Promise<void>
}

/**
 * `recorded`: by this call. `elsewhere`: by another. `held`: the run has its lock. `closed`: it has ended, or is not known.
 */
export type AbandonAnswer = 'recorded' | 'elsewhere' | 'held' | 'closed' | 'unavailable'

/** A claim that a majority has granted. */
export interface Confirmation extends Pick<ClaimRequest, 'jobId' | 'runId'> {
  /** The tick that was decided on, of an interval from the last end: each store has its own until then. */
  readonly due?: number
}

/** A claim that a majority has confirmed; its `runId` is `''` once its run has ended. */
export interface ConfirmedClaim extends Confirmation, Pick<ClaimRequest, 'keep' | 'definition'> {
  /** The latest tick that is taken. */
  readonly tick: number
  /** What it is claimed for; `null` for a tick that is counted and has no run. */
  readonly run: {
    readonly scheduledTime: number
    readonly fencingToken: number
    /** 0 when nobody is to take it over. */
    readonly attempt: number
  } | null
}

export interface CoordinationState {
  readonly kind: 'memory' | 'redis'
  /** Whether claims can be had of the store, as far as is known. */
  readonly up: boolean
  /** This process' wall clock minus the store's, in milliseconds, as last measured; 0 in memory. */
  readonly skew: number
  /** What the store calls its process, another one after each restart; `null` or left out where it does not tell. */
  readonly runId?: string | null
}

/** Makes a scheduler's coordination. */
export type CoordinationFactory = (parts: {
  readonly replicaId: string
  /** In milliseconds. */
  readonly maxClockSkew: number
  readonly listener: CoordinationListener
}) => Coordination

/** What a coordination tells the scheduler on its own account. */
export interface CoordinationListener {
  /** Claims can be had (again). */
  onUp(): void
  /**
   * No claim can be had; called once per outage, with the reason, and once more when a store that did not answer
   * `refuses` what it is asked.
   */
  onDown(error: Error, refuses?: boolean): void
  /**
   * `now()` has moved by a step.
   *
   * @param measured by how many milliseconds, where it was this process' own time until now
   */
  onClockStep(measured?: number): void
  /**
   * Something in the store is older than what was known of it, or one of several stores has come back.
   *
   * @param isAll whether it holds of all that the store knows, as there is no other that knows more
   */
  onPast(isAll?: boolean): void
  /**
   * Another replica will not run a tick it had claimed: it is to be asked for again. May come more than once.
   *
   * @param by the request whose claim it was, by which a second hand-back of a tick is told from the first
   */
  onHandedBack(jobId: string, scheduledTime: number, by: string): void
  /** The job's last claimed tick, `tick`, was claimed by a replica that defines the job otherwise. */
  onDefinitionDiffers(jobId: string, tick: number, other: OtherDefinition): void
  /** Something is wrong with the store that its operators should know, such as a setting by which it may lose data. */
  onUnsafe(reason: string): void
  /** Something has happened to the store that its operators should know, each time that it does. */
  onNotice(level: 'info' | 'warn', message: string): void
}

/**
 * What is asked for: a scheduled tick, the same without a run (it is missed), a run by hand, or to take over the run of
 * a replica that died.
 */
export type ClaimKind = 'tick' | 'miss' | 'manual' | 'recover'

export interface ClaimRequest {
  readonly jobId: string
  readonly kind: ClaimKind
  /** The nominal time, in milliseconds since the Unix epoch; with `afterCompletion` the earliest it may be. */
  readonly scheduledTime: number
  /** The latest tick that is taken with it: `scheduledTime`, or a later one that it stands for. */
  readonly coversUntil: number
  /** Unique across replicas. */
  readonly runId: string
  /** The lock's time to live in milliseconds. */
  readonly ttl: number
  /** How long the claim must be remembered, in milliseconds; a run by hand leaves that of a tick as it is. */
  readonly keep: number
  /** For a trigger measured from the last run's end, its interval in milliseconds; else 0. */
  readonly afterCompletion: number
  /** Pause the job if the store has never heard whether it is. */
  readonly pausedInitially: boolean
  /** Leave the tick as it is when the lock is held, as it waits for the lock. */
  readonly waits: boolean
  /** A run whose replica died is to be taken over before there is another one. */
  readonly rerun: boolean
  readonly definition: Definition
  readonly memo?: ClaimMemo
}

/**
 * Where a store may keep what it has of a job from one claim to the next, so that it need not look it up for each tick. Of
 * who asks, and only for the store to read.
 */
export interface ClaimMemo {
  /** Which store has written it; `null` before the first. */
  store: object | null
  record: object | null
}

/**
 * Blocks: sets of jobs with one trigger, which are known by a name. Once a store has been asked for a tick of all jobs of
 * a block and all are taken, it may remember that for a while, so that others need not ask for each of them.
 */
export interface ClaimBlocks {
  /** The tick of all of them. */
  readonly scheduledTime: number
  /** The blocks that the requests are: the first `size` requests are the first block, and so on; what is left is none. */
  readonly asked: readonly { readonly name: string; readonly size: number }[]
  /** Other blocks, with ticks that are still to be asked for. */
  readonly waiting: readonly string[]
  /** Called for each of the waiting blocks that is taken. */
  onTaken(name: string): void
}

/** What tells two definitions of one job apart: words without spaces or dots. The trigger's begins with `@` for a date. */
export interface Definition {
  readonly trigger: string
  readonly options: string
}

/** A definition of a job that is not this process' own. */
export interface OtherDefinition {
  readonly definition: Definition
  /** The replica that has it; `null` when that is not known. */
  readonly replicaId: string | null
}

/** What a store is asked about a job. */
export interface SurveyRequest {
  readonly jobId: string
  readonly definition: Definition
  /** As in a claim's request. */
  readonly pausedInitially: boolean
  /** Since when this replica has had the job with this trigger; `null` where nothing follows from that. */
  readonly since: number | null
  /** Whether that is noted only in place of another trigger: a date is accounted for without. */
  readonly isOnce: boolean
  /** Up to when no tick is left to account for, as far as this replica knows, should the store know nothing. */
  readonly accounted: number
  /** For how long that, and the last claim, must be remembered at least, in milliseconds. */
  readonly keep: number
}

/** What a store remembers of a job. */
export interface JobState {
  readonly paused: boolean
  /** The last tick that was claimed for this trigger, or when the job was resumed if that was later; `null` for neither. */
  readonly previous: number | null
  /**
   * Since when the fleet has had the job with this trigger, so that its first tick is accounted for like any other: what
   * the replica said that had it first, since another trigger was in its place.
   */
  readonly since: number | null
  /** Whether a run has begun and not ended, so that it may have to be taken over. */
  readonly unfinished: boolean
}

/** A run that has begun and whose end is not recorded. */
export interface OpenRun {
  readonly runId: string
  readonly jobId: string
  readonly replicaId: string
  readonly fencingToken: number
  readonly scheduledTime: number
  readonly startedAt: number
  /** 0 when nobody is to take it over. */
  readonly attempt: number
  /** Until when it was to have its lock; by the store's clock, as the other times. */
  readonly lockedUntil: number
}

/** A run that is over. */
export interface Ending {
  readonly lock: HeldLock
  /** False for a run that another replica is to take over: its lock is released, its tick stays unfinished. */
  readonly finished: boolean
  /**
   * Whether it is a takeover that never began, which is no attempt; only where it is not `finished`.
   *
   * @default false
   */
  readonly unbegun?: boolean
  /**
   * Whether only its outcome is known: its lock stays as it is.
   *
   * @default false
   */
  readonly keepsLock?: boolean
}

/** A claim that is taken back. */
export interface HandedBack {
  readonly lock: HeldLock
  readonly scheduledTime: number
  /** Whether the other replicas are told, so that one of them asks for the tick. */
  readonly tell: boolean
  /** As in the claim's request. */
  readonly afterCompletion: number
}

/**
 * `free`: the tick can be claimed again. `wasted`: a later tick was claimed since, so that it has no run. `not_ours`: the
 * request had not claimed it. `unavailable`: the store did not answer.
 */
export type HandBackAnswer = 'free' | 'wasted' | 'not_ours' | 'unavailable'

/** A lock this process holds, or held. */
export interface HeldLock {
  /** The job's id, or the name given to `acquire`. */
  readonly name: string
  readonly kind: 'job' | 'named'
  /** The value by which the holder is known: of a job's lock it is the run's id. */
  readonly token: string
  /** Its time to live in milliseconds. */
  readonly ttl: number
  /**
   * Until when the holder may believe in it, on the monotonic clock; set anew by every extension. It is counted from
   * before the request was sent and less the drift Redlock allows for: 1% of the TTL and 2 ms.
   */
  validUntil: number
}

/** The answer to one request. */
export type ClaimAnswer =
  | {
      readonly status: 'granted'
      /** `null` for a `miss`: the tick is taken, nothing is to run. */
      readonly lock: HeldLock | null
      readonly fencingToken: number
      /** The tick up to which all is accounted for, or `null` when there is none on record for this trigger. */
      readonly previous: number | null
      /** When the job was resumed, if that was later than `previous`, or that is `null`: the ticks until then had no run for that. */
      readonly resumedAt: number | null
      /**
       * The tick claimed: the one asked for, but for `afterCompletion`, where the store knows it best, and for
       * `recover`, where it is that of the run taken over.
       */
      readonly scheduledTime: number
      /** 1, and one more each time that the run is taken over. */
      readonly attempt: number
      /** The run that is taken over, unless who has taken it over before has let go of it since. */
      readonly from?: OpenRun
    }
  /**
   * `last` is the last claimed tick where the request `waits`, else `null`. The rest is told by one of several stores:
   * `by` is the request that claimed it, `''` once its run is over, by which a tick that one request has is told from one
   * whose votes are split; `previous` is the tick before, as in `granted`.
   */
  | {
      readonly status: 'claimed_elsewhere'
      readonly last: number | null
      readonly by: string
      readonly previous: number | null
    }
  /**
   * A run of the job still holds its lock. The tick is `taken`, so that it is counted once for the fleet, unless it `waits`.
   * `by` is the run that holds the lock, told by one of several stores: `''` where none does.
   */
  | {
      readonly status: 'overlap'
      readonly taken: boolean
      /** Its lock is free: its replica died, and it is to be taken over (`recover`) before anything else. */
      readonly isLeft: boolean
      readonly previous: number | null
      readonly resumedAt: number | null
      readonly by?: string
    }
  /** `first` is true for the one replica that is to count the tick; to the others `by` and `previous` are as above. */
  | { readonly status: 'paused'; readonly first: true; readonly previous: number | null }
  | { readonly status: 'paused'; readonly first: false; readonly previous: number | null; readonly by: string }
  /** The tick lies in the store's future; it is due at `due` (by the store's clock). */
  | { readonly status: 'early'; readonly due: number }
  /** To `recover`: the run's lock is held, for so many milliseconds unless it is extended. */
  | { readonly status: 'running'; readonly remaining: number }
  /**
   * `maybe`: the request may have been executed all the same, now or when its call was made before. `unreadable`: the store
   * answers, and has something in the place of this job's record that cannot be read, so that a tick may have run.
   */
  | { readonly status: 'unavailable'; readonly error: Error; readonly maybe: boolean; readonly unreadable?: true }

/**
 * `lost`: the lock was not the run's own any more. `abandoned`: the same, and the run was recorded as abandoned.
 * `unavailable`: the store did not answer; its TTL will end it.
 */
export type ReleaseAnswer = 'released' | 'lost' | 'abandoned' | 'unavailable'

export type AcquireAnswer =
  | { readonly status: 'granted'; readonly lock: HeldLock; readonly fencingToken: number }
  /** `by` is the token that holds it, where the store tells. */
  | { readonly status: 'held'; readonly by?: string }
  | { readonly status: 'unavailable'; readonly error: Error }
