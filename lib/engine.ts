import type { Coordination, CoordinationListener, OpenRun } from '../types/coordination.js'
import type { Health } from '../types/status.js'
import { detachedMethods } from './base/async-context.js'
import { systemClock } from './base/clock.js'
import { createRunIds } from './base/run-ids.js'
import { jobScope } from './base/scopes.js'
import { createShuffle } from './base/shuffle.js'
import { createCoordination } from './coordination/index.js'
import { AbandonedRuns } from './dispatch/abandoned-runs.js'
import { ClockWatch, lookEvery } from './dispatch/clock-watch.js'
import { Completion } from './dispatch/completion.js'
import { Dispatcher } from './dispatch/dispatcher.js'
import { EndedJobs } from './dispatch/ended-jobs.js'
import { EventLoopGuard } from './dispatch/event-loop-guard.js'
import { FailurePauses } from './dispatch/failure-pauses.js'
import { FleetChanges } from './dispatch/fleet-changes.js'
import { JobControl } from './dispatch/job-control.js'
import { LateTicks } from './dispatch/late-ticks.js'
import { ManualRuns } from './dispatch/manual.js'
import { Outages } from './dispatch/outages.js'
import { QueuedRuns } from './dispatch/queued-runs.js'
import { Reconciliation } from './dispatch/reconciliation.js'
import { Recovery } from './dispatch/recovery.js'
import { StartRuns } from './dispatch/start-runs.js'
import { StoreNews } from './dispatch/store-news.js'
import { Survey } from './dispatch/survey.js'
import { TickAccount } from './dispatch/tick-account.js'
import { TracedClaims } from './dispatch/traced-claims.js'
import { UnclaimedRuns } from './dispatch/unclaimed.js'
import { UnlockedRuns } from './dispatch/unlocked.js'
import { WaitingRuns } from './dispatch/waiting-runs.js'
import type { EngineExtensions } from './engine/extensions.js'
import { healthOf } from './engine/health.js'
import { Heartbeat } from './engine/heartbeat.js'
import { Levers } from './engine/levers.js'
import { Lifecycle } from './engine/lifecycle.js'
import { Phases } from './engine/phases.js'
import { RunsByHand } from './engine/runs-by-hand.js'
import { Shutdown } from './engine/shutdown.js'
import { Blocks } from './jobs/blocks.js'
import { FinishedJobs } from './jobs/finished-jobs.js'
import type { JobBlocks, JobRecord } from './jobs/job.js'
import { checkForMasters } from './jobs/options.js'
import { JobRegistry } from './jobs/registry.js'
import { createStats } from './jobs/stats.js'
import { DefinitionWarnings } from './observability/definition-warnings.js'
import { Events } from './observability/events.js'
import { FleetStatus } from './observability/fleet-status.js'
import { HistoryReader } from './observability/history/history.js'
import { RunEntries } from './observability/history/run-entries.js'
import { ToldTicks } from './observability/history/told-ticks.js'
import { Journal } from './observability/journal.js'
import { Logbook } from './observability/logbook.js'
import { FleetNumbers } from './observability/metrics/fleet-numbers.js'
import { Metrics } from './observability/metrics/metrics.js'
import { MissedLog } from './observability/missed-log.js'
import { HeartbeatPings } from './observability/pings/heartbeat-pings.js'
import { sendByHttp } from './observability/pings/http-ping.js'
import { Warnings } from './observability/warnings.js'
import type { ResolvedOptions } from './options.js'
import { Capacity } from './runs/capacity.js'
import { Deadlines } from './runs/deadlines.js'
import { Executors } from './runs/executors/executors.js'
import { Finisher } from './runs/finisher.js'
import { NamedLocks } from './runs/named-locks.js'
import { ProgressReports } from './runs/progress.js'
import { Runner } from './runs/runner.js'
import { type DueTick, Timetable } from './timetable/timetable.js'

/** Makes the parts of a scheduler and connects them; `lifecycle` starts and ends them. */
export class Engine {
  readonly options: ResolvedOptions
  readonly jobs: JobRegistry
  readonly control: JobControl
  readonly events: Events
  readonly coordination: Coordination
  readonly runsByHand: RunsByHand
  readonly levers: Levers
  readonly namedLocks: NamedLocks
  readonly capacity: Capacity
  readonly metrics: Metrics | null
  readonly history: HistoryReader
  readonly fleetStatus: FleetStatus
  readonly lifecycle: Lifecycle
  readonly health: () => Health
  readonly outages: Outages

