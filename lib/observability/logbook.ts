import type { OpenRun, PauseScope } from '../../types/coordination.js'
import type { JobOverride, JobPause } from '../../types/levers.js'
import type { Logger } from '../../types/logger.js'
import type { Run } from '../../types/run.js'
import { SECOND } from '../base/duration.js'
import { show } from '../base/show.js'
import type { EventLoopLateness } from './journal-listener.js'
import { isEnabled, type LogLevel, logSafely } from './log.js'

/** How many jobs are named in one line. */
const MAX_NAMED = 10

/** A run as the log shows it: it goes on, or has just ended. */
export interface ReportedRun {
  readonly run: Run
  /** How long its handler has taken, in milliseconds. */
  readonly duration: number
  /** Whether its handler has ended, or is not waited for any longer. */
  readonly settled: boolean
  /** Its lock, if it has one. */
  readonly held: object | null
  readonly lockLost: boolean
}

/** Who has done something, and why, as the log shows it. */
export interface LoggedAction {
  readonly by: string
  readonly note: string | null
}

/** A run by hand that somebody has asked for: it has begun, or its request waits. */
export interface AskedByHand extends LoggedAction {
  readonly jobId: string
  readonly runId: string | null
  readonly requestId: string | null
  readonly scheduledTime: number | null
}

/** A pause as the log shows it. */
export interface LoggedPause extends LoggedAction {
  /** In milliseconds since the Unix epoch; `null` for no end of its own. */
  readonly until: number | null
}

/**
 * Writes to the log what people on call want to know, one line for each fact. The names of fields stay as they are: docs/events.md
 * lists them. The line that each run has is made only where its level is on.
 */
