import type { Change, OpenRun, PauseScope } from '../../types/coordination.js'
import type { RemovalReason, SchedulerEventName } from '../../types/events.js'
import type { JobPause } from '../../types/levers.js'
import type { Logger } from '../../types/logger.js'
import type { Run, SkipReason } from '../../types/run.js'
import { isolated } from '../base/async-context.js'
import { isThenable } from '../base/check.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import { COUNTER, SKIPPED_COUNTER } from '../jobs/stats.js'
import type { Events } from './events.js'
import { toFleetChange } from './fleet-change.js'
import type { ToldTicks } from './history/told-ticks.js'
import type { EventLoopLateness, JournalListener, OutageCost, TickRange } from './journal-listener.js'
import { logSafely } from './log.js'
import type { AskedByHand, Logbook, LoggedAction, LoggedPause, ReportedRun } from './logbook.js'
import type { MissedLog } from './missed-log.js'
import type { HeartbeatPings } from './pings/heartbeat-pings.js'

/** A run as the journal is told of it. */
export interface JournaledRun extends ReportedRun {
  readonly job: JobRecord
}

export interface JournalOptions {
  readonly events: Events
  readonly log: Logger
  readonly logbook: Logbook
  readonly missedLog: MissedLog
  /** Who tells the store what became of ticks; `null` where no history is kept. */
  readonly toldTicks: ToldTicks | null
  readonly pings: HeartbeatPings
  /** Who hears of everything besides. */
  readonly listeners: readonly JournalListener[]
}

/**
 * The one place that is told what happened, once for each fact, by whoever sees it happen. It tells the jobs' numbers, which
 * the metrics show, the log, the events and, last of all, further listeners. None of them can stop a run, the release of a
 * lock, or another listener.
 *
 * A run passes here several times. What always listens is called directly, an event is made only when somebody hears it,
 * and further listeners cost one comparison where there are none.
 */
export class Journal {
  readonly #events: Events
  /** Whether each event has a listener now. */
  readonly #heard: Readonly<Record<SchedulerEventName, boolean>>
  readonly #log: Logger
  readonly #logbook: Logbook
  readonly #missedLog: MissedLog
  readonly #toldTicks: ToldTicks | null
  readonly #pings: HeartbeatPings
  readonly #listeners: readonly JournalListener[] | null

  constructor({ events, log, logbook, missedLog, toldTicks, pings, listeners }: JournalOptions) {
    this.#pings = pings
    this.#toldTicks = toldTicks
    this.#events = events
    this.#heard = events.heard
    this.#log = log
    this.#logbook = logbook
    this.#missedLog = missedLog
    this.#listeners = listeners.length > 0 ? listeners : null
  }

  // Runs

