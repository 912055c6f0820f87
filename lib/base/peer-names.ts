/**
 * What other schedulers call an option: our name for it, with their names after it. They are compared without case, `-` and
 * `_`. Sources: APScheduler, node-cron, cron, croner, BullMQ, Agenda, Bree, pg-boss, graphile-worker, toad-scheduler, ShedLock,
 * Quartz, Celery beat, Kubernetes' CronJob.
 */
export type PeerNames = Readonly<Record<string, readonly string[]>>

const WHEN = {
  "`trigger: { cron: '*/5 * * * *' }`": words(
    'cron crontab cronTime cronExpression expression schedule pattern rule match'
  ),
  "`trigger: { interval: '5m' }`": words(
    'interval every repeat repeatEvery repeatInterval frequency period seconds minutes hours days weeks'
  ),
  '`trigger: { date }`': words('date at runAt runDate fireDate nextRunTime repeatAt'),
  '`timezone` in the trigger': words('timezone tz utcOffset zone'),
  '`startDate` in the trigger': words('startDate startAt startTime notBefore'),
  '`endDate` in the trigger': words('endDate endAt endTime stopAt until notAfter')
}

const ATTEMPTS = {
  '`retry: { limit, delay }`': words(
    'attempts retries retryLimit retryCount maxRetries maxAttempts backoffLimit retryDelay retryBackoff backoff'
  ),
  '`lock: { ttl }`': words(
    'ttl lockTtl lockLifetime lockDuration lockFor lockAtMostFor lockAtLeastFor lockTimeout leaseTime'
  ),
  '`timeout`': words(
    'maxRuntime runTimeout jobTimeout timeLimit expireInSeconds activeDeadlineSeconds deadline timeoutMs'
  ),
  '`misfireGraceTime`': words('grace graceTime gracePeriod misfireThreshold startingDeadlineSeconds threshold'),
  "`misfireGraceTime` with `coalesce: 'all'`": words('catchUp backfill backfillPeriod recoverMissedExecutions'),
  '`jitter`': words('jitterMs randomDelay splay')
}

const NEVER_OVERLAP = words(
  'maxInstances concurrency concurrencyPolicy noOverlap overlap protect preventOverrun waitForCompletion allowOverlap singleton'
)

export const PEER_JOB_NAMES: PeerNames = {
  ...WHEN,
  ...ATTEMPTS,
  '`id`': words('key jobId job taskName'),
  '`name`': words('title label description'),
  '`handler`': words(
    'onTick fn func function callback execute executor run runner process processor perform action task worker'
  ),
  '`data`': words('args kwargs params payload arguments context input'),
  '`paused: true`': words('disabled enabled active suspend suspended start scheduled autoStart'),
  '`trigger(id)` once it has started': words('runOnInit runImmediately immediate fireOnTick runOnStart skipImmediate'),
  'always so: runs of a job do not overlap': NEVER_OVERLAP,
  "`on('error', listener)`": words('onError errorHandler catch onFailure'),
  "`on('executed', listener)`": words('onComplete onSuccess')
}

export const PEER_DEFAULT_NAMES: PeerNames = { ...ATTEMPTS, 'always so: runs of a job do not overlap': NEVER_OVERLAP }

export const PEER_TRIGGER_NAMES: PeerNames = {
  "`cron: '*/5 * * * *'`": words('crontab cronTime cronExpression expression schedule pattern rule'),
  "`interval: '5m'`": words('every repeat repeatEvery frequency period'),
  '`interval: { minutes: 5 }`': words('seconds minutes hours days weeks milliseconds'),
  '`cron: { hour: 3, minute: 30 }`': words('second minute hour day week month year dayOfWeek dayOfMonth weekday'),
  '`date`': words('at runAt runDate fireDate'),
  '`timezone`': words('tz zone utcOffset'),
  '`startDate`': words('start startAt startTime from notBefore'),
  '`endDate`': words('end endAt endTime stopAt until notAfter'),
  'an option of the job, beside its `trigger`': words('jitter misfireGraceTime coalesce')
}

export const PEER_SCHEDULER_NAMES: PeerNames = {
  '`redis`': words('client redisClient connection ioredis store url redisUrl host'),
  '`prefix`': words('namespace name keyPrefix appName schedulerName instanceName'),
  '`replicaId`': words('instanceId nodeId workerId id processId'),
  '`timezone`': words('tz zone'),
  '`concurrency`': words('maxConcurrency maxWorkers maxConcurrentJobs poolSize limit'),
  '`closeTimeout`': words('shutdownTimeout gracefulShutdownTimeout stopTimeout drainTimeout gracefulTimeout'),
  '`defaults`': words('jobDefaults defaultJobOptions defaultOptions'),
  '`jobs`': words('tasks schedules crons'),
  '`metrics`': words('prometheus prometheusMetrics promClient'),
  '`logger`': words('log'),
  'in `defaults`': words('lock lockTtl ttl retry retries attempts timeout jitter misfireGraceTime coalesce recovery')
}

/** What other clients, and plugins for them, call an option of ioredis; ioredis itself passes over what it does not know. */
export const PEER_REDIS_NAMES: PeerNames = {
  "`redis: 'redis://...'`": words('url uri redisUrl connectionString connection'),
  '`redis`, with the client itself': words('client redisClient'),
  '`host` and `port`': words('socket hostname address server'),
  '`redis`, with an ioredis Cluster': words('cluster clusterNodes nodes rootNodes startupNodes hosts'),
  '`db`': words('database'),
  '`username`': words('user'),
  '`password`': words('auth authPass pass passwd'),
  '`tls`': words('ssl useTls useSsl')
}

export const PEER_METRICS_NAMES: PeerNames = {
  '`register`': words('registry promRegistry'),
  '`endpoint`': words('path url route'),
  '`durationBuckets`': words('buckets'),
  '`metrics: false`': words('enabled disabled')
}

export const PEER_RETRY_NAMES: PeerNames = {
  '`limit`': words('attempts retries times max maxRetries maxAttempts count'),
  '`delay`': words('wait backoff minTimeout minDelay initialDelay interval'),
  '`maxDelay`': words('maxTimeout maxBackoff maxWait cap'),
  '`factor`': words('multiplier exponent base backoffFactor'),
  '`jitter`': words('randomize randomise')
}

export const PEER_LOCK_NAMES: PeerNames = {
  '`ttl`': words('duration timeout lease leaseTime expiry expire expires lifetime lockAtMostFor ms seconds minutes')
}

export const PEER_TRIGGER_CALL_NAMES: PeerNames = {
  '`data`': words('args kwargs params payload input'),
  '`wait`': words('await sync waitForCompletion')
}

function words(text: string): readonly string[] {
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
