import { inspect } from 'node:util'
import type { Duration } from '../types/duration.js'
import type { SchedulerEventName, SchedulerListener } from '../types/events.js'
import type { HistoryEntry, HistoryQuery, TickStory } from '../types/history.js'
import type { Job } from '../types/job.js'
import type { JobChanges, JobOptions, JobShorthand, OverrideChanges } from '../types/job-options.js'
import type { JobData, JobResult } from '../types/job-types.js'
import type {
  CancelOptions,
  ChangeOptions,
  JobOverride,
  JobPause,
  OverrideOptions,
  PauseOptions,
  PauseTarget,
  ReleasedLock,
  ReleaseOptions,
  SkipOptions
} from '../types/levers.js'
import type { JobHandler, QueuedRun, Run } from '../types/run.js'
import type { Scheduler as SchedulerContract } from '../types/scheduler.js'
import type { MetricsRegister, SchedulerOptions } from '../types/scheduler-options.js'
import type { Health, JobStatus, ReplicaStatus } from '../types/status.js'
import type { DateInput, PreviewOptions, TriggerInput } from '../types/trigger.js'
import type { TriggerArguments, TriggerOptions, WaitingTriggerOptions } from '../types/trigger-options.js'
import type { WithLockContext, WithLockOptions, WithLockResult } from '../types/with-lock.js'
import { detached } from './base/async-context.js'
import { copyKnown, isPlainObject } from './base/check.js'
import { PEER_LOCK_NAMES } from './base/peer-names.js'
import { show } from './base/show.js'
import { Engine } from './engine.js'
import { OptionInvalidError } from './errors.js'
import { checkName, DEFAULT_LOCK_TTL, resolveLockTtl } from './jobs/options.js'
import { checkConcurrency, resolveOptions } from './options.js'
import { previewTrigger, resolveTrigger } from './triggers/index.js'

/** The public surface: validates arguments and passes them to the engine. */
export class Scheduler<App = unknown> implements SchedulerContract<App> {
  readonly #engine: Engine
  readonly #app: App

  /** @param app what the handlers of jobs that are added here are called with */
  constructor(engine: Engine, app: App) {
    this.#engine = engine
    this.#app = app
  }

  get replicaId(): string {
    return this.#engine.options.replicaId
  }

  get register(): MetricsRegister | null {
    return this.#engine.metrics?.registry ?? null
  }

  get concurrency(): number {
    return this.#engine.capacity.concurrency
  }

