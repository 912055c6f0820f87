export type { AdminAction, AdminOptions, AdminUser } from '../types/admin.js'
export type { Clock, TimerHandle } from '../types/clock.js'
export type { Duration, DurationParts } from '../types/duration.js'
export type { RemovalReason, SchedulerEventName, SchedulerEvents, SchedulerListener } from '../types/events.js'
export type {
  FailedAttempt,
  HistoryEntry,
  HistoryOptions,
  HistoryQuery,
  HistoryRedact,
  HistoryRun,
  HistoryTicks,
  RedactKind,
  RunError,
  RunProgress,
  TickStory
} from '../types/history.js'
export type { Job } from '../types/job.js'
export type {
  JobChanges,
  JobDefaults,
  JobOptions,
  JobShorthand,
  LockOptions,
  OverrideChanges,
  Priority,
  RetryOptions,
  SchemaJobChanges,
  SchemaJobOptions,
  SchemaJobShorthand
} from '../types/job-options.js'
export type { JobData, JobResult, JobTypes } from '../types/job-types.js'
export type {
  ActionOptions,
  CancelOptions,
  ChangeAction,
  ChangeOptions,
  FleetChange,
  JobOverride,
  JobPause,
  OverrideOptions,
  PauseOptions,
  PauseTarget,
  ReleasedLock,
  ReleaseOptions,
  SkipOptions
} from '../types/levers.js'
export type { Logger } from '../types/logger.js'
export type {
  FastifyScheduler,
  JobRouteHandler,
  PluginHealthOptions,
  PluginMetricsOptions,
  PluginOptions,
  QueuedRunBody,
  RunBody,
  TriggerJobConfig,
  TriggerRouteOptions
} from '../types/plugin.js'
export type { ClusterLike, RedisInput, RedisLike, RedisMasterInput, RedisOptionsInput } from '../types/redis.js'
export type {
  JobCondition,
  JobHandler,
  QueuedRun,
  Run,
  RunContext,
  RunOutcome,
  RunTrigger,
  SkipReason
} from '../types/run.js'
export type { Scheduler } from '../types/scheduler.js'
export type { MetricsOptions, MetricsRegister, SchedulerOptions } from '../types/scheduler-options.js'
export type {
  JsonSchema,
  SchemaInput,
  SchemaOutput,
  StandardSchema,
  StandardSchemaIssue,
  StandardSchemaResult
} from '../types/standard-schema.js'
export type { Health, JobStatus, ReplicaStatus, RunningRun } from '../types/status.js'
export type { AttemptTrace, ClaimTrace, ClaimTraceRequest, RunTrace } from '../types/traces.js'
export type {
  AllTriggerInput,
  AnyTriggerInput,
  CalendarPeriod,
  CalendarTriggerInput,
  CronFields,
  CronTriggerInput,
  DateInput,
  DateRangeInput,
  DateTriggerInput,
  ExceptInput,
  IntervalTriggerInput,
  PreviewOptions,
  TriggerBounds,
  TriggerExceptions,
  TriggerInput,
  TriggerList,
  TriggerObject
} from '../types/trigger.js'
export type { TriggerOptions, WaitingTriggerOptions } from '../types/trigger-options.js'
export type { WithLockContext, WithLockOptions, WithLockResult } from '../types/with-lock.js'
export { commonjs as 'module.exports' } from './commonjs.js'
export * as errors from './errors.js'
export { default, default as fastifyRedlockScheduler } from './plugin.js'
export { createScheduler } from './scheduler.js'
