/**
 * What other schedulers call an option: our name for it, with their names after it. They are compared without case, `-` and
 * `_`. Sources: APScheduler, node-cron, cron, croner, BullMQ, Agenda, Bree, pg-boss, graphile-worker, toad-scheduler, ShedLock,
 * Quartz, Celery beat, Kubernetes' CronJob.
 */
export type PeerNames = Readonly<Record<string, readonly string[]>>

const WHEN = {
  "`trigger: { cron: '*/5 * * * *' }`": names(
    'cron crontab cronTime cronExpression expression schedule pattern rule match'
  ),
  "`trigger: { interval: '5m' }`": names(
    'interval every repeat repeatEvery repeatInterval frequency period seconds minutes hours days weeks'
  ),
  '`trigger: { date }`': names('date at runAt runDate fireDate nextRunTime repeatAt'),
  '`timezone` in the trigger': names('timezone tz utcOffset zone'),
  '`startDate` in the trigger': names('startDate startAt startTime notBefore'),
  '`endDate` in the trigger': names('endDate endAt endTime stopAt until notAfter')
}

const ATTEMPTS = {
  '`retry: { limit, delay }`': names(
    'attempts retries retryLimit retryCount maxRetries maxAttempts backoffLimit retryDelay retryBackoff backoff'
  ),
  '`lock: { ttl }`': names(
    'ttl lockTtl lockLifetime lockDuration lockFor lockAtMostFor lockAtLeastFor lockTimeout leaseTime'
  ),
  '`timeout`': names(
    'maxRuntime runTimeout jobTimeout timeLimit expireInSeconds activeDeadlineSeconds deadline timeoutMs'
  ),
  '`misfireGraceTime`': names('grace graceTime gracePeriod misfireThreshold startingDeadlineSeconds threshold'),
  "`misfireGraceTime` with `coalesce: 'all'`": names('catchUp backfill backfillPeriod recoverMissedExecutions'),
  '`jitter`': names('jitterMs randomDelay splay'),
  '`priority`': names('lane weight urgency importance')
}

const HEARTBEAT = names(
  'heartbeatUrl healthcheck healthcheckUrl healthchecks ping pingUrl monitor monitorUrl deadMansSwitch deadMansSnitch checkIn cronitor'
)

const OVERLAP = names('concurrencyPolicy noOverlap protect preventOverrun waitForCompletion allowOverlap singleton')

export const PEER_JOB_NAMES: PeerNames = {
  ...WHEN,
  ...ATTEMPTS,
  '`id`': names('key jobId job taskName'),
  '`name`': names('title label'),
  '`handler`': names(
    'onTick fn func function callback execute executor run runner process processor perform action task worker'
  ),
  '`data`': names('args kwargs params payload arguments context input'),
  '`schema`': names('validate validator validation dataSchema payloadSchema inputSchema jsonSchema zodSchema'),
  '`paused: true`': names('disabled enabled active suspend suspended start scheduled autoStart'),
  '`runOnStart: true`': names('runOnInit runImmediately immediate fireOnTick skipImmediate startImmediately'),
  '`maxRuns`': names('limit maxExecutions limitedRuns repeatCount times'),
  '`maxInstances`': names('concurrency maxConcurrency concurrentRuns instances'),
  '`overlap`': OVERLAP,
  '`heartbeat`': HEARTBEAT,
  "`on('error', listener)`": names('onError errorHandler catch onFailure'),
  "`on('executed', listener)`": names('onComplete onSuccess')
}

export const PEER_DEFAULT_NAMES: PeerNames = {
  ...ATTEMPTS,
  "a job's own `maxInstances`": names('maxInstances concurrency maxConcurrency concurrentRuns instances'),
  "a job's own `overlap`": ['overlap', ...OVERLAP],
  "a job's own `maxRuns`": ['maxRuns'],
  "a job's own `runOnStart`": ['runOnStart'],
  "a job's own `heartbeat`": ['heartbeat', ...HEARTBEAT]
}

export const PEER_TRIGGER_NAMES: PeerNames = {
  "`cron: '*/5 * * * *'`": names('crontab cronTime cronExpression expression schedule pattern rule'),
  "`interval: '5m'`": names('repeat repeatEvery frequency period'),
  '`interval: { minutes: 5 }`': names('seconds minutes hours days weeks milliseconds'),
  "`every: { months: 1 }` with `at: '09:00'`": names('months years freq rrule'),
  '`on`, with `every`': names('byday byweekday bymonthday byyearday weekdays'),
  '`except`': names('exclude exclusion exclusions excludeDates exdate exdates exrule skip skipDates holidays not'),
  '`cron: { hour: 3, minute: 30 }`': names('second minute hour day week month year dayOfWeek dayOfMonth weekday'),
  '`date`': names('runAt runDate fireDate'),
  '`timezone`': names('tz zone utcOffset'),
  '`startDate`': names('start startAt startTime from notBefore dtstart'),
  '`endDate`': names('end endAt endTime stopAt until notAfter'),
  'an option of the job, beside its `trigger`': names('jitter misfireGraceTime coalesce')
}

