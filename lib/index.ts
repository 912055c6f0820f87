export type { Clock, TimerHandle } from '../types/clock.js'
export type { Duration, DurationParts } from '../types/duration.js'
export type { RemovalReason, SchedulerEventName, SchedulerEvents, SchedulerListener } from '../types/events.js'
export type { Job } from '../types/job.js'
export type {
  JobChanges,
  JobDefaults,
  JobOptions,
  JobShorthand,
  LockOptions,
  RetryOptions
} from '../types/job-options.js'
export type { Logger } from '../types/logger.js'
export type {
  FastifyScheduler,
  JobRouteHandler,
  PluginMetricsOptions,
  PluginOptions,
  RunBody,
  TriggerRouteOptions
} from '../types/plugin.js'
export type { JobHandler, Run, RunContext, RunOutcome, RunTrigger, SkipReason } from '../types/run.js'
export type {
  ClusterLike,
  MetricsOptions,
  MetricsRegister,
  RedisInput,
  RedisLike,
  RedisMasterInput,
  RedisOptionsInput,
  Scheduler,
  SchedulerOptions,
  TriggerOptions,
  WithLockContext,
  WithLockOptions,
  WithLockResult
} from '../types/scheduler.js'
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
export { commonjs as 'module.exports' } from './commonjs.js'
export * as errors from './errors.js'
export { default, default as fastifyRedlockScheduler } from './plugin.js'
export { createScheduler } from './scheduler.js'
