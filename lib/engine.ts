import type { Clock, TimerHandle } from '../types/clock.js'
import type { Coordination, OpenRun, OtherDefinition } from '../types/coordination.js'
import type { RemovalReason } from '../types/events.js'
import type { Executor } from '../types/executor.js'
import type { JobOptions } from '../types/job-options.js'
import { detached, detachedMethods } from './base/async-context.js'
import { SECOND } from './base/duration.js'
import { createRunIds } from './base/run-ids.js'
import { nextInSequence } from './base/sequence.js'
import { createShuffle } from './base/shuffle.js'
import { WallClock } from './base/wall-clock.js'
import { createCoordination } from './coordination/index.js'
import { AbandonedRuns } from './dispatch/abandoned-runs.js'
import { Completion } from './dispatch/completion.js'
import { Dispatcher } from './dispatch/dispatcher.js'
import { LateTicks } from './dispatch/late-ticks.js'
import { ManualRuns } from './dispatch/manual.js'
import { Reconciliation } from './dispatch/reconciliation.js'
import { Recovery } from './dispatch/recovery.js'
import { Survey } from './dispatch/survey.js'
import { TickAccount } from './dispatch/tick-account.js'
import { UnclaimedRuns } from './dispatch/unclaimed.js'
import { UnlockedRuns } from './dispatch/unlocked.js'
import { NotRunningError, RunCancelledError } from './errors.js'
import { Blocks } from './jobs/blocks.js'
import { FinishedJobs } from './jobs/finished-jobs.js'
import type { JobBlocks, JobRecord } from './jobs/job.js'
import { JobRegistry } from './jobs/registry.js'
import { createStats } from './jobs/stats.js'
import { DefinitionWarnings } from './observability/definition-warnings.js'
import { Events } from './observability/events.js'
import { Journal } from './observability/journal.js'
import type { JournalListener } from './observability/journal-listener.js'
import { logSafely } from './observability/log.js'
import { Logbook } from './observability/logbook.js'
import { Metrics } from './observability/metrics/metrics.js'
import { MissedLog } from './observability/missed-log.js'
import type { ResolvedOptions } from './options.js'
import { Capacity } from './runs/capacity.js'
import { Deadlines } from './runs/deadlines.js'
import { Executors } from './runs/executors/executors.js'
import { Finisher } from './runs/finisher.js'
import { NamedLocks } from './runs/named-locks.js'
import { Runner } from './runs/runner.js'
import { type DueTick, Timetable } from './timetable/timetable.js'
import { otherProcessZone } from './triggers/index.js'

/** How long closing may take beyond `closeTimeout`: what it has aborted has that time to settle. */
const ABORT_GRACE = SECOND

/** The part of it in which the store can say what others have recorded of the runs that were ended. */
const RECORD_GRACE = SECOND / 10

export type Phase = 'new' | 'open' | 'running' | 'stopped' | 'draining' | 'closing'

/** How many different warnings about the store are given. */
const MAX_WARNINGS = 20

/** How often a replica looks whether its unlocked jobs are paused: it never claims them. */
const PAUSE_POLL = 10 * SECOND

/** What the scheduler is given besides its options, by those who extend it from within: no public API. */
export interface EngineExtensions {
  /** Who hears from the journal what happened. */
  readonly listeners?: readonly JournalListener[]
  /** What runs the handlers `{ kind: work }`, by kind. */
  readonly executors?: Readonly<Record<string, Executor>>
}

/**
 * Wires the parts of a tick's path, starts them and ends them: timetable, coordination, execution and observability.
 *
 * It goes from `new` (jobs wait) to `open` (runs by hand) to `running` (ticks come) to `stopped` (no new ticks, all else as
 * before; it may run again) to `draining` (no new runs, those that go on end; locks by name are still to be had, for these
 * runs and for requests) to `closing` (nothing new at all).
 */