export const PEER_EVERY_NAMES: PeerNames = {
  '`interval: { hours: 1 }`, in place of `every`': names('hours minutes seconds milliseconds hour minute second')
}

export const PEER_RANGE_NAMES: PeerNames = {
  '`from`': names('start startDate startAt after begin since'),
  '`to`': names('end endDate endAt before until')
}

export const PEER_SCHEDULER_NAMES: PeerNames = {
  '`redis`': names('client redisClient connection ioredis store url redisUrl host'),
  '`prefix`': names('namespace name keyPrefix appName schedulerName instanceName'),
  '`replicaId`': names('instanceId nodeId workerId id processId'),
  '`timezone`': names('tz zone'),
  '`concurrency`': names('maxConcurrency maxWorkers maxConcurrentJobs poolSize limit'),
  '`maxEventLoopDelay`': names('eventLoopDelay eventLoopLag maxEventLoopLag maxEventLoopUtilization underPressure'),
  '`closeTimeout`': names('shutdownTimeout gracefulShutdownTimeout stopTimeout drainTimeout gracefulTimeout'),
  '`defaults`': names('jobDefaults defaultJobOptions defaultOptions'),
  '`jobs`': names('tasks schedules crons'),
  '`metrics`': names('prometheus prometheusMetrics promClient'),
  '`logger`': names('log'),
  'in `defaults`': names('lock lockTtl ttl retry retries attempts timeout jitter misfireGraceTime coalesce recovery')
}

export const PEER_PLUGIN_NAMES: PeerNames = {
  ...PEER_SCHEDULER_NAMES,
  '`health: { endpoint }`': names(
    'healthcheck healthcheckUrl healthcheckPath readiness readinessProbe ready exposeStatusRoute statusRoute status'
  ),
  '`autostart`': names('start enabled disabled')
}

export const PEER_HEALTH_NAMES: PeerNames = {
  '`endpoint`': names('path url route'),
  '`failIfDegraded`': names('strict degraded failOnDegraded')
}

/** What other clients, and plugins for them, call an option of ioredis; ioredis itself passes over what it does not know. */
export const PEER_REDIS_NAMES: PeerNames = {
  "`redis: 'redis://...'`": names('url uri redisUrl connectionString connection'),
  '`redis`, with the client itself': names('client redisClient'),
  '`host` and `port`': names('socket hostname address server'),
  '`redis`, with an ioredis Cluster': names('cluster clusterNodes nodes rootNodes startupNodes hosts'),
  '`db`': names('database'),
  '`username`': names('user'),
  '`password`': names('auth authPass pass passwd'),
  '`tls`': names('ssl useTls useSsl')
}

export const PEER_METRICS_NAMES: PeerNames = {
  '`register`': names('registry promRegistry'),
  '`endpoint`': names('path url route'),
  '`durationBuckets`': names('buckets'),
  '`metrics: false`': names('enabled disabled')
}

export const PEER_RETRY_NAMES: PeerNames = {
  '`limit`': names('attempts retries times max maxRetries maxAttempts count'),
  '`delay`': names('wait backoff minTimeout minDelay initialDelay interval'),
  '`maxDelay`': names('maxTimeout maxBackoff maxWait cap'),
  '`factor`': names('multiplier exponent base backoffFactor'),
  '`jitter`': names('randomize randomise')
}

export const PEER_LOCK_NAMES: PeerNames = {
  '`ttl`': names('duration timeout lease leaseTime expiry expire expires lifetime lockAtMostFor ms seconds minutes')
}

export const PEER_TRIGGER_CALL_NAMES: PeerNames = {
  '`data`': names('args kwargs params payload input'),
  '`wait`': names('await sync waitForCompletion'),
  '`concurrencyKey`': names('key group groupId partitionKey uniqueKey jobKey'),
  "`overlap: 'wait'`": names('queue enqueue')
}

function names(text: string): readonly string[] {
  return text.split(' ')
}

/** A name as names are compared. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '')
}

/** Our name for what a peer calls `key`, or `null`. */
export function ourNameFor(key: string, peers: PeerNames): string | null {
  const plain = plainName(key)
  for (const [ours, theirs] of Object.entries(peers)) {
    if (theirs.some((each) => plainName(each) === plain)) return ours
  }
  return null
}
