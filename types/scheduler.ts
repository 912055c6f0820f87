import type { Duration } from './duration.js'
import type { SchedulerEventName, SchedulerListener } from './events.js'
import type { HistoryEntry, HistoryQuery, TickStory } from './history.js'
import type { Job } from './job.js'
import type {
  JobChanges,
  JobOptions,
  JobShorthand,
  KnownJobOptions,
  OtherJobId,
  OverrideChanges,
  SchemaJobChanges,
  SchemaJobOptions,
  SchemaJobShorthand
} from './job-options.js'
import type { JobData, JobResult, KnownJobId } from './job-types.js'
import type {
  CancelOptions,
  ChangeOptions,
  JobOverride,
  JobPause,
  OverrideOptions,
  PauseOptions,
  PauseTarget,
  ReleasedLock,
  ReleaseOptions,
  SkipOptions
} from './levers.js'
import type { JobHandler, QueuedRun, Run } from './run.js'
import type { MetricsRegister } from './scheduler-options.js'
import type { SchemaInput, SchemaOutput, StandardSchema } from './standard-schema.js'
import type { Health, JobStatus, ReplicaStatus } from './status.js'
import type { DateInput, PreviewOptions, TriggerInput } from './trigger.js'
import type { TriggerArguments, WaitingTriggerOptions } from './trigger-options.js'
import type { WithLockContext, WithLockOptions, WithLockResult } from './with-lock.js'

/** An id for a job with this schema: if `JobTypes` has it, the schema takes the data that is named there. */
type SchemaJobId<Id extends string, Schema extends StandardSchema> = Id extends KnownJobId
  ? JobData<Id> extends SchemaInput<Schema>
    ? Id
    : never
  : Id

/** The options of a shorthand; they may be omitted if the handler's `data` may be `undefined`. */
type OptionsWithoutData<Data, Options> = undefined extends Data
  ? [options?: Options]
  : [options: Options & { readonly data: Data }]

