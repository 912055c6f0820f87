import { randomBytes } from 'node:crypto'
import type { TimerHandle } from '../types/clock.js'
import type { Coordination } from '../types/coordination.js'
import type { Duration } from '../types/duration.js'
import type { SchedulerEventName, SchedulerListener } from '../types/events.js'
import type { Job, JobChanges, JobOptions } from '../types/job.js'
import type { JobHandler, Run } from '../types/run.js'
import type {
  MetricsRegister,
  Scheduler as SchedulerContract,
  SchedulerOptions,
  TriggerOptions,
  WithLockContext,
  WithLockOptions,
  WithLockResult
} from '../types/scheduler.js'
import type { PreviewOptions, TriggerInput } from '../types/trigger.js'
import { checkKeys, isPlainObject } from './check.js'
import { createCoordination } from './coordination/index.js'
import { MINUTE, SECOND } from './duration.js'
import { NotRunningError, OptionInvalidError, RunCancelledError, show } from './errors.js'
import type { ActiveRun } from './execution/active-run.js'
import { Dispatcher } from './execution/dispatcher.js'
import { Finisher } from './execution/finisher.js'
import { NamedLocks } from './execution/named-locks.js'
import { Runner } from './execution/runner.js'
import { Watch } from './execution/watch.js'
import { checkName, resolveLockTtl } from './job-options.js'
import type { JobRecord } from './job-record.js'
import { JobRegistry } from './job-registry.js'
import { Events } from './observability/events.js'
import { logSafely } from './observability/log.js'
import { Metrics } from './observability/metrics.js'
import { type ResolvedOptions, resolveOptions } from './options.js'
import { createShuffle } from './shuffle.js'
import { Timetable } from './timetable.js'
import { previewTrigger, resolveTrigger } from './triggers/index.js'

type Shorthand<App, Data> = Omit<JobOptions<App, Data>, 'id' | 'trigger' | 'handler'>

/** How long a handler has to settle after its signal was aborted by `close()`. */
const ABORT_GRACE = SECOND

/** How often a replica looks whether its unlocked jobs are paused: it never claims them. */
const PAUSE_POLL = 10 * SECOND

/** Wires the parts of a tick's path: triggers, timetable, coordination, execution and observability. */
export class Scheduler<App = unknown> implements SchedulerContract<App> {
  readonly #options: ResolvedOptions
  readonly #jobs: JobRegistry
  readonly #events: Events
  readonly #coordination: Coordination
  readonly #timetable: Timetable<JobRecord>
  readonly #watch: Watch
  readonly #finisher: Finisher
  readonly #runner: Runner
  readonly #dispatcher: Dispatcher
  readonly #namedLocks: NamedLocks
  readonly #metrics: Metrics | null
  readonly #runIdBase = randomBytes(8).toString('hex')
  #runCount = 0
  #phase: 'new' | 'running' | 'closing' = 'new'
  #opening: Promise<void> | null = null
  #starting: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #pausePoll: TimerHandle | null = null
  #downReported = false
  #skewReported = false

