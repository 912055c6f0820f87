import { createError } from '@fastify/error'

/** An error of this package: it has a stable `code`, and its message contains the value received. */
export interface SchedulerError extends Error {
  readonly code: string
  readonly statusCode?: number
}

const BASE = 'FST_ERR_RLS'

// One table: the code, the message (`%s` takes the value received), and the status a route answers with.

/** A registration or scheduler option has a wrong value. */
export const OptionInvalidError = createError<[string, string, string]>(
  `${BASE}_OPTION_INVALID`,
  'Expected `%s` to be %s, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** An option object has a key that does not exist. */
export const OptionUnknownError = createError<[string, string, string]>(
  `${BASE}_OPTION_UNKNOWN`,
  'Unknown option `%s` in %s%s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A duration is out of range, or is not milliseconds, a string that `ms` reads, or an object of parts. */
export const DurationInvalidError = createError<[string, string, string]>(
  `${BASE}_DURATION_INVALID`,
  'Expected `%s` to be %s, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A trigger does not have a valid shape. */
export const TriggerInvalidError = createError<[string, string]>(
  `${BASE}_TRIGGER_INVALID`,
  'Invalid trigger: %s, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A cron expression or one of APScheduler's fields cannot be read. */
export const CronInvalidError = createError<[string, string]>(
  `${BASE}_CRON_INVALID`,
  'Invalid cron expression %s: %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A trigger can never have a tick, such as the 30th of February. */
export const TriggerNeverError = createError<[string]>(
  `${BASE}_TRIGGER_NEVER`,
  'The trigger %s never has a tick',
  500,
  RangeError as unknown as ErrorConstructor
)
/** A bounded search could not decide whether a trigger ever has a tick. */
export const TriggerUndecidedError = createError<[string, string]>(
  `${BASE}_TRIGGER_UNDECIDED`,
  'The trigger %s has no tick that can be found: %s',
  500,
  RangeError as unknown as ErrorConstructor
)
/** A date cannot be read. */
export const DateInvalidError = createError<[string, string]>(
  `${BASE}_DATE_INVALID`,
  'Expected `%s` to be a Date, milliseconds since the Unix epoch or an ISO 8601 string, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A time zone does not exist. */
export const TimezoneInvalidError = createError<[string]>(
  `${BASE}_TIMEZONE_INVALID`,
  'Expected `timezone` to be an IANA time zone such as Europe/Vienna, got %s',
  500,
  RangeError as unknown as ErrorConstructor
)

/** A job's id, or a lock's name, is not 1 to 200 characters without control characters. */
export const JobIdInvalidError = createError<[string, string]>(
  `${BASE}_JOB_ID_INVALID`,
  'Expected %s to be a string of 1 to 200 characters without control characters, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A job with this id already exists in this process. */
export const JobDuplicateError = createError<[string]>(`${BASE}_JOB_DUPLICATE`, 'There is a job with the id %s already')
/** There is no job with this id in this process. */
export const JobUnknownError = createError<[string, string]>(
  `${BASE}_JOB_UNKNOWN`,
  'There is no job with the id %s%s',
  404
)
/** What became of ticks is not kept: the option `history` is `false`. */
export const HistoryOffError = createError<[string]>(
  `${BASE}_HISTORY_OFF`,
  "The history of the job '%s' cannot be read, as `history` is false",
  404
)
/** No job in this process belongs to this group, and none is paused by it. */
export const GroupUnknownError = createError<[string]>(`${BASE}_GROUP_UNKNOWN`, 'There is no job in the group %s', 404)
/** Something else is in force than was expected (`expectedVersion`): somebody was faster. Nothing was changed. */
export const JobChangedError = createError<[string, string, string]>(
  `${BASE}_JOB_CHANGED`,
  'Could not %s: `expectedVersion` is %s, and %s',
  412
)
/** A JSON Schema cannot be compiled. */
export const SchemaInvalidError = createError<[string, string]>(
  `${BASE}_SCHEMA_INVALID`,
  'Invalid JSON Schema: %s, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A schema answers with a promise, so that no data could be refused before a run begins. */
export const SchemaAsyncError = createError<[string]>(
  `${BASE}_SCHEMA_ASYNC`,
  'Expected `schema` to validate at once, got one that is asynchronous: %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** A schema threw, or answered what no schema answers. */
export const SchemaFailedError = createError<[string, string]>(
  `${BASE}_SCHEMA_FAILED`,
  'The `schema` could not validate: it %s; the data is %s'
)
/** A JSON Schema is given without Fastify, and the package ajv is not installed. */
export const AjvMissingError = createError<[string]>(
  `${BASE}_AJV_MISSING`,
  'A JSON Schema needs the package ajv: run `npm install ajv ajv-formats`, or give a Standard Schema, such as of zod (%s)'
)
/** Data is not what the job's `schema` takes. */
export const DataInvalidError = createError<[string, string]>(
  `${BASE}_DATA_INVALID`,
  'Invalid `data`: %s, got %s',
  400,
  TypeError as unknown as ErrorConstructor
)
/** Data is of a kind that JSON does not carry as it is. */
export const DataNotJsonError = createError<[string, string]>(
  `${BASE}_DATA_NOT_JSON`,
  'Expected `data` to be what JSON carries as it is: %s, got %s',
  400,
  TypeError as unknown as ErrorConstructor
)
/** Data has too many bytes as JSON. */
export const DataTooLargeError = createError<[number, string]>(
  `${BASE}_DATA_TOO_LARGE`,
  'Expected `data` to have at most %d bytes as JSON, got %s',
  413,
  RangeError as unknown as ErrorConstructor
)
/** Another run of the job holds its lock; only routes report this as an error. */
export const JobLockedError = createError<[string]>(
  `${BASE}_JOB_LOCKED`,
  "Another run of the job '%s' holds its lock",
  409
)
/** As many requests wait for the job as may. */
export const JobQueueFullError = createError<[string]>(
  `${BASE}_JOB_QUEUE_FULL`,
  "1,000 requests wait for the job '%s' already: try again later",
  503
)
/** The Redis URL cannot be read; its password is not shown. */
export const RedisUrlInvalidError = createError<[string, string]>(
  `${BASE}_REDIS_URL_INVALID`,
  'Expected `redis` to be a URL such as redis://127.0.0.1:6379 or rediss://user:password@host:6380/0%s, got %s',
  500,
  TypeError as unknown as ErrorConstructor
)
/** Redis refused the credentials. */
export const RedisAuthError = createError<[string, string]>(
  `${BASE}_REDIS_AUTH`,
  'Redis at %s refused the credentials: %s'
)
/** Redis refused the database number in the options: it does not exist, or the user may not select it. */
export const RedisDatabaseError = createError<[string, string]>(
  `${BASE}_REDIS_DATABASE`,
  'Redis at %s refused the database: %s'
)
/** Redis did not answer, or answered with an error. */
export const RedisUnavailableError = createError<[string, string]>(
  `${BASE}_REDIS_UNAVAILABLE`,
  'Redis could not %s: %s',
  503
)
/** The lock of a run or of `withLock` is not held any more. */
export const LockLostError = createError<[string, string]>(`${BASE}_LOCK_LOST`, 'The lock of %s was lost: %s')
/** A run took longer than the job's `timeout`. */
export const RunTimeoutError = createError<[string, number]>(
  `${BASE}_RUN_TIMEOUT`,
  'A run of the job %s took longer than its timeout of %d ms'
)
/** The job's trigger has no tick at this time. */
export const TickUnknownError = createError<[string, string]>(
  `${BASE}_TICK_UNKNOWN`,
  'The job %s has no tick at %s',
  404
)
/** The tick has passed, or a replica has claimed it: it cannot be skipped any more. */
export const TickPassedError = createError<[string, string]>(
  `${BASE}_TICK_PASSED`,
  'The tick of the job %s at %s has passed, or was claimed already',
  409
)
/** Somebody has cancelled a run, or the scheduler closed while it was active. */
export const RunCancelledError = createError<[string, string]>(`${BASE}_RUN_CANCELLED`, '%s was cancelled, as %s')
/** No run with this id goes on, on any replica. */
export const RunUnknownError = createError<[string]>(
  `${BASE}_RUN_UNKNOWN`,
  'There is no run with the id %s that goes on',
  404
)
/** A tick replaces the run (`overlap: 'replace'`). */
export const RunReplacedError = createError<[string]>(
  `${BASE}_RUN_REPLACED`,
  "A run of the job '%s' was cancelled, as a later tick replaces it"
)
/** A run on another replica has failed: this stands for its error, whose name, message, code and stack it has. */
export const RemoteRunError = createError<[string]>(`${BASE}_REMOTE_RUN`, '%s')
/** A run's replica died, or the run went on without its lock, so its outcome is unknown. */
export const RunAbandonedError = createError<[string, string]>(
  `${BASE}_RUN_ABANDONED`,
  "A run of the job '%s' was abandoned: its replica '%s' has died, or lost the run's lock"
)
/** The scheduler cannot do this now: it has not been started, takes no new runs, or is closed. */
export const NotRunningError = createError<[string, string]>(`${BASE}_NOT_RUNNING`, 'Cannot %s: the scheduler %s', 503)
/** The app already has a decorator named `jobs`. */
export const DecoratorTakenError = createError<[string]>(
  `${BASE}_DECORATOR_TAKEN`,
  'The app has a decorator `%s` already: is the plugin registered twice?'
)
/** The app already has a route with the path of the metrics, or of the health. */
export const RouteTakenError = createError<[string, string]>(
  `${BASE}_ROUTE_TAKEN`,
  'The app has a route GET %s already: set `%s` to another path or to false'
)
/** Somebody may not see the admin routes, or not do what they ask for. */
export const AdminForbiddenError = createError<[string]>(`${BASE}_ADMIN_FORBIDDEN`, 'Forbidden: %s', 403)
/** A request to an admin route is not what the route takes. */
export const AdminRequestInvalidError = createError<[string, string]>(
  `${BASE}_ADMIN_REQUEST_INVALID`,
  'Invalid request: %s, got %s',
  400
)
/** An admin route failed as nobody has foreseen: the log has the error. */
export const AdminFailedError = createError<[]>(
  `${BASE}_ADMIN_FAILED`,
  'The request failed: the log of the service says why'
)
/** The history has no run with this id. */
export const HistoryRunUnknownError = createError<[string, string]>(
  `${BASE}_HISTORY_RUN_UNKNOWN`,
  'The history of the job %s has no run with the id %s',
  404
)
/** As many clients as may follow what happens already. */
export const AdminStreamsFullError = createError<[number]>(
  `${BASE}_ADMIN_STREAMS_FULL`,
  '%d clients follow what happens already: try again later',
  503
)
/** The registry already has a metric with this name. */
export const MetricTakenError = createError<[string]>(
  `${BASE}_METRIC_TAKEN`,
  'The registry has a metric %s already: give each scheduler a `metrics.register` or a `metrics.prefix` of its own'
)

/** Prefixes the message of one of the errors above with the job's id; returns any other error unchanged. */
export function inJob(error: unknown, id: unknown): unknown {
  if (isSchedulerError(error) && typeof id === 'string') error.message = `Job '${id}': ${error.message}`
  return error
}

/** Whether a thrown value is one of the errors above; never throws itself, whatever the value. */
export function isSchedulerError(error: unknown): error is SchedulerError {
  try {
    return error instanceof Error && String((error as { code?: unknown }).code).startsWith(BASE)
  } catch {
    return false
  }
}