export class Logbook {
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log
  }

  /** A run has ended with outcome `success`. */
  runSucceeded(active: ReportedRun): void {
    if (isEnabled(this.#log, 'debug')) this.#write('debug', fieldsOf(active, 'success'), 'a run has ended')
  }

  /** A run has any other outcome; its handler may go on. */
  runFailed(active: ReportedRun): void {
    const { outcome, error } = active.run
    const goesOn = !active.settled
    const fields = { err: error ?? show(error), ...fieldsOf(active, outcome), ...(goesOn ? { goesOn } : {}) }
    const kept = active.held === null || active.lockLost ? '' : ', and it keeps its lock until that has ended'
    const more = goesOn ? `: its handler goes on${kept}` : ''
    this.#write('error', fields, `a run failed${more}`)
  }

  /** The handler of a run that was logged as failed before has ended. @param error what it threw, if it threw */
  runEndedLate(active: ReportedRun, error: unknown): void {
    const fields = { ...(error === undefined ? {} : { err: error }), ...fieldsOf(active, active.run.outcome) }
    this.#write('info', fields, 'the handler of a run that had failed has ended')
  }

  /** A handler has failed, and is called again. @param delay in milliseconds */
  attemptFailed({ run }: ReportedRun, error: unknown, delay: number): void {
    const { jobId, id: runId, attempt } = run
    const fields = { err: error ?? show(error), jobId, runId, attempt, delay }
    this.#write('warn', fields, `an attempt failed, the next begins in ${delay} ms`)
  }

  /** The ticks have begun. @param kind where replicas meet */
  started(jobs: number, kind: 'memory' | 'redis', replicaId: string): void {
    this.#write(
      'info',
      { jobs, coordination: kind, replicaId },
      `the scheduler has started with ${countOf(jobs, 'job')}`
    )
  }

  /** This process has paused a job, a group or all jobs. @param jobs how many of this process that are */
  paused(scope: PauseScope, jobs: number, { until, ...action }: LoggedPause): void {
    const fields = { ...scopeFieldsOf(scope, jobs), ...actionFieldsOf(action), ...timeOf('until', until) }
    this.#write('info', fields, `${inWords(scope)} paused`)
  }

  /** This process has resumed that. @param still what pauses it all the same */
  resumed(scope: PauseScope, jobs: number, action: LoggedAction, still: readonly JobPause[]): void {
    const left = still.map(({ of }) => (of === 'job' ? 'itself' : of === 'group' ? 'its group' : 'all jobs'))
    const stays = left.length === 0 ? '' : `, and stays paused with ${left.join(' and ')}`
    const fields = { ...scopeFieldsOf(scope, jobs), ...actionFieldsOf(action) }
    this.#write('info', fields, `${inWords(scope)} resumed${stays}`)
  }

  /** Somebody has asked for a run by hand. @param isOneOfMany whether a program seems to do so: that is told at `debug` */
  runAskedFor(asked: AskedByHand, isOneOfMany: boolean): void {
    const { jobId, runId, requestId, scheduledTime } = asked
    const ids = { ...(runId === null ? {} : { runId }), ...(requestId === null ? {} : { requestId }) }
    const fields = { jobId, ...ids, ...timeOf('scheduledTime', scheduledTime), ...actionFieldsOf(asked) }
    this.#write(isOneOfMany ? 'debug' : 'info', fields, `a run of the job '${jobId}' was asked for`)
  }

  /** A job has failed so often in a row that it was paused. */
  pausedAfterFailures(jobId: string, failures: number): void {
    const message = `the job '${jobId}' is paused, as it has failed ${countOf(failures, 'time')} in a row: resume it once it can succeed`
    this.#write('warn', { jobId, failures }, message)
  }

  /** This process has overridden options of a job. Their values may be secret: only their names are logged. */
  overridden(jobId: string, options: readonly string[], action: LoggedAction): void {
    const fields = { jobId, options, ...actionFieldsOf(action) }
    this.#write('info', fields, `the job '${jobId}' is overridden: ${options.join(', ')}`)
  }

  overrideReset(jobId: string, action: LoggedAction): void {
    this.#write('info', { jobId, ...actionFieldsOf(action) }, `the job '${jobId}' follows its code again`)
  }

  /** What operators have changed of a job cannot be applied to this version of the app. */
  overrideFailed(jobId: string, { by, version }: JobOverride, reason: string): void {
    const fields = { jobId, by, version, reason }
    this.#write(
      'warn',
      fields,
      `the job '${jobId}' follows its code: what was overridden is not valid here; reset it, or override it anew`
    )
  }

  /** This process has asked for the end of a run. */
  runCancelled(runId: string, jobId: string | null, action: LoggedAction): void {
    const fields = { ...(jobId === null ? {} : { jobId }), runId, ...actionFieldsOf(action) }
    this.#write('info', fields, 'a run is to be cancelled')
  }

  /** This process has asked that a tick has no run. */
  skipAsked(jobId: string, scheduledTime: number, action: LoggedAction): void {
    const fields = { jobId, ...timeOf('scheduledTime', scheduledTime), ...actionFieldsOf(action) }
    this.#write('info', fields, `a tick of the job '${jobId}' is to be skipped`)
  }

  /** This process has freed locks. */
  locksReleased(jobId: string, runIds: readonly string[], action: LoggedAction): void {
    const fields = { jobId, runIds, ...actionFieldsOf(action) }
    this.#write('warn', fields, `the lock of the job '${jobId}' was released while it was held`)
  }

  /** @param refuses whether Redis answers, and grants nothing */
  outageBegan(err: Error, refuses: boolean): void {
    const what = refuses ? 'Redis refuses what jobs need' : 'Redis does not answer'
    this.#write('warn', { err }, `${what}: jobs wait for it`)
  }

  /** @param cost how long it took in milliseconds, how many due ticks have waited for its end, how many locks it has cost */
  outageEnded(cost: { readonly duration: number; readonly waiting: number; readonly locksLost: number }): void {
    const { duration, waiting, locksLost } = cost
    const what = `it took ${duration / SECOND} s, ${countOf(waiting, 'due tick')} waited, ${countOf(locksLost, 'lock')} lost`
    this.#write('info', cost, `Redis answers again: jobs go on; ${what}`)
  }

  /** Ticks of low priority wait. */
  eventLoopLate(lateness: EventLoopLateness): void {
    const { delay, maxDelay, waiting } = lateness
    const what = `the event loop is ${delay} ms late, more than ${maxDelay} ms`
    this.#write('warn', { ...lateness }, `${what}: ticks of low priority wait, ${waiting} at present`)
  }

  /** @param duration for how long they have waited, in milliseconds */
  eventLoopOnTime(duration: number): void {
    const message = `the event loop is on time again after ${duration / SECOND} s: ticks of low priority wait no longer`
    this.#write('info', { duration }, message)
  }

  /** @param jobIds what runs, and is waited for */
  closing(jobIds: readonly string[], runs: number, closeTimeout: number): void {
    const what = runs === 0 ? '' : `, and waits up to ${closeTimeout / SECOND} s for ${countOf(runs, 'run')}`
    this.#write('info', { runs, jobIds: jobIds.slice(0, MAX_NAMED), closeTimeout }, `the scheduler closes${what}`)
  }

  /** `closeTimeout` has passed. */
  aborting(jobIds: readonly string[], runs: number): void {
    const fields = { runs, jobIds: jobIds.slice(0, MAX_NAMED) }
    this.#write('warn', fields, `closing aborts ${countOf(runs, 'run')} that did not end in time`)
  }

  /** Runs that closing does not wait for any more. */
  left(jobIds: readonly string[], runs: number): void {
    const fields = { runs, jobIds: jobIds.slice(0, MAX_NAMED) }
    const message = `closing leaves ${countOf(runs, 'run')} that did not heed the signal: their locks end with their TTL`
    this.#write('warn', fields, message)
  }

  /** A run ended with its replica. @param isCounted whether this replica has its job, and counts a failed run */
  runAbandoned(open: OpenRun, isCounted: boolean): void {
    const fields = { ...openFieldsOf(open), outcome: 'abandoned', ...(isCounted ? {} : { isCounted }) }
    this.#write('warn', fields, 'a run was abandoned: its replica has died, or lost its lock')
  }

  /** What a run by hand has brought is gone. */
  requestLost(jobId: string, requestId: string): void {
    this.#write('warn', { jobId, requestId }, 'a run by hand that had waited is left out: Redis has lost its data')
  }

  /** A run has ended that others have recorded as abandoned. */
  abandonedRunEnded(active: ReportedRun): void {
    const fields = { ...fieldsOf(active, 'abandoned'), endedAs: active.run.outcome }
    this.#write('warn', fields, 'a run has ended that was recorded as abandoned, as it had lost its lock')
  }

  /** Another replica's run is taken over, as `runId`. */
  takenOver(from: OpenRun, runId: string, attempt: number): void {
    const { runId: abandonedRunId, ...fields } = openFieldsOf(from)
    this.#write('warn', { ...fields, runId, attempt, abandonedRunId }, "another replica's run is taken over")
  }

  /**
   * Another replica defines a job differently.
   *
   * @param differs what differs
   * @param values what that is in this process, and there; `null` while it is not known
   */
  definitionDiffers(
    level: 'warn' | 'debug',
    jobId: string,
    replicaId: string | null,
    differs: readonly string[],
    values: {
      readonly here: Readonly<Record<string, unknown>>
      readonly there: Readonly<Record<string, unknown>>
    } | null
  ): void {
    const who = replicaId === null ? 'another replica' : `the replica ${replicaId}`
    const fields = { jobId, ...(replicaId === null ? {} : { replicaId }), differs, ...values }
    this.#write(level, fields, `${who} defines the job '${jobId}' differently: ${differs.join(', ')}`)
  }

  /** Further jobs than the first `count` are defined differently, too. */
  moreDefinitionsDiffer(count: number): void {
    this.#write(
      'warn',
      {},
      `more than ${count} jobs are defined differently by other replicas: the others are told at debug`
    )
  }

  lockLost({ run }: ReportedRun, reason: string): void {
    this.#write('warn', { jobId: run.jobId, runId: run.id, reason }, 'a run has lost its lock')
  }

  #write(level: LogLevel, fields: Record<string, unknown>, message: string): void {
    logSafely(this.#log, level, fields, message)
  }
}