  /** @throws the coded errors of its options and jobs; then nothing was opened */
  constructor(options: SchedulerOptions<App>) {
    this.#options = resolveOptions(options as SchedulerOptions)
    const { clock, log, replicaId, app, concurrency, defaults, timezone, durationBuckets, metrics } = this.#options
    const coordination = createCoordination(this.#options, {
      onUp: () => this.#onUp(),
      onDown: (error) => this.#onDown(error),
      onClockStep: () => this.#onClockStep()
    })
    const events = new Events(log)
    const watch = new Watch(clock)
    const finisher = new Finisher(coordination, clock)
    const newRunId = (): string => this.#newRunId()
    this.#coordination = coordination
    this.#events = events
    this.#watch = watch
    this.#finisher = finisher
    this.#namedLocks = new NamedLocks({ coordination, clock, watch })
    this.#timetable = new Timetable(
      () => coordination.now(),
      clock,
      (job, tick) => this.#dispatcher.enqueue(job, tick),
      () => this.#dispatcher.pump()
    )
    this.#jobs = new JobRegistry(defaults, timezone, durationBuckets, this.#timetable)
    const onRoom = (): void => this.#dispatcher.pump()
    this.#runner = new Runner({ app, replicaId, clock, coordination, watch, finisher, events, log, onRoom })
    this.#dispatcher = new Dispatcher({
      concurrency,
      clock,
      coordination,
      runner: this.#runner,
      finisher,
      events,
      newRunId,
      shuffle: coordination.state.kind === 'memory' ? null : createShuffle(replicaId),
      wakeAt: (job, at, tick) => this.#timetable.wake(job, at, tick)
    })
    this.#metrics = metrics === null ? null : new Metrics(metrics, this.#jobs, this.#dispatcher, coordination)
    try {
      for (const job of this.#options.jobs) this.#jobs.add(job)
      this.#metrics?.register()
    } catch (error) {
      // Nothing is half done: no metric stays behind, and no client of ours.
      this.#metrics?.unregister()
      void coordination.close()
      throw error
    }
  }

  get replicaId(): string {
    return this.#options.replicaId
  }

  get register(): MetricsRegister | null {
    return this.#options.metrics?.register ?? null
  }

  add<Data = unknown>(options: JobOptions<App, Data>): Job {
    if (this.#phase === 'closing') throw this.#notRunning('add a job')
    const job = this.#jobs.add(options as JobOptions)
    if (this.#phase === 'running') void this.#learnPaused([job])
    this.#events.emit('added', { job: job.view })
    return job.view
  }

  cron<Data = unknown>(
    id: string,
    expression: string,
    handler: JobHandler<App, Data>,
    options: Shorthand<App, Data> & { readonly timezone?: string } = {}
  ): Job {
    const { timezone, ...rest } = checkShorthand(options)
    const trigger = timezone === undefined ? { cron: expression } : { cron: expression, timezone }
    return this.add<Data>({ ...rest, id, trigger, handler })
  }

  interval<Data = unknown>(
    id: string,
    interval: Duration,
    handler: JobHandler<App, Data>,
    options: Shorthand<App, Data> = {}
  ): Job {
    return this.add<Data>({ ...checkShorthand(options), id, trigger: { interval }, handler })
  }

  date<Data = unknown>(
    id: string,
    date: Date | number | string,
    handler: JobHandler<App, Data>,
    options: Shorthand<App, Data> = {}
  ): Job {
    return this.add<Data>({ ...checkShorthand(options), id, trigger: { date }, handler })
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id)?.view
  }

  list(): Job[] {
    return Array.from(this.#jobs.values(), (job) => job.view)
  }

  modify<Data = unknown>(id: string, changes: JobChanges<App, Data>): Job {
    const job = this.#jobs.modify(id, changes as JobChanges)
    this.#events.emit('modified', { job: job.view })
    return job.view
  }

  reschedule(id: string, trigger: TriggerInput): Job {
    return this.modify(id, { trigger })
  }

  remove(id: string): boolean {
    const job = this.#jobs.remove(id)
    if (job !== null) this.#events.emit('removed', { job: job.view })
    return job !== null
  }

  async pause(id: string, note?: string): Promise<void> {
    const job = this.#jobs.known(id)
    if (note !== undefined && (typeof note !== 'string' || note.length > 500)) {
      throw new OptionInvalidError('note', 'a string of at most 500 characters', show(note))
    }
    await this.#open()
    await this.#coordination.pause(id, note)
    job.paused = true
    this.#events.emit('paused', { job: job.view })
  }

  async resume(id: string): Promise<void> {
    const job = this.#jobs.known(id)
    await this.#open()
    await this.#coordination.resume(id)
    job.paused = false
    this.#events.emit('resumed', { job: job.view })
  }

  async trigger(id: string, options: TriggerOptions = {}): Promise<Run | null> {
    const job = this.#jobs.known(id)
    checkKeys(options, ['data', 'wait'], "`trigger`'s options")
    const { data = job.definition.data, wait = false } = options as TriggerOptions
    if (typeof wait !== 'boolean') throw new OptionInvalidError('wait', 'true or false', show(wait))
    if (this.#phase !== 'running') throw this.#notRunning(`trigger the job ${show(id)}`)
    const active = await this.#dispatcher.startByHand(job, data)
    if (active === null) return null
    if (wait) await ended(active)
    return active.run
  }

  preview(trigger: TriggerInput, options: PreviewOptions = {}): number[] {
    const { timezone } = this.#options
    return previewTrigger(resolveTrigger(trigger, { timezone }), options, this.#coordination.now(), timezone)
  }

  async withLock<Value>(
    name: string,
    options: WithLockOptions,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    checkName(name, "a lock's name")
    checkKeys(options, ['ttl'], "`withLock`'s options")
    if (typeof fn !== 'function') throw new OptionInvalidError('fn', 'a function', show(fn))
    const { ttl: given } = options as WithLockOptions
    const ttl = given === undefined ? this.#options.defaults.lockTtl : resolveLockTtl(given, 'ttl')
    if (this.#phase === 'closing') throw this.#notRunning(`take the lock ${show(name)}`)
    await this.#open()
    return await this.#namedLocks.with(name, ttl ?? 5 * MINUTE, fn)
  }

  on<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#events.add(name, listener, false)
    return this
  }

  once<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#events.add(name, listener, true)
    return this
  }

  off<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#events.delete(name, listener)
    return this
  }

  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  stop(): void {
    this.#phase = 'closing'
    this.#pausePoll?.cancel()
    this.#timetable.stop()
    this.#dispatcher.stop()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Opens the coordination once; `withLock`, `pause` and `resume` may need it before the clock starts. */
  #open(): Promise<void> {
    this.#opening ??= this.#coordination.open()
    return this.#opening
  }

  async #start(): Promise<void> {
    if (this.#phase === 'closing') throw this.#notRunning('start')
    const { log } = this.#options
    if (this.#coordination.state.kind === 'memory') {
      const level = process.env.NODE_ENV === 'production' ? 'warn' : 'info'
      logSafely(
        log,
        level,
        {},
        'jobs are coordinated in memory: every replica runs every tick; set `redis` to share them'
      )
    }
    await this.#open()
    // Closed meanwhile: `close` has the rest.
    if ((this.#phase as string) === 'closing') return
    this.#phase = 'running'
    this.#timetable.start()
    this.#pollPaused()
  }

  async #close(): Promise<void> {
    this.stop()
    const { closeTimeout } = this.#options
    // A start under way ends first; how, it has told its own caller.
    await this.#opening?.catch(() => {})
    if (!(await this.#drained(closeTimeout))) {
      const cancelled = (name: string): Error => new RunCancelledError(name, closeTimeout)
      this.#runner.abortAll((job) => cancelled(job.id))
      this.#namedLocks.abortAll(cancelled('withLock'))
      if (!(await this.#drained(ABORT_GRACE))) this.#runner.abandonAll()
    }
    this.#watch.close()
    this.#finisher.close()
    await this.#coordination.close()
    this.#metrics?.unregister()
  }

  /** Whether all that goes on has ended within `limit` milliseconds. */
  #drained(limit: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimeout(() => resolve(false), limit)
      const all = async (): Promise<void> => {
        await this.#dispatcher.settled()
        await this.#runner.settled()
        await this.#namedLocks.settled()
        await this.#finisher.settled()
        timer.cancel()
        resolve(true)
      }
      void all()
    })
  }

  #pollPaused(): void {
    this.#pausePoll = this.#options.clock.setTimeout(() => {
      const unlocked = [...this.#jobs.values()].filter((job) => job.definition.lockTtl === null)
      if (unlocked.length > 0) void this.#learnPaused(unlocked)
      this.#pollPaused()
    }, PAUSE_POLL)
  }

  async #learnPaused(jobs: readonly JobRecord[]): Promise<void> {
    const ids = jobs.map((job) => job.id)
    const initially = jobs.filter((job) => job.definition.pausedInitially).map((job) => job.id)
    try {
      const paused = await this.#coordination.paused(ids, initially)
      for (const job of jobs) job.paused = paused.has(job.id)
    } catch (err) {
      // Claims are answered by what Redis knows; this replica learns it with the next answer.
      logSafely(this.#options.log, 'debug', { err }, 'could not read which jobs are paused')
    }
  }

  #onUp(): void {
    const { log } = this.#options
    if (this.#downReported) logSafely(log, 'info', {}, 'Redis answers again: jobs go on')
    this.#downReported = false
    void this.#learnPaused([...this.#jobs.values()])
    this.#dispatcher.wakeUp()
  }

  #onDown(err: Error): void {
    this.#downReported = true
    logSafely(this.#options.log, 'warn', { err }, 'Redis does not answer: jobs wait for it')
  }

  #onClockStep(): void {
    const { log, maxClockSkew } = this.#options
    const skew = Math.round(this.#coordination.state.skew)
    this.#timetable.resync()
    if (Math.abs(skew) <= maxClockSkew || this.#skewReported) return
    this.#skewReported = true
    logSafely(log, 'warn', { skew }, `this machine's clock is ${skew} ms off Redis' clock, by which jobs are run`)
  }

  #notRunning(what: string): Error {
    return new NotRunningError(what, this.#phase === 'closing' ? 'is closed' : 'has not been started')
  }

  #newRunId(): string {
    this.#runCount++
    return `${this.#runIdBase}-${this.#runCount.toString(36)}`
  }
}

/**
 * A scheduler without a web framework. `start()` starts it, `close()` ends it.
 *
 * @throws the coded errors of its options and jobs; then nothing was opened
 * @example
 * const scheduler = createScheduler({ redis: 'redis://127.0.0.1:6379', prefix: 'billing' })
 * scheduler.interval('heartbeat', '30s', async ({ log }) => log.info('alive'))
 * await scheduler.start()
 */
export function createScheduler<App = undefined>(options: SchedulerOptions<App> = {}): SchedulerContract<App> {
  return new Scheduler<App>(options)
}

function checkShorthand<Options>(options: Options): Options {
  if (!isPlainObject(options)) throw new OptionInvalidError('options', 'a plain object', show(options))
  for (const key of ['id', 'trigger', 'handler']) {
    if (key in options)
      throw new OptionInvalidError(`options.${key}`, 'left out, as it has a parameter', show(options[key]))
  }
  return options
}

async function ended(active: ActiveRun): Promise<void> {
  if (active.run.outcome === null) await new Promise<unknown>((resolve) => active.onCompleted(resolve))
}