/** The scheduler, as `app.jobs` or as returned by `createScheduler()`. */
export interface Scheduler<App = unknown> {
  readonly replicaId: string
  /**
   * The most scheduled runs that are active in this process at once, as the option says, and set here for this process
   * alone. With more, ticks that wait start at once; with less, runs that are active go on to their end.
   *
   * @throws OptionInvalidError when it is set to anything but a whole number from 1 to 1,000,000
   */
  concurrency: number
  /** The registry of the metrics; `null` when they are off. */
  readonly register: MetricsRegister | null
  /**
   * Adds a job, which is due at its first tick after this, or after `start()` if that comes later. Without a trigger it
   * runs by hand only.
   *
   * The handler's `data` has the type that the `schema`, `JobTypes` or `data` say, or that of `add<Data>(...)`.
   *
   * @throws JobDuplicateError, JobIdInvalidError, and the errors of its options; then nothing has changed
   */
  add<Schema extends StandardSchema, Id extends string>(
    options: SchemaJobOptions<App, Schema> & { readonly id: Id & SchemaJobId<Id, Schema> }
  ): Job
  add<Id extends KnownJobId>(options: KnownJobOptions<App, Id>): Job
  add<Data = unknown, Id extends string = string>(
    options: JobOptions<App, Data> & { readonly id: Id & OtherJobId<Id> }
  ): Job
  /** Adds a job with a cron trigger. */
  cron<Schema extends StandardSchema>(
    id: string,
    expression: string,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema> & { readonly timezone?: string }
  ): Job
  cron<Data>(
    id: string,
    expression: string,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data; readonly timezone?: string }
  ): Job
  cron<Data = unknown>(
    id: string,
    expression: string,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data> & { readonly timezone?: string }>
  ): Job
  /** Adds a job with an interval trigger. */
  interval<Schema extends StandardSchema>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema>
  ): Job
  interval<Data>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data }
  ): Job
  interval<Data = unknown>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data>>
  ): Job
  /** Adds a job with one tick. */
  date<Schema extends StandardSchema>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, SchemaOutput<Schema>>,
    options: SchemaJobShorthand<App, Schema>
  ): Job
  date<Data>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, Data>,
    options: JobShorthand<App, Data> & { readonly data: Data }
  ): Job
  date<Data = unknown>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, Data>,
    ...options: OptionsWithoutData<Data, JobShorthand<App, Data>>
  ): Job
  get<Id extends string>(id: Id): Job<JobData<Id>> | undefined
  /** All jobs of this process, in the order they were added. */
  list(): Job[]
  /**
   * Changes a job of this process from its next tick on.
   *
   * @throws JobUnknownError and the errors of its options; then nothing has changed
   */
  modify<Schema extends StandardSchema>(id: string, changes: SchemaJobChanges<App, Schema>): Job
  modify<Data = unknown>(id: string, changes: JobChanges<App, Data>): Job
  /** `modify` with a trigger alone; with `null` the job runs by hand only from then on. */
  reschedule(id: string, trigger: TriggerInput | null): Job
  /**
   * Removes a job from this process; active runs of it go on to their end. A job whose trigger has no further tick is
   * removed automatically, five minutes after its last run.
   *
   * @returns whether there was a job with that id
   */
  remove(id: string): boolean
  /**
   * Pauses a job, a group or all jobs for the whole fleet: their ticks have no run until they are resumed, or until `until`.
   * Manual runs are still possible. Every replica knows it within a second; no run goes against it meanwhile, but for jobs with
   * `lock: false`. A pause in the place of another one replaces it.
   *
   * @param options or a string, which is the `note`
   * @returns the pause, with the version for `expectedVersion`
   * @throws JobUnknownError, GroupUnknownError, OptionInvalidError, OptionUnknownError, JobChangedError, RedisUnavailableError
   */
  pause(target: PauseTarget, options?: PauseOptions | string): Promise<JobPause>
  /**
   * Resumes what was paused by `pause` with the same target. Ticks that were due during the pause are not caught up on. A job
   * that is also paused with its group, or with all jobs, stays paused.
   *
   * @returns the pauses that are in force all the same: none where it runs again
   * @throws JobUnknownError, GroupUnknownError, OptionInvalidError, OptionUnknownError, JobChangedError, RedisUnavailableError
   */
  resume(target: PauseTarget, options?: ChangeOptions): Promise<readonly JobPause[]>
  /**
   * Changes options of a job from code for the whole fleet, over restarts, until `reset`: from its next tick on. Options that were
   * overridden before stay so. Every replica follows within a second; a tick that one claims without having heard of it is not run
   * by the old definition meanwhile. What claims no tick may be: a job with `lock: false`, a run by hand. Runs under way go on as
   * they began.
   *
   * @param options or a string, which is the `note`
   * @returns what is in force, with the version for `expectedVersion`
   * @throws JobUnknownError, JobChangedError, RedisUnavailableError, and the errors of the options; then nothing has changed
   */
  override<Data = unknown>(
    id: string,
    changes: OverrideChanges<Data>,
    options?: OverrideOptions | string
  ): Promise<JobOverride>
  /**
   * Lets a job follow its code again, for the whole fleet. Also for a job that only replicas of another version of the app have, as
   * long as it is overridden.
   *
   * @throws JobUnknownError, JobChangedError, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  reset(id: string, options?: ChangeOptions): Promise<void>
  /**
   * Cancels a run, on whichever replica it goes on: its `signal` aborts with RunCancelledError, and its outcome is `cancelled`. A
   * handler that does not listen goes on, and keeps its lock. Nobody takes the run over. Resolves once its replica is told, or is
   * sure to be within a second. A run without a lock is known to its own replica alone.
   *
   * @throws RunUnknownError when no such run goes on; OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  cancel(runId: string, options?: CancelOptions): Promise<void>
  /**
   * Lets one future tick of a job have no run, on whichever replica it would run: it is counted once, as `operator`. A tick that is
   * skipped already stays so.
   *
   * @param scheduledTime the tick's nominal time; an ISO string without an offset is in the scheduler's time zone
   * @throws JobUnknownError, DateInvalidError, TickUnknownError when the job's trigger has no such tick, TickPassedError when it
   *   has passed or was claimed, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  skip(id: string, scheduledTime: DateInput, options?: SkipOptions): Promise<void>
  /**
   * Frees the locks of a job whose runs hang, so that its next tick runs. The runs are told: they have lost their locks
   * (`lock_lost`). With `recovery: 'rerun'` they are taken over.
   *
   * @returns the locks that were held; none where nothing was to be done
   * @throws JobUnknownError, OptionInvalidError, OptionUnknownError, RedisUnavailableError
   */
  release(id: string, options?: ReleaseOptions): Promise<readonly ReleasedLock[]>
  /**
   * Runs a job once the runs of it that stand in its way have ended, on whichever replica has room first.
   *
   * @returns with `wait` the run once it has ended. Without, the run if it has begun here, else what waits in the store
   * @throws JobUnknownError, JobQueueFullError, NotRunningError, the errors of data, and RedisUnavailableError: then it may
   *   wait all the same
   */
  trigger<Id extends string>(
    id: Id,
    options: WaitingTriggerOptions<Id> & { readonly wait: true }
  ): Promise<Run<JobResult<Id>>>
  trigger<Id extends string>(id: Id, options: WaitingTriggerOptions<Id>): Promise<Run<JobResult<Id>> | QueuedRun>
  /**
   * Runs a job now, on this replica, under its lock.
   *
   * @returns the run, or `null` when no slot of the job is free, or another run with the key is under way
   * @throws JobUnknownError, RedisUnavailableError, NotRunningError, and the errors of data that the job's schema refuses
   */
  trigger<Id extends string>(id: Id, ...options: TriggerArguments<Id>): Promise<Run<JobResult<Id>> | null>
  /**
   * What became of a job's ticks, the newest nominal time first: its runs, also those that go on, and ranges of ticks that had no run
   * with the reason. The same on every replica; kept as long as the option `history` says.
   *
   * @throws JobUnknownError for a job that neither this replica nor the history knows; HistoryOffError, OptionInvalidError,
   *   DateInvalidError, RedisUnavailableError
   */
  history(id: string, query?: HistoryQuery): Promise<HistoryEntry[]>
  /**
   * What became of one tick: its run, or why it had none. `null` for a time that was no tick, or is forgotten.
   *
   * @param scheduledTime its nominal time
   * @throws as `history`
   */
  tick(id: string, scheduledTime: Date | number | string): Promise<TickStory | null>
  /**
   * How a job stands in the whole fleet.
   *
   * @throws JobUnknownError, RedisUnavailableError
   */
  status(id: string): Promise<JobStatus>
  /**
   * How all jobs of this process stand, in the order they were added. What is left of the TTLs of their locks is left out.
   *
   * @throws RedisUnavailableError
   */
  status(): Promise<JobStatus[]>
  /**
   * The replicas that were heard of within the last minute, the oldest first.
   *
   * @throws RedisUnavailableError
   */
  fleet(): Promise<ReplicaStatus[]>
  /** How this replica is; asks nobody. */
  health(): Health
  /** Lists the next ticks of a trigger, in milliseconds since the Unix epoch, ascending. */
  preview(trigger: TriggerInput, options?: PreviewOptions): number[]
  /**
   * Calls `fn` under a named lock, so that it runs on one replica at a time. Lock names and job ids never clash.
   *
   * @throws what `fn` throws, RedisUnavailableError, and LockLostError if the lock was lost before `fn` had ended
   */
  withLock<Value>(
    name: string,
    options: WithLockOptions,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>>
  on<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  once<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  off<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this
  /**
   * Begins the ticks, or begins them again after `stop()`. It resolves even if Redis is unreachable: jobs then begin to
   * run when Redis is up. In an app the scheduler starts by itself unless `autostart` is `false`.
   *
   * @throws RedisAuthError, NotRunningError
   */
  start(): Promise<void>
  /** Takes no new ticks from now on; everything else works as before. */
  stop(): void
  /**
   * Stops, takes no new runs, waits up to `closeTimeout` for active runs, and aborts those left. Everything else works
   * until `close()`: routes, metrics, and `withLock`, which a run may need to finish.
   */
  drain(): Promise<void>
  /** Drains, ends calls of `withLock` in the same way, and closes the connections that the scheduler opened. */
  close(): Promise<void>
}