function scopeFieldsOf(scope: PauseScope, jobs: number): Record<string, unknown> {
  if (scope.startsWith('job:')) return { jobId: scope.slice('job:'.length) }
  return scope === 'all' ? { jobs } : { group: scope.slice('group:'.length), jobs }
}

function actionFieldsOf({ by, note }: LoggedAction): Record<string, string> {
  return note === null ? { by } : { by, note }
}

function inWords(scope: PauseScope): string {
  if (scope === 'all') return 'all jobs were'
  const [what, ...name] = scope.split(':')
  return `the ${what} '${name.join(':')}' was`
}

function timeOf(name: string, ms: number | null): Record<string, string> {
  return ms === null ? {} : { [name]: new Date(ms).toISOString() }
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** `replicaId` is the replica that had the run, `startedAt` since when. */
function openFieldsOf({
  jobId,
  runId,
  replicaId,
  attempt,
  scheduledTime,
  startedAt
}: OpenRun): Record<string, unknown> {
  const time = (ms: number): string => new Date(ms).toISOString()
  const times = { scheduledTime: time(scheduledTime), startedAt: time(startedAt) }
  return { jobId, runId, replicaId, attempt: Math.max(1, attempt), ...times }
}

function fieldsOf({ run, duration }: ReportedRun, outcome: string | null): Record<string, unknown> {
  const { jobId, id: runId, trigger, attempt } = run
  const scheduledTime = new Date(run.scheduledTime).toISOString()
  return { jobId, runId, outcome, trigger, attempt, scheduledTime, duration: Math.round(duration) }
}