export class Engine {
  readonly jobs: JobRegistry
  readonly events: Events
  readonly coordination: Coordination
  readonly dispatcher: Dispatcher
  readonly manualRuns: ManualRuns
  readonly namedLocks: NamedLocks
  readonly metrics: Metrics | null
  readonly options: ResolvedOptions
  readonly #journal: Journal
  readonly #definitionWarnings: DefinitionWarnings
  readonly #timetable: Timetable<JobRecord>
  readonly #deadlines: Deadlines
  readonly #executors: Executors
  readonly #finisher: Finisher
  readonly #runner: Runner
  readonly #recovery: Recovery
  readonly #lateTicks: LateTicks
  readonly #survey: Survey
  readonly #finished: FinishedJobs
  readonly #abandonedRuns: AbandonedRuns
  readonly #reconciliation: Reconciliation
  #phase: Phase = 'new'
  #opening: Promise<void> | null = null
  #starting: Promise<void> | null = null
  #isTold = false
  #draining: Promise<void> | null = null
  #closing: Promise<void> | null = null
  /** Until when what goes on under locks by name may go on, on the monotonic clock: counted from when closing began. */
  #closeBy: number | null = null
  #closeTimer: TimerHandle | null = null
  #pausePoll: TimerHandle | null = null
  /** The outage that was told of: since when, on the monotonic clock, and how many locks had been lost by then. */
  #outage: { readonly since: number; readonly locksLost: number } | null = null
  readonly #unsafe = new Set<string>()
  /** The intervals that were warned of: whole numbers below 1,000. */
  readonly #bareIntervals = new Set<number>()
  #skewReported = false
  /** The fleet's clock less the monotonic one, as last known. */
  #clockOffset: number | null = null
  /** Up to when it was warned that ticks are taken already. */
  #takenUntil = Number.NEGATIVE_INFINITY