  /** @throws the coded errors of the jobs in the options, and of the registry; then nothing was opened */
  constructor(options: ResolvedOptions, extensions: EngineExtensions = {}) {
    const { listeners = [], executors: furtherExecutors = {}, compilerOf, sendPing } = extensions
    const { clock, givenClock, log, replicaId, defaults, timezone, maxClockSkew, closeTimeout } = options
    const phases = new Phases()
    const isRunning = (): boolean => phases.isRunning

    // What happened
    const events = new Events(log)
    const logbook = new Logbook(log)
    const warnings = new Warnings(log)

    // Who runs it: the store that replicas share
    const listener: CoordinationListener = {
      onUp: () => news.onUp(),
      onDown: (error, refuses) => news.onDown(error, refuses),
      onClockStep: (measured) => news.onClockStep(measured),
      onPast: (isAll) => news.onPast(isAll),
      onHandedBack: (jobId, scheduledTime, by) => news.onHandedBack(jobId, scheduledTime, by),
      onWaiting: (jobId) => news.onWaiting(jobId),
      onReplaced: (runId) => news.onReplaced(runId),
      onChanges: (changes, isComplete) => news.onChanges(changes, isComplete),
      onDefinitionDiffers: (jobId, tick, other) => news.onDefinitionDiffers(jobId, tick, other),
      onUnsafe: (reason) => warnings.storeUnsafe(reason),
      onNotice: (level, message) => warnings.storeNotice(level, message)
    }
    // Redis' answers come in the context of who asked, its connection's news in that of who connected.
    const coordination = createCoordination(options, detachedMethods(listener))
    const isShared = coordination.state.kind !== 'memory'
    const { history } = options
    const toldTicks = new ToldTicks({
      clock,
      coordination,
      replicaId,
      onLeftOut: (count) => warnings.historyLeftOut(count)
    })
    const entries = new RunEntries(history, (error) => warnings.redactFailed(error))
    const missedLog = new MissedLog(log, clock)
    const pings: HeartbeatPings = new HeartbeatPings({
      ...{ clock, warnings },
      // Under simulated time nothing real is told of runs.
      send: sendPing ?? (givenClock === systemClock ? sendByHttp : null),
      errorText: (error) => entries.error(error),
      inTime: (closing) => shutdown.inTime(closing)
    })
    const journal = new Journal({
      ...{ events, log, logbook, missedLog, pings, listeners },
      toldTicks: history === null ? null : toldTicks
    })

    // When it is due
    const timetable: Timetable<JobRecord> = new Timetable({
      clock,
      now: () => coordination.now(),
      onDue: (job, tick) => dispatcher.enqueue(job, tick),
      onWoken: () => dispatcher.pump(),
      onTick: (trigger, tick) => dispatcher.enqueueAll(trigger, tick),
      onFinished: (job) => finished.scheduleRemoval(job),
      onWake: () => clockWatch.look(),
      maxSleep: lookEvery(isShared)
    })
    const wakeAt = (job: JobRecord, at: number, tick?: DueTick): void => timetable.wake(job, at, tick)
    const nextOf = (job: JobRecord): number | null => timetable.nextOf(job)

    // The jobs
    const blocks: JobBlocks = new Blocks(isShared)
    const { metrics, durationBuckets } = options
    const { newStats, total } = createStats(metrics === null ? null : durationBuckets, metrics?.perJob !== false)
    const executors = new Executors(furtherExecutors, log)
    const jobs = new JobRegistry(
      defaults,
      (handler) => executors.resolve(handler),
      timezone,
      newStats,
      timetable,
      blocks,
      (jobId, interval) => warnings.bareInterval(jobId, interval),
      (definition) => checkForMasters(definition, coordination.state.masters),
      compilerOf
    )
    const finished: FinishedJobs = new FinishedJobs({
      clock,
      jobs: () => jobs.values(),
      // Something may be to come that the trigger knows nothing of, or that this replica does not know of yet.
      isBusy: (job) =>
        !coordination.state.up ||
        // It may be reset.
        job.override !== null ||
        job.stats.running > 0 ||
        nextOf(job) !== null ||
        dispatcher.isBusy(job) ||
        waitingRuns.has(job) ||
        startRuns.has(job) ||
        recovery.isLookingFor(job),
      isOver: (job) => timetable.isOver(job),
      remove: (job) => control.remove(job.id, 'finished')
    })
    const onFinished = (job: JobRecord): void => finished.scheduleRemoval(job)

    // How it is run
    const deadlines = new Deadlines(clock)
    const newRunId = createRunIds()
    const finisher = new Finisher(coordination, clock, newRunId)
    const namedLocks = new NamedLocks({ coordination, clock, deadlines }, finisher, newRunId)
    const progress = new ProgressReports(clock, coordination)
    const capacity = new Capacity(options.concurrency, () => {
      recovery.onRoom()
      dispatcher.pump()
    })
    const common = { clock, coordination, capacity, finisher, journal, newRunId, entries, progress, toldTicks }
    const onFailed = (job: JobRecord): void => void failurePauses.note(job)
    const runner = new Runner({
      ...common,
      replicaId,
      givenClock,
      deadlines,
      log,
      onUnfinished: (job) => recovery.lookNow(job),
      onFailed,
      onLast: onFinished,
      onReplaceable: () => waitingRuns.watchReplaced()
    })

    // Who runs it: what is asked for, and what follows from the answers
    const claims = new TracedClaims(coordination, replicaId)
    const shared = { ...common, claims, runner }
    const account = new TickAccount(journal)
    const endedJobs = new EndedJobs({ clock, coordination, jobs, newRunId })
    const completion = new Completion({ coordination, wakeAt, onFinished })
    const unlocked = new UnlockedRuns({ ...shared, account, completion })
    const unclaimed = new UnclaimedRuns(shared)
    const runIds = (): readonly string[] => {
      return [runner, finisher, dispatcher, manualRuns, recovery, waitingRuns, startRuns].flatMap((part) => [
        ...part.runIds
      ])
    }
    const jobOf = (jobId: string): JobRecord | undefined => jobs.get(jobId)
    const abandonedRuns = new AbandonedRuns({
      ...shared,
      replicaId,
      newCallId: newRunId,
      runIds,
      jobOf,
      onFailed,
      onLook: () => heartbeat.beat(),
      onLeft: (job) => recovery.noteLeft(job)
    })
    const onTakenOver = (from: OpenRun, runId: string, attempt: number): void => {
      journal.takenOver(from, runId, attempt)
      abandonedRuns.record([from])
    }
    const recovery: Recovery = new Recovery({
      ...shared,
      replicaId,
      deadlines,
      onTakenOver,
      onRequestBegun: (active, requestId, brought) => waitingRuns.begun(active, requestId, brought)
    })
    const isEnding = (): boolean => phases.isEnding
    const waitingRuns: WaitingRuns = new WaitingRuns({ ...shared, endedJobs, replicaId, recovery, isRunning, isEnding })
    const queuedRuns = new QueuedRuns({ clock, coordination, waitingRuns, newRunId, isEnding })
    const manualRuns: ManualRuns = new ManualRuns({ ...shared, endedJobs, recovery, unlocked })
    const startRuns: StartRuns = new StartRuns({ ...shared, endedJobs, recovery, unlocked })
    const lateTicks = new LateTicks({ coordination, wakeAt, enqueue: (job, tick) => dispatcher.enqueue(job, tick) })
    const survey = new Survey({
      ...shared,
      recovery,
      lateTicks,
      startRuns,
      endedJobs,
      log,
      jobs,
      nextOf,
      overrides: () => fleetChanges.reading,
      isRunning,
      onFuture: (until) => clockWatch.onTakenAhead(until),
      onSurveyed: () => dispatcher.pump()
    })
    const dispatcher: Dispatcher = new Dispatcher({
      ...shared,
      surveyed: () => survey.pending,
      blocks,
      recovery,
      unlocked,
      unclaimed,
      completion,
      waitingRuns,
      endedJobs,
      jobs,
      account,
      shuffle: isShared ? createShuffle(replicaId) : null
    })
    const guard = new EventLoopGuard({
      clock,
      maxDelay: options.maxEventLoopDelay,
      journal,
      onLate: () => dispatcher.holdLow(),
      onTime: () => dispatcher.releaseLow()
    })
    const fleetChanges: FleetChanges = new FleetChanges({
      ...shared,
      jobs,
      log,
      onWaiting: (jobId) => news.onWaiting(jobId),
      onRedefined: (redefined) => control.noteRedefined(redefined),
      beforeClaims: (reading) => survey.alsoWaitFor(reading)
    })
    const control: JobControl = new JobControl({ ...shared, replicaId, jobs, survey, fleetChanges, isRunning })
    const failurePauses: FailurePauses = new FailurePauses({
      coordination,
      log,
      journal,
      pause: (job, asked) => control.pause(jobScope(job.id), asked)
    })
    const watched = { jobs, dispatcher, lateTicks, warnings }
    const clockWatch: ClockWatch = new ClockWatch({ ...shared, ...watched, maxClockSkew, timetable })
    const definitionWarnings = new DefinitionWarnings(coordination, logbook)
    const outages = new Outages({ ...shared, locksLost: () => runner.locksLost, waiting: () => dispatcher.backlog })
    const news = new StoreNews({
      ...shared,
      ...watched,
      survey,
      fleetChanges,
      waitingRuns,
      abandonedRuns,
      reconciliation: new Reconciliation({ coordination, jobs: () => jobs.values(), newRunId, runIds }),
      namedLocks,
      outages,
      clockWatch,
      definitionWarnings,
      isRunning,
      hasBegun: () => !phases.isNew
    })

    const heartbeat: Heartbeat = new Heartbeat({
      ...{ clock, coordination, replicaId, isRunning },
      inTime: (closing) => shutdown.inTime(closing),
      running: () => runner.size,
      jobs: () => jobs.size
    })
    this.health = () => healthOf({ phases, coordination, guard, outages, runner, dispatcher })
    this.options = options
    this.outages = outages
    this.history = new HistoryReader({ coordination, jobs, history, timezone, log })
    this.fleetStatus = new FleetStatus(coordination, () => heartbeat.tell())
    const { fleetStatus } = this
    const fleet = new FleetNumbers({
      ...{ clock, jobs, now: () => coordination.now() },
      read: (asked) => fleetStatus.of(asked, false),
      readRuns: async (jobId) => (history === null ? [] : (await coordination.readHistory(jobId)).runs)
    })
    const conflicts = (): number => definitionWarnings.recent
    const startedAt = (): number => heartbeat.startedAt
    const source = { jobs, dispatcher, coordination, guard, fleet, conflicts, isRunning, startedAt }
    this.metrics = metrics === null ? null : new Metrics(metrics, source, total)
    this.jobs = jobs
    this.control = control
    this.events = events
    this.coordination = coordination
    this.namedLocks = namedLocks
    this.capacity = capacity
    const shutdown = new Shutdown({ ...shared, closeTimeout, namedLocks })
    this.lifecycle = new Lifecycle({
      phases,
      parts: [
        { open: () => executors.open(), close: () => shutdown.inTime(executors.close()) },
        // The guard is before the dispatcher, so that this has stopped when the guard lets go of what waits.
        ...[guard, deadlines, dispatcher, recovery, manualRuns, waitingRuns, startRuns, endedJobs, runner, finisher],
        ...[finished, timetable, fleetChanges, abandonedRuns, survey],
        ...[{ close: () => shutdown.inTime(progress.close()) }, { close: () => shutdown.inTime(toldTicks.close()) }],
        ...[pings, heartbeat],
        ...[coordination, journal, ...(this.metrics === null ? [] : [this.metrics])]
      ],
      shutdown,
      onStart: () => {
        const { kind } = coordination.state
        const { prefix, isTimezoneGiven } = options
        const isPrefixGiven = prefix !== ''
        warnings.onStart({ kind, isPrefixGiven, timezone, isTimezoneGiven, now: coordination.now() })
        journal.started(jobs.size, kind, replicaId)
      }
    })
    const { lifecycle } = this
    this.runsByHand = new RunsByHand({
      jobs,
      coordination,
      control,
      timezone,
      lifecycle,
      manualRuns,
      queuedRuns,
      waitingRuns
    })
    this.levers = new Levers({ jobs, coordination, lifecycle, control, timezone })
    try {
      for (const job of options.jobs) jobs.add(job, options.app)
      this.metrics?.register()
    } catch (error) {
      // Nothing is half done: no metric stays behind, and no client of ours.
      this.metrics?.close()
      void coordination.close()
      throw error
    }
    for (const job of jobs.values()) journal.jobAdded(job)
  }
}