  /** A run begins, under its lock if it has one. */
  runStarted(active: JournaledRun): void {
    const { job, run, held } = active
    const { stats } = job
    stats.started(run, job.jitter)
    if (held !== null) {
      stats.count(COUNTER.lockAcquired)
      if (this.#heard.lockAcquired) this.#events.emit('lockAcquired', { job: job.view, run })
    }
    if (this.#heard.submitted) this.#events.emit('submitted', { job: job.view, run })
    if (this.#pings.isUsed) this.#pings.runStarted(active)
    if (this.#listeners !== null) this.#tell('runStarted', job.view, run, held !== null)
  }

  /** The outcome of a run is known, which is told once. Its handler may go on. */
  runEnded(active: JournaledRun): void {
    const { job, run, duration } = active
    if (run.outcome === 'success') {
      job.stats.succeeded(run.finishedAt as number, duration)
      this.#logbook.runSucceeded(active)
      if (this.#heard.executed) this.#events.emit('executed', { job: job.view, run })
    } else {
      job.stats.failed(duration)
      this.#logbook.runFailed(active)
      if (this.#heard.error) this.#events.emit('error', { job: job.view, run, error: run.error })
    }
    if (this.#pings.isUsed) this.#pings.runEnded(active, duration)
    if (this.#listeners !== null) this.#tell('runEnded', job.view, run, duration)
  }

  /** The handler of a run whose outcome was known before has ended. @param error what it threw, if it threw */
  runEndedLate(active: JournaledRun, error: unknown): void {
    this.#logbook.runEndedLate(active, error)
    if (this.#listeners !== null) this.#tell('runEndedLate', active.job.view, active.run, error)
  }

  /** A handler failed, and is called again. @param delay in milliseconds */
  attemptFailed(active: JournaledRun, error: unknown, delay: number): void {
    const { job, run } = active
    this.#logbook.attemptFailed(active, error, delay)
    if (this.#heard.retried) this.#events.emit('retried', { job: job.view, run, error, delay })
    if (this.#listeners !== null) this.#tell('attemptFailed', job.view, run, error, delay)
  }

  /** A handler is called again. */
  retryStarted({ job, run }: JournaledRun): void {
    job.stats.count(COUNTER.retries)
    if (this.#listeners !== null) this.#tell('retryStarted', job.view, run)
  }

  /** A handler has ended, or is not waited for any longer. */
  handlerSettled({ job, run }: JournaledRun): void {
    job.stats.ended()
    if (this.#listeners !== null) this.#tell('handlerSettled', job.view, run)
  }

  /** Another replica's run is taken over, as the run `runId`. */
  takenOver(from: OpenRun, runId: string, attempt: number): void {
    this.#logbook.takenOver(from, runId, attempt)
    if (this.#listeners !== null) this.#tell('takenOver', from, runId, attempt)
  }

  /** This replica has recorded a run of the fleet as abandoned. `job` and `run` are `null` where it does not have the job. */
  runAbandoned(open: OpenRun, job: JobRecord | null, run: Run | null): void {
    this.#logbook.runAbandoned(open, job !== null)
    if (job !== null && run !== null) {
      const duration = (run.finishedAt as number) - run.startedAt
      job.stats.failed(duration)
      if (this.#heard.error) this.#events.emit('error', { job: job.view, run, error: run.error })
      if (this.#pings.isUsed) this.#pings.runEnded({ job, run }, duration)
    }
    if (this.#listeners !== null) this.#tell('runAbandoned', open, job?.view ?? null, run)
  }

  /** A request for a run by hand is over, as what it has brought is not known any more. */
  requestLost({ id }: JobRecord, requestId: string): void {
    this.#logbook.requestLost(id, requestId)
  }

  /** A run has ended here that another replica has recorded as abandoned, and has told of. */
  abandonedRunEnded(active: JournaledRun): void {
    this.#logbook.abandonedRunEnded(active)
    if (this.#listeners !== null) this.#tell('abandonedRunEnded', active.job.view, active.run)
  }

  // Locks

  lockExtended({ job, run }: JournaledRun): void {
    job.stats.count(COUNTER.lockExtended)
    if (this.#listeners !== null) this.#tell('lockExtended', job.view, run)
  }

  lockReleased({ job, run }: JournaledRun): void {
    job.stats.count(COUNTER.lockReleased)
    if (this.#listeners !== null) this.#tell('lockReleased', job.view, run)
  }

  lockLost(active: JournaledRun, reason: string): void {
    const { job, run } = active
    job.stats.count(COUNTER.lockLost)
    this.#logbook.lockLost(active, reason)
    if (this.#heard.lockLost) this.#events.emit('lockLost', { job: job.view, run })
    if (this.#listeners !== null) this.#tell('lockLost', job.view, run, reason)
  }

  /** A run could not have its lock. `held`: another run holds it; `error`: Redis did not answer. */
  lockFailed(job: JobRecord, scheduledTime: number, reason: 'held' | 'error'): void {
    job.stats.count(reason === 'held' ? COUNTER.lockFailedHeld : COUNTER.lockFailedError)
    if (this.#heard.lockFailed) this.#events.emit('lockFailed', { job: job.view, scheduledTime, reason })
    if (this.#listeners !== null) this.#tell('lockFailed', job.view, scheduledTime, reason)
  }

  // Ticks without a run

  /** Whether somebody hears of each tick that is missed, or of each that is skipped: a range of them is told only where not. */
  hearsEach(what: 'missed' | 'skipped'): boolean {
    return this.#heard.skipped || (what === 'missed' && this.#heard.missed) || this.#listeners !== null
  }

  /** A tick has no run on this replica. */
  tickSkipped(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    this.#countSkipped(job, scheduledTime, reason)
    if (this.#listeners !== null) this.#tell('tickSkipped', job.view, scheduledTime, reason)
  }

  ticksSkipped(job: JobRecord, ticks: TickRange, reason: SkipReason): void {
    job.stats.count(SKIPPED_COUNTER[reason], ticks.count)
    this.#toldTicks?.noteTicks(job, ticks, reason)
    if (this.#listeners !== null) this.#tell('ticksSkipped', job.view, ticks, reason)
  }

  /** A tick will have no run on any replica. */
  tickMissed(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    job.stats.count(COUNTER.missed)
    this.#missedLog.note(job.id, reason, scheduledTime)
    if (this.#heard.missed) this.#events.emit('missed', { job: job.view, scheduledTime, reason })
    this.#countSkipped(job, scheduledTime, reason)
    if (this.#listeners !== null) this.#tell('tickMissed', job.view, scheduledTime, reason)
  }

  ticksMissed(job: JobRecord, ticks: TickRange, reason: SkipReason): void {
    const { first, last, count } = ticks
    job.stats.count(COUNTER.missed, count)
    job.stats.count(SKIPPED_COUNTER[reason], count)
    this.#missedLog.note(job.id, reason, first, last, count)
    this.#toldTicks?.noteTicks(job, ticks, reason)
    if (this.#listeners !== null) this.#tell('ticksMissed', job.view, ticks, reason)
  }

  /** Another replica has taken a tick of all jobs of a block. Where nobody hears of each, they are counted together. */
  blockTakenElsewhere(block: JobBlock, scheduledTime: number): void {
    if (!this.hearsEach('skipped')) block.countTakenElsewhere()
    else for (const job of block.jobs) this.tickSkipped(job, scheduledTime, 'claimed_elsewhere')
  }

  #countSkipped(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    job.stats.count(SKIPPED_COUNTER[reason])
    this.#toldTicks?.noteTick(job, scheduledTime, reason)
    if (this.#heard.skipped) this.#events.emit('skipped', { job: job.view, scheduledTime, reason })
  }

  // Jobs

  jobAdded(job: JobRecord): void {
    const { view } = job
    this.#pings.noteJob(job)
    if (this.#heard.added) this.#events.emit('added', { job: view })
    if (this.#listeners !== null) this.#tell('jobAdded', view)
  }

  jobModified(job: JobRecord): void {
    const { view } = job
    this.#pings.noteJob(job)
    if (this.#heard.modified) this.#events.emit('modified', { job: view })
    if (this.#listeners !== null) this.#tell('jobModified', view)
  }

  jobRemoved(job: JobRecord, reason: RemovalReason): void {
    if (this.#heard.removed) this.#events.emit('removed', { job: job.view, reason })
    if (this.#listeners !== null) this.#tell('jobRemoved', job.view, reason)
  }

  /** This process has paused jobs for the fleet. @param scope what was paused: these jobs, and those elsewhere */
  paused(jobs: readonly JobRecord[], scope: PauseScope, pause: LoggedPause): void {
    this.#logbook.paused(scope, jobs.length, pause)
    for (const { view } of jobs) {
      if (this.#heard.paused) this.#events.emit('paused', { job: view })
      if (this.#listeners !== null) this.#tell('paused', view, pause.by, pause.note ?? undefined)
    }
  }

  /** As `paused`. */
  resumed(
    jobs: readonly JobRecord[],
    scope: PauseScope,
    { by, note }: LoggedAction,
    still: readonly JobPause[] = []
  ): void {
    this.#logbook.resumed(scope, jobs.length, { by, note }, still)
    for (const { view } of jobs) {
      if (this.#heard.resumed) this.#events.emit('resumed', { job: view })
      if (this.#listeners !== null) this.#tell('resumed', view, by)
    }
  }

  /** Somebody has done something by this process: it is told beside what else is said of it. */
  changed(change: Change): void {
    if (!this.#heard.changed && this.#listeners === null) return
    const told = toFleetChange(change)
    if (this.#heard.changed) this.#events.emit('changed', { change: told })
    if (this.#listeners !== null) this.#tell('changed', told)
  }

  /** Somebody has asked for a run by hand. @param isOneOfMany whether a program seems to do so */
  runAskedFor(asked: AskedByHand, isOneOfMany: boolean): void {
    this.#logbook.runAskedFor(asked, isOneOfMany)
  }

  /** This process has paused a job as it failed again and again. */
  pausedAfterFailures({ id }: JobRecord, failures: number): void {
    this.#logbook.pausedAfterFailures(id, failures)
  }

  /** This process has overridden options of a job for the fleet. */
  overridden(jobId: string, options: readonly string[], action: LoggedAction): void {
    this.#logbook.overridden(jobId, options, action)
  }

  /** This process has let a job of the fleet be as its code says again. */
  overrideReset(jobId: string, action: LoggedAction): void {
    this.#logbook.overrideReset(jobId, action)
  }

  /** This process knows how operators have changed a job: says so where it cannot apply that. */
  overrideNoted({ id, override }: JobRecord): void {
    if (override !== null && override.error !== null) this.#logbook.overrideFailed(id, override, override.error)
  }

  /** This process has asked for the end of a run, wherever it goes on. @param jobId `null` where that is not known */
  runCancelled(runId: string, jobId: string | null, action: LoggedAction): void {
    this.#logbook.runCancelled(runId, jobId, action)
  }

  /** This process has asked that a tick has no run, on whichever replica. */
  skipAsked(jobId: string, scheduledTime: number, action: LoggedAction): void {
    this.#logbook.skipAsked(jobId, scheduledTime, action)
  }

  /** This process has freed locks of a job, wherever the runs go on that held them. */
  locksReleased(jobId: string, runIds: readonly string[], action: LoggedAction): void {
    this.#logbook.locksReleased(jobId, runIds, action)
  }

  // The scheduler

  /** Ticks begin. @param kind where replicas meet */
  started(jobs: number, kind: 'memory' | 'redis', replicaId: string): void {
    this.#logbook.started(jobs, kind, replicaId)
    if (this.#listeners !== null) this.#tell('started', jobs)
  }

  /** Closing begins, and waits for runs of these jobs. */
  closing(jobIds: readonly string[], runs: number, closeTimeout: number): void {
    this.#logbook.closing(jobIds, runs, closeTimeout)
    if (this.#listeners !== null) this.#tell('closing', runs)
  }

  /** `closeTimeout` has passed: the runs that go on are aborted. */
  aborting(jobIds: readonly string[], runs: number): void {
    this.#logbook.aborting(jobIds, runs)
    if (this.#listeners !== null) this.#tell('aborting', runs)
  }

  /** Closing does not wait any longer for the runs that go on. */
  left(jobIds: readonly string[], runs: number): void {
    this.#logbook.left(jobIds, runs)
    if (this.#listeners !== null) this.#tell('left', runs)
  }

  /** @param refuses whether Redis answers, and grants nothing */
  outageBegan(error: Error, refuses: boolean): void {
    this.#logbook.outageBegan(error, refuses)
    if (this.#listeners !== null) this.#tell('outageBegan', error)
  }

  outageEnded(cost: OutageCost): void {
    this.#logbook.outageEnded(cost)
    if (this.#listeners !== null) this.#tell('outageEnded', cost)
  }

  /** The event loop is late, and ticks of low priority wait for it. */
  eventLoopLate(lateness: EventLoopLateness): void {
    this.#logbook.eventLoopLate(lateness)
    if (this.#listeners !== null) this.#tell('eventLoopLate', lateness)
  }

  /** It is on time again, and they wait no longer. @param duration in milliseconds */
  eventLoopOnTime(duration: number): void {
    this.#logbook.eventLoopOnTime(duration)
    if (this.#listeners !== null) this.#tell('eventLoopOnTime', duration)
  }

  /** Writes what is collected, as nothing more will come. */
  close(): void {
    this.#missedLog.flush()
  }

  /** Tells the further listeners a fact. */
  #tell<Fact extends keyof JournalListener>(fact: Fact, ...facts: Parameters<Required<JournalListener>[Fact]>): void {
    for (const listener of this.#listeners ?? []) {
      const hear = listener[fact] as ((...facts: unknown[]) => unknown) | undefined
      if (hear === undefined) continue
      try {
        const result = isolated(() => hear.apply(listener, facts))
        if (isThenable(result)) Promise.resolve(result).catch((error: unknown) => this.#listenerFailed(fact, error))
      } catch (error) {
        this.#listenerFailed(fact, error)
      }
    }
  }

  #listenerFailed(fact: string, err: unknown): void {
    logSafely(this.#log, 'error', { err, fact }, 'a listener of the journal failed')
  }
}