  set concurrency(value: number) {
    checkConcurrency(value)
    detached(() => this.#engine.capacity.resize(value))
  }

  add<Data = unknown>(options: JobOptions<App, Data>): Job {
    this.#engine.lifecycle.phases.checkOpen('add a job')
    return detached(() => this.#engine.control.add(options as JobOptions, this.#app)).view
  }

  cron(
    id: string,
    expression: string,
    handler: JobHandler<App>,
    options: JobShorthand<App> & { readonly timezone?: string } = {}
  ): Job {
    const { timezone, ...rest } = checkShorthand(options)
    const trigger = timezone === undefined ? { cron: expression } : { cron: expression, timezone }
    return this.add({ ...rest, id, trigger, handler })
  }

  interval(id: string, interval: Duration, handler: JobHandler<App>, options: JobShorthand<App> = {}): Job {
    return this.add({ ...checkShorthand(options), id, trigger: { interval }, handler })
  }

  date(id: string, date: Date | number | string, handler: JobHandler<App>, options: JobShorthand<App> = {}): Job {
    return this.add({ ...checkShorthand(options), id, trigger: { date }, handler })
  }

  get<Id extends string>(id: Id): Job<JobData<Id>> | undefined {
    return this.#engine.jobs.get(id)?.view as Job<JobData<Id>> | undefined
  }

  list(): Job[] {
    return Array.from(this.#engine.jobs.values(), (job) => job.view)
  }

  modify<Data = unknown>(id: string, changes: JobChanges<App, Data>): Job {
    return detached(() => this.#engine.control.modify(id, changes as JobChanges)).view
  }

  reschedule(id: string, trigger: TriggerInput | null): Job {
    return this.modify(id, { trigger })
  }

  remove(id: string): boolean {
    return this.#engine.control.remove(id, 'manual')
  }

  pause(target: PauseTarget, options?: PauseOptions | string): Promise<JobPause> {
    return this.#engine.levers.pause(target, options)
  }

  resume(target: PauseTarget, options?: ChangeOptions): Promise<readonly JobPause[]> {
    return this.#engine.levers.resume(target, options)
  }

  override(id: string, changes: OverrideChanges, options?: OverrideOptions | string): Promise<JobOverride> {
    return this.#engine.levers.override(id, changes, options)
  }

  reset(id: string, options?: ChangeOptions): Promise<void> {
    return this.#engine.levers.reset(id, options)
  }

  cancel(runId: string, options?: CancelOptions): Promise<void> {
    return this.#engine.levers.cancel(runId, options)
  }

  skip(id: string, scheduledTime: DateInput, options?: SkipOptions): Promise<void> {
    return this.#engine.levers.skip(id, scheduledTime, options)
  }

  release(id: string, options?: ReleaseOptions): Promise<readonly ReleasedLock[]> {
    return this.#engine.levers.release(id, options)
  }

  trigger<Id extends string>(
    id: Id,
    options: WaitingTriggerOptions<Id> & { readonly wait: true }
  ): Promise<Run<JobResult<Id>>>
  trigger<Id extends string>(id: Id, options: WaitingTriggerOptions<Id>): Promise<Run<JobResult<Id>> | QueuedRun>
  trigger<Id extends string>(id: Id, ...options: TriggerArguments<Id>): Promise<Run<JobResult<Id>> | null>
  trigger(id: string, options: TriggerOptions = {}): Promise<Run | QueuedRun | null> {
    return this.#engine.runsByHand.trigger(id, options)
  }

  async history(id: string, query: HistoryQuery = {}): Promise<HistoryEntry[]> {
    const { history, lifecycle } = this.#engine
    const { limit, before } = history.check(id, query)
    await lifecycle.openFor(`read the history of the job '${id}'`)
    return await history.read(id, limit, before)
  }

  async tick(id: string, scheduledTime: Date | number | string): Promise<TickStory | null> {
    const { history, lifecycle } = this.#engine
    const time = history.checkTick(id, scheduledTime)
    await lifecycle.openFor(`read the history of the job '${id}'`)
    return await history.tick(id, time)
  }

  status(id: string): Promise<JobStatus>
  status(): Promise<JobStatus[]>
  async status(id?: string): Promise<JobStatus | JobStatus[]> {
    const { fleetStatus, jobs, lifecycle } = this.#engine
    const asked = id === undefined ? [...jobs.values()] : [jobs.known(id)]
    await lifecycle.openFor('read how jobs stand')
    const states = await fleetStatus.of(asked, id !== undefined)
    return id === undefined ? states : (states[0] as JobStatus)
  }

  async fleet(): Promise<ReplicaStatus[]> {
    await this.#engine.lifecycle.openFor('read the replicas')
    return await this.#engine.fleetStatus.replicas()
  }

  health(): Health {
    return this.#engine.health()
  }

  preview(trigger: TriggerInput, options: PreviewOptions = {}): number[] {
    const { timezone } = this.#engine.options
    return previewTrigger(resolveTrigger(trigger, { timezone }), options, this.#engine.coordination.now(), timezone)
  }

  async withLock<Value>(
    name: string,
    options: WithLockOptions,
    fn: (context: WithLockContext) => Value | PromiseLike<Value>
  ): Promise<WithLockResult<Awaited<Value>>> {
    checkName(name, "a lock's name")
    if (typeof fn !== 'function') throw new OptionInvalidError('fn', 'a function', show(fn))
    const { ttl: given } = copyKnown(options, ['ttl'], "`withLock`'s options", PEER_LOCK_NAMES) as WithLockOptions
    const ttl = given === undefined ? this.#engine.options.defaults.lockTtl : resolveLockTtl(given, 'ttl')
    await this.#engine.lifecycle.openFor(`take the lock '${name}'`)
    return await this.#engine.namedLocks.with(name, ttl ?? DEFAULT_LOCK_TTL, fn)
  }

  on<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#engine.events.add(name, listener, false)
    return this
  }

  once<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#engine.events.add(name, listener, true)
    return this
  }

  off<Name extends SchedulerEventName>(name: Name, listener: SchedulerListener<Name>): this {
    this.#engine.events.delete(name, listener)
    return this
  }

  /** What `console.log` shows. */
  [inspect.custom](): Pick<SchedulerContract, 'replicaId'> & { readonly jobs: readonly Job[] } {
    return { replicaId: this.replicaId, jobs: this.list() }
  }

  start(): Promise<void> {
    return detached(() => this.#engine.lifecycle.start())
  }

  stop(): void {
    detached(() => this.#engine.lifecycle.stop())
  }

  drain(): Promise<void> {
    return this.#engine.lifecycle.drain()
  }

  close(): Promise<void> {
    return detached(() => this.#engine.lifecycle.close())
  }
}

/**
 * Creates a scheduler without a web framework. `start()` starts it, `close()` ends it.
 *
 * @throws the coded errors of its options and jobs, before anything is opened
 * @example
 * const scheduler = createScheduler({ redis: 'redis://127.0.0.1:6379', prefix: 'billing' })
 * scheduler.interval('heartbeat', '30s', async ({ log }) => log.info('alive'))
 * await scheduler.start()
 */
export function createScheduler<App = undefined>(options: SchedulerOptions<App> = {}): SchedulerContract<App> {
  const resolved = resolveOptions(options as SchedulerOptions)
  return new Scheduler<App>(new Engine(resolved), resolved.app as App)
}

function checkShorthand<Options>(options: Options): Options {
  if (!isPlainObject(options)) throw new OptionInvalidError('options', 'a plain object', show(options))
  for (const key of ['id', 'trigger', 'handler']) {
    if (key in options)
      throw new OptionInvalidError(`options.${key}`, 'left out, as it has a parameter', show(options[key]))
  }
  return options
}