  /** @throws the coded errors of the jobs in the options, and of the registry; then nothing was opened */
  constructor(options: ResolvedOptions, { listeners = [], executors = {} }: EngineExtensions = {}) {
    this.options = options
    const { clock, givenClock, log, replicaId, concurrency, defaults, timezone, durationBuckets, metrics } = options
    const coordination = createCoordination(
      options,
      // Redis' answers come in the context of who asked, its connection's news in that of who connected.
      detachedMethods({
        onUp: () => this.#onUp(),
        onDown: (error, refuses) => this.#onDown(error, refuses),
        onClockStep: (measured) => this.#onClockStep(measured),
        onPast: (isAll = false) => this.#onPast(isAll),
        onHandedBack: (jobId, scheduledTime, by) => this.#onHandedBack(jobId, scheduledTime, by),
        onDefinitionDiffers: (...differing) => this.#onDefinitionDiffers(...differing),
        onUnsafe: (reason) => this.#onUnsafe(reason),
        onNotice: (level, message) => logSafely(log, level, {}, message)
      })
    )
    const events = new Events(log)
    const logbook = new Logbook(log)
    const journal = new Journal({ events, log, logbook, missedLog: new MissedLog(log, clock), listeners })
    this.#journal = journal
    this.#definitionWarnings = new DefinitionWarnings(coordination, logbook)
    const deadlines = new Deadlines(clock)
    const newRunId = createRunIds()
    const finisher = new Finisher(coordination, clock, newRunId)
    this.coordination = coordination
    this.events = events
    this.#deadlines = deadlines
    this.#finisher = finisher
    this.namedLocks = new NamedLocks({ coordination, clock, deadlines }, finisher, newRunId)
    const wallClock = new WallClock({
      now: () => coordination.now(),
      monotonic: () => clock.monotonic(),
      onSetBack: (until, step) => this.#onSetBack(until, step),
      onCorrected: (now, step, floor) => this.#onCorrected(now, step, floor)
    })
    this.#timetable = new Timetable(
      () => coordination.now(),
      clock,
      (job, tick) => this.dispatcher.enqueue(job, tick),
      () => this.dispatcher.pump(),
      (trigger, tick) => this.dispatcher.enqueueAll(trigger, tick),
      (job) => this.#finished.touch(job),
      // A step of Redis' clock is told where it is measured. That two clocks drift apart is none.
      coordination.state.kind === 'memory' ? () => wallClock.look() : () => this.#noteClock()
    )
    this.#finished = new FinishedJobs({
      clock,
      isBusy: (job) => this.#isBusy(job),
      isOver: (job) => this.#timetable.isOver(job),
      remove: (job) => this.remove(job.id, 'finished')
    })
    const blocks: JobBlocks = new Blocks(coordination.state.kind !== 'memory')
    const { newStats, total } = createStats(metrics === null ? null : durationBuckets, metrics?.perJob !== false)
    this.#executors = new Executors(executors, log)
    this.jobs = new JobRegistry(
      defaults,
      (handler) => this.#executors.resolve(handler),
      timezone,
      newStats,
      this.#timetable,
      blocks,
      (jobId, interval) => this.#onBareInterval(jobId, interval)
    )
    const capacity = new Capacity(concurrency, () => this.dispatcher.pump())
    const onUnfinished = (job: JobRecord): void => this.#recovery.lookNow(job)
    const onFinished = (job: JobRecord): void => this.#finished.touch(job)
    this.#runner = new Runner({
      replicaId,
      clock,
      givenClock,
      coordination,
      deadlines,
      finisher,
      journal,
      log,
      capacity,
      onUnfinished,
      onLast: onFinished
    })
    const account = new TickAccount(journal)
    const wakeAt = (job: JobRecord, at: number, tick?: DueTick): void => this.#timetable.wake(job, at, tick)
    const completion = new Completion({ coordination, wakeAt, onFinished })
    const unlocked = new UnlockedRuns({ coordination, runner: this.#runner, account, journal, completion, newRunId })
    const unclaimed = new UnclaimedRuns({ coordination, runner: this.#runner, journal, newRunId })
    const common = { capacity, clock, coordination, runner: this.#runner, finisher, newRunId }
    const jobOf = (jobId: string): JobRecord | undefined => this.jobs.get(jobId)
    const runIds = (): readonly string[] => {
      const parts = [this.#runner, finisher, this.dispatcher, this.manualRuns, this.#recovery]
      return parts.flatMap((part) => [...part.runIds])
    }
    const abandonedRuns = new AbandonedRuns({
      replicaId,
      clock,
      coordination,
      journal,
      newCallId: newRunId,
      runIds,
      jobOf
    })
    this.#abandonedRuns = abandonedRuns
    const onTakenOver = (from: OpenRun, runId: string, attempt: number): void => {
      journal.takenOver(from, runId, attempt)
      abandonedRuns.record([from])
    }
    this.#recovery = new Recovery({
      ...common,
      replicaId,
      deadlines,
      onTakenOver
    })
    this.manualRuns = new ManualRuns({ ...common, recovery: this.#recovery, journal, unlocked })
    const enqueue = (job: JobRecord, tick: DueTick): void => this.dispatcher.enqueue(job, tick)
    this.#lateTicks = new LateTicks({ coordination, enqueue, wakeAt })
    this.#survey = new Survey({
      clock,
      coordination,
      recovery: this.#recovery,
      lateTicks: this.#lateTicks,
      log,
      jobs: this.jobs,
      nextOf: (job) => this.#timetable.nextOf(job),
      isRunning: () => this.#phase === 'running',
      onFuture: (until) => this.#warnOfFuture(until),
      onSurveyed: () => this.dispatcher.pump()
    })
    this.dispatcher = new Dispatcher({
      ...common,
      surveyed: () => this.#survey.pending,
      blocks,
      recovery: this.#recovery,
      unlocked,
      unclaimed,
      completion,
      jobs: this.jobs,
      account,
      journal,
      shuffle: coordination.state.kind === 'memory' ? null : createShuffle(replicaId)
    })
    this.#reconciliation = new Reconciliation({
      coordination,
      jobs: () => this.jobs.values(),
      newRunId,
      runIds
    })
    this.metrics = metrics === null ? null : new Metrics(metrics, this.jobs, this.dispatcher, coordination, total)
    try {
      for (const job of options.jobs) this.jobs.add(job, options.app)
      this.metrics?.register()
    } catch (error) {
      // Nothing is half done: no metric stays behind, and no client of ours.
      this.metrics?.unregister()
      void coordination.close()
      throw error
    }
    for (const job of this.jobs.values()) journal.jobAdded(job)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** @throws NotRunningError naming what cannot be done, unless the scheduler was opened and takes new runs */
  checkRunning(what: string): void {
    if (this.#phase === 'new' || this.isEnding) throw this.#notRunning(what)
  }

  /** @throws NotRunningError naming `what` cannot be done, once the end has begun */
  checkOpen(what: string): void {
    if (this.#phase === 'closing') throw this.#notRunning(what)
  }

  add(options: JobOptions, app: unknown): JobRecord {
    const job = this.jobs.add(options, app)
    if (this.#phase === 'running') this.#survey.add(job)
    this.#journal.jobAdded(job)
    return job
  }

  modify(...change: Parameters<JobRegistry['modify']>): JobRecord {
    const before = this.jobs.get(change[0])?.trigger
    const job = this.jobs.modify(...change)
    if (this.#phase === 'running' && job.trigger !== before) this.#survey.add(job)
    this.#journal.jobModified(job)
    return job
  }

  /** Whether there was such a job. */
  remove(id: string, reason: RemovalReason): boolean {
    const job = this.jobs.remove(id)
    if (job !== null) this.#journal.jobRemoved(job, reason)
    return job !== null
  }

  /**
   * Pauses a job for the fleet, or resumes it.
   *
   * @throws RedisUnavailableError, RedisAuthError; NotRunningError once the end has begun
   */
  async pause(job: JobRecord, note: string | undefined): Promise<void> {
    await this.open('pause a job')
    await this.coordination.pause(job.id, note)
    this.#journal.paused(this.#learnPaused(job, true), this.options.replicaId, note)
  }

  /** As `pause`. */
  async resume(job: JobRecord): Promise<void> {
    await this.open('resume a job')
    await this.coordination.resume(job.id)
    this.#journal.resumed(this.#learnPaused(job, false), this.options.replicaId)
  }

  /**
   * Opens the coordination; from now on runs by hand are taken.
   *
   * @throws RedisAuthError; NotRunningError once the end has begun
   */
  async prepare(): Promise<void> {
    if (this.isEnding) throw this.#notRunning('start')
    if (this.#phase === 'new') this.#phase = 'open'
    await this.open('start')
  }

  /**
   * Begins the ticks, also again after `stop()`.
   *
   * @throws RedisAuthError; NotRunningError once the end has begun
   */
  start(): Promise<void> {
    if (this.isEnding) return Promise.reject(this.#notRunning('start'))
    this.#starting ??= this.#start()
    return this.#starting
  }

  stop(): void {
    if (!this.isEnding) this.#phase = 'stopped'
    this.#starting = null
    this.#pausePoll?.cancel()
    this.#survey.stop()
    this.#timetable.stop()
    this.dispatcher.stop()
    this.#recovery.stop()
    this.#finished.stop()
    this.#abandonedRuns.stop()
  }

  /** Ends the runs: lets those that go on end within `closeTimeout`, aborts the others, and does not wait for ever. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  /** Ends the runs, and what goes on under locks by name, within one `closeTimeout`; all else is as before. */
  async quiesce(): Promise<void> {
    const drained = this.drain()
    this.#abortNamedLocksInTime()
    await drained
    await this.#namedLocksSettled()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Whether the end has begun: no run is taken any more. */
  get isEnding(): boolean {
    return this.#phase === 'draining' || this.#phase === 'closing'
  }

  /**
   * Opens the coordination, once; `withLock`, `pause` and `resume` may need it before the clock starts.
   *
   * @param what what needs it, for the error
   * @throws RedisAuthError; NotRunningError once the end has begun
   */
  async open(what: string): Promise<void> {
    this.checkOpen(what)
    this.#opening ??= detached(() => this.#openParts())
    await this.#opening
    this.checkOpen(what)
  }

  async #openParts(): Promise<void> {
    await Promise.all([this.coordination.open(), this.#executors.start()])
  }

  async #start(): Promise<void> {
    try {
      await this.prepare()
    } catch (error) {
      // Closed meanwhile: there is nothing to start any more.
      if (this.isEnding) return
      throw error
    }
    // Stopped or closed meanwhile, or started anew after a stop.
    if (this.isEnding || this.#starting === null || this.#phase === 'running') return
    this.#phase = 'running'
    if (!this.#isTold) {
      this.#isTold = true
      this.#tellOfMemory()
      this.#compareZones()
    }
    this.dispatcher.start()
    this.#recovery.start()
    this.#finished.start(this.jobs.values())
    this.#timetable.start()
    this.#journal.started(this.jobs.size, this.coordination.state.kind, this.options.replicaId)
    this.#pollPaused()
    this.#abandonedRuns.start()
    this.#survey.take()
  }

  #tellOfMemory(): void {
    if (this.coordination.state.kind !== 'memory') return
    const level = process.env.NODE_ENV === 'production' ? 'warn' : 'info'
    const told = 'jobs are coordinated in memory: every replica runs every tick; set `redis` to share them'
    logSafely(this.options.log, level, {}, told)
  }

  async #drain(): Promise<void> {
    const hasBegun = this.#phase !== 'new'
    this.stop()
    this.#phase = 'draining'
    const { closeTimeout, clock } = this.options
    const abortAt = clock.monotonic() + closeTimeout
    const runner = this.#runner
    if (hasBegun) this.#journal.closing(runner.jobIds, runner.size, closeTimeout)
    const settled = this.#runsSettled()
    if (!(await isSettledBy(settled, abortAt, clock))) {
      if (runner.size > 0) this.#journal.aborting(runner.jobIds, runner.size)
      this.#runner.abortAll((job) => new RunCancelledError(`A run of the job '${job.id}'`, closeTimeout))
      await isSettledBy(settled, abortAt + ABORT_GRACE - RECORD_GRACE, clock)
    }
    if (runner.size > 0) this.#journal.left(runner.jobIds, runner.size)
    // Who waits for a run that does not end is told so: a request, for one, which keeps the app from closing.
    this.#runner.close()
    // So is who listens, while what the listeners use is there: the app closes it next.
    await isSettledBy(this.#finisher.settled(), abortAt + ABORT_GRACE, clock)
    this.#finisher.awaitNoMore()
  }

  /** A request that is waited for may take one at any time. */
  #abortNamedLocksInTime(): void {
    if (this.#closeBy !== null) return
    const { closeTimeout, clock } = this.options
    const error = new RunCancelledError('What was done under a lock', closeTimeout)
    this.#closeBy = clock.monotonic() + closeTimeout
    this.#closeTimer = clock.setTimeout(() => this.namedLocks.abortAll(error), closeTimeout)
  }

  async #namedLocksSettled(): Promise<void> {
    const until = (this.#closeBy ?? 0) + ABORT_GRACE
    await isSettledBy(this.namedLocks.settled(), until, this.options.clock)
  }

  async #close(): Promise<void> {
    await this.quiesce()
    this.#phase = 'closing'
    // What has taken one meanwhile.
    await this.#namedLocksSettled()
    await isSettledBy(this.#executors.close(), (this.#closeBy ?? 0) + ABORT_GRACE, this.options.clock)
    this.#closeTimer?.cancel()
    this.namedLocks.close()
    this.#deadlines.close()
    await this.#finisher.close()
    await this.coordination.close()
    this.#journal.close()
    this.metrics?.unregister()
  }

  async #runsSettled(): Promise<void> {
    // A start under way ends first; how, it has told its own caller.
    await this.#opening?.catch(() => {})
    await this.dispatcher.settled()
    await this.#recovery.settled()
    await this.manualRuns.settled()
    await this.#runner.settled()
    await this.#finisher.settled()
  }

  /** Whether a job has something to come that its trigger knows nothing of, or that this replica may not know of yet. */
  #isBusy(job: JobRecord): boolean {
    if (!this.coordination.state.up || job.stats.running > 0) return true
    return this.#timetable.nextOf(job) !== null || this.dispatcher.isBusy(job) || this.#recovery.isLookingFor(job)
  }

  #pollPaused(): void {
    this.#pausePoll = this.options.clock.setTimeout(() => {
      const unlocked = [...this.jobs.values()].filter((job) => job.definition.lockTtl === null)
      if (unlocked.length > 0) this.#survey.take(unlocked)
      this.#pollPaused()
    }, PAUSE_POLL)
  }

  #onHandedBack(jobId: string, scheduledTime: number, by: string): void {
    const job = this.jobs.get(jobId)
    if (job === undefined || this.#phase !== 'running' || job.definition.lockTtl === null) return
    if (!job.noteHandedBack(scheduledTime, by, nextInSequence())) return
    this.#lateTicks.bring(job, scheduledTime, scheduledTime)
    this.dispatcher.pump()
  }

  /** @returns the job of that id as it is now */
  #learnPaused(job: JobRecord, paused: boolean): JobRecord {
    // It may have been removed and added again meanwhile.
    const known = this.jobs.get(job.id) ?? job
    this.jobs.learnPaused(known, paused, nextInSequence())
    return known
  }

  #onDefinitionDiffers(jobId: string, tick: number, other: OtherDefinition): void {
    const job = this.jobs.get(jobId)
    // What was claimed before this replica had the job may have been by an earlier version, which is gone.
    if (job !== undefined && tick > job.presentSince) void this.#definitionWarnings.tell(job, other)
  }

  #onBareInterval(jobId: string, interval: number): void {
    if (this.#bareIntervals.has(interval)) return
    this.#bareIntervals.add(interval)
    const message = `the interval of the job '${jobId}' is ${interval} ms, as numbers are milliseconds: write '${interval}s' if seconds are meant, else '${interval}ms'`
    logSafely(this.options.log, 'warn', { jobId, interval }, message)
  }

  /** Tells where expressions are read in another zone than that of the process, in which other schedulers read them. */
  #compareZones(): void {
    const { log, timezone, isTimezoneGiven } = this.options
    const processTimezone = otherProcessZone(timezone, this.coordination.now())
    if (processTimezone === null) return
    const level = isTimezoneGiven ? 'info' : 'warn'
    const hint = isTimezoneGiven ? '' : ': set `timezone` to have them in another'
    const message = `triggers without a time zone are in ${timezone}, and this process is in ${processTimezone}${hint}`
    logSafely(log, level, { timezone, processTimezone }, message)
  }

  #onUnsafe(reason: string): void {
    if (this.#unsafe.has(reason) || this.#unsafe.size >= MAX_WARNINGS) return
    this.#unsafe.add(reason)
    logSafely(this.options.log, 'warn', {}, reason)
  }

  #onUp(): void {
    const outage = this.#outage
    if (outage !== null) {
      const duration = Math.round(this.options.clock.monotonic() - outage.since)
      const locksLost = this.#runner.locksLost - outage.locksLost
      this.#journal.outageEnded({ duration, waiting: this.dispatcher.backlog, locksLost })
      // It may have been restarted with data of the past, which is told before anything is asked.
      this.#onPast(false)
      this.#abandonedRuns.wait()
    }
    this.#outage = null
    // How far the clock went back meanwhile says nothing of what is taken: the store is asked for that.
    this.#clockOffset = null
    this.#noteClock()
    if (this.#phase === 'running') this.#survey.take()
    // What is owned is given back before anything is asked for: an own lock must not look like an overlap.
    void this.#finisher.retryNow()
    this.dispatcher.wakeUp()
  }

  #onPast(isAll: boolean): void {
    this.namedLocks.releaseAgain()
    if (this.#phase !== 'new') void this.#reconciliation.run(isAll)
  }

  #onDown(err: Error, refuses = false): void {
    this.#outage ??= { since: this.options.clock.monotonic(), locksLost: this.#runner.locksLost }
    this.#journal.outageBegan(err, refuses)
  }

  #onClockStep(measured = 0): void {
    const { log, maxClockSkew } = this.options
    const skew = Math.round(this.coordination.state.skew)
    if (Math.abs(measured) > maxClockSkew) this.#onMeasured(measured)
    else this.#timetable.resync()
    this.#noteClock()
    if (Math.abs(skew) <= maxClockSkew || this.#skewReported) return
    this.#skewReported = true
    logSafely(log, 'warn', { skew }, `this machine's clock is ${skew} ms off Redis' clock, by which jobs are run`)
  }

  /** Until now this process' own clock was that of the fleet, and it was wrong: all that was noted by it is put right. */
  #onMeasured(step: number): void {
    const now = this.coordination.now()
    this.dispatcher.moveTimes(step)
    this.jobs.moveTimes(step, now)
    this.#timetable.moveTimes(step)
    for (const job of this.jobs.values()) this.#lateTicks.bringDue(job, now)
  }

  #onSetBack(until: number, step: number): void {
    const message = `the clock was set back by ${Math.round(step / SECOND)} s: what was due until ${new Date(until).toISOString()} has been and is not due again, jobs go on then`
    logSafely(this.options.log, 'warn', { step: -step }, message)
  }

  #onCorrected(now: number, step: number, floor: number): void {
    this.coordination.correct?.(now, floor)
    for (const job of this.jobs.values()) job.correct(now, floor)
    this.#timetable.correct(step, floor)
    const message = `the clock was set back by ${Math.round(step / SECOND)} s, which is a correction: jobs go on by it at once`
    logSafely(this.options.log, 'warn', { step: -step }, message)
  }

  /** Looks whether the fleet's clock has gone back: ticks up to where it was are taken, and will not come again. */
  #noteClock(): void {
    if (!this.coordination.state.up) return
    const now = this.coordination.now()
    const offset = now - this.options.clock.monotonic()
    const back = this.#clockOffset === null ? 0 : this.#clockOffset - offset
    this.#clockOffset = offset
    if (back > 0) this.#warnOfFuture(now + back)
  }

  /** @param until the last tick that may be taken already */
  #warnOfFuture(until: number): void {
    const { log, maxClockSkew } = this.options
    const wait = Math.round(until - this.coordination.now())
    if (wait <= Math.max(maxClockSkew, SECOND) || until <= this.#takenUntil + SECOND) return
    this.#takenUntil = until
    const when = new Date(until).toISOString()
    logSafely(
      log,
      'warn',
      { until: when, wait },
      `Redis' clock has gone back: jobs have no ticks until ${when}, as those are taken`
    )
  }

  #notRunning(what: string): Error {
    const why = { draining: 'takes no new runs, as it is closing', closing: 'is closed' } as const
    return new NotRunningError(what, this.isEnding ? why[this.#phase as keyof typeof why] : 'has not been started')
  }
}

/** Whether a promise is settled by a time on the monotonic clock. */
function isSettledBy(promise: Promise<void>, time: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve(false), Math.max(0, time - clock.monotonic()))
    void promise.then(() => {
      timer.cancel()
      resolve(true)
    })
  })
}
