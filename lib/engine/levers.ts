import type { Coordination, PauseScope } from '../../types/coordination.js'
import type { OverrideChanges } from '../../types/job-options.js'
import type {
  ActionOptions,
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
} from '../../types/levers.js'
import type { DateInput } from '../../types/trigger.js'
import { copyKnown, isPlainObject } from '../base/check.js'
import { groupScope, jobScope } from '../base/scopes.js'
import { show } from '../base/show.js'
import type { AskedChange, JobControl } from '../dispatch/job-control.js'
import {
  GroupUnknownError,
  JobUnknownError,
  OptionInvalidError,
  RunUnknownError,
  TickPassedError,
  TickUnknownError
} from '../errors.js'
import { checkBy, checkGroup, checkText, MAX_INSTANCES } from '../jobs/options.js'
import { copyOverride } from '../jobs/overrides.js'
import type { JobRegistry } from '../jobs/registry.js'
import { isFromCompletion, mayBeTick, readDate } from '../triggers/index.js'
import type { Lifecycle } from './lifecycle.js'

/** An id that a run may have. */
const RUN_ID = /^[\w.:-]{1,200}$/

/** What can be paused. */
const TARGETS = "a job's id, `{ group }` or `{ all: true }`"

const ACTION_KEYS = ['by', 'note'] as const satisfies (keyof ActionOptions)[]
const CHANGE_KEYS = [...ACTION_KEYS, 'expectedVersion'] as const satisfies (keyof ChangeOptions)[]
const PAUSE_KEYS = [...CHANGE_KEYS, 'until'] as const satisfies (keyof PauseOptions)[]

export interface LeversOptions {
  readonly jobs: JobRegistry
  readonly coordination: Coordination
  readonly lifecycle: Lifecycle
  readonly control: JobControl
  /** The scheduler's time zone. */
  readonly timezone: string
}

/** What people do to the fleet's jobs at run time: checked as a whole before anything is changed. */
export class Levers {
  readonly #options: LeversOptions

  constructor(options: LeversOptions) {
    this.#options = options
  }

  /** See `Scheduler.pause`. */
  async pause(target: PauseTarget, options: PauseOptions | string = {}): Promise<JobPause> {
    const { control, lifecycle } = this.#options
    const scope = this.#scopeOf(target)
    const given = typeof options === 'string' ? { note: options } : options
    const { until, ...rest } = copyKnown(given, PAUSE_KEYS, "`pause`'s options") as PauseOptions
    const asked = checkAsked(rest)
    const end = until === undefined ? null : this.#readFuture(until, 'until')
    await lifecycle.openFor('pause jobs')
    return await control.pause(scope, { ...asked, until: end })
  }

  /** See `Scheduler.resume`. */
  async resume(target: PauseTarget, options: ChangeOptions = {}): Promise<readonly JobPause[]> {
    const { control, lifecycle } = this.#options
    const scope = this.#scopeOf(target)
    const asked = checkAsked(copyKnown(options, CHANGE_KEYS, "`resume`'s options") as ChangeOptions)
    await lifecycle.openFor('resume jobs')
    return await control.resume(scope, asked)
  }

  /** See `Scheduler.override`. */
  async override(id: string, changes: OverrideChanges, options: OverrideOptions | string = {}): Promise<JobOverride> {
    const { control, jobs, lifecycle } = this.#options
    const job = jobs.known(id)
    const given = typeof options === 'string' ? { note: options } : options
    const asked = checkAsked(copyKnown(given, CHANGE_KEYS, "`override`'s options") as OverrideOptions)
    const copy = copyOverride(changes)
    await lifecycle.openFor(`override the job '${job.id}'`)
    return await control.override(job.id, copy, asked)
  }

  /** See `Scheduler.reset`. */
  async reset(id: string, options: ChangeOptions = {}): Promise<void> {
    const { control, jobs, lifecycle } = this.#options
    const isKnown = typeof id === 'string' && (jobs.get(id) !== undefined || jobs.overrideOf(id) !== null)
    if (!isKnown) throw new JobUnknownError(show(id), '')
    const asked = checkAsked(copyKnown(options, CHANGE_KEYS, "`reset`'s options") as ChangeOptions)
    await lifecycle.openFor(`reset the job '${id}'`)
    await control.reset(id, asked)
  }

  /** See `Scheduler.cancel`. */
  async cancel(runId: string, options: CancelOptions = {}): Promise<void> {
    const { control, lifecycle } = this.#options
    if (typeof runId !== 'string' || !RUN_ID.test(runId)) throw new RunUnknownError(show(runId))
    const asked = checkAsked(copyKnown(options, ACTION_KEYS, "`cancel`'s options") as CancelOptions)
    await lifecycle.openFor('cancel a run')
    await control.cancel(runId, asked)
  }

  /** See `Scheduler.skip`. */
  async skip(id: string, scheduledTime: DateInput, options: SkipOptions = {}): Promise<void> {
    const { control, coordination, jobs, lifecycle, timezone } = this.#options
    const job = jobs.known(id)
    const asked = checkAsked(copyKnown(options, ACTION_KEYS, "`skip`'s options") as SkipOptions)
    const tick = readDate(scheduledTime, 'scheduledTime', timezone)
    if (isFromCompletion(job.trigger) || !mayBeTick(job.trigger, tick)) {
      throw new TickUnknownError(show(job.id), show(scheduledTime))
    }
    await lifecycle.openFor(`skip a tick of the job '${job.id}'`)
    if (tick <= coordination.now()) throw new TickPassedError(show(job.id), show(scheduledTime))
    await control.skip(job.id, tick, asked)
  }

  /** See `Scheduler.release`. */
  async release(id: string, options: ReleaseOptions = {}): Promise<readonly ReleasedLock[]> {
    const { control, jobs, lifecycle } = this.#options
    const job = jobs.known(id)
    const { slot, ...rest } = copyKnown(options, [...ACTION_KEYS, 'slot'], "`release`'s options") as ReleaseOptions
    const asked = checkAsked(rest)
    if (slot !== undefined && !(Number.isInteger(slot) && slot >= 1 && slot <= MAX_INSTANCES)) {
      throw new OptionInvalidError('slot', `a whole number from 1 to ${MAX_INSTANCES}`, show(slot))
    }
    await lifecycle.openFor(`release the lock of the job '${job.id}'`)
    return await control.release(job.id, slot ?? null, asked)
  }

  /** @throws JobUnknownError, GroupUnknownError, OptionInvalidError, OptionUnknownError */
  #scopeOf(target: PauseTarget): PauseScope {
    const { jobs } = this.#options
    if (typeof target === 'string') return jobScope(jobs.known(target).id)
    if (!isPlainObject(target)) throw new OptionInvalidError('target', TARGETS, show(target))
    const { group, all } = copyKnown(target, ['group', 'all'], 'what is paused or resumed')
    if ((group === undefined) === (all === undefined) || (all !== undefined && all !== true)) {
      throw new OptionInvalidError('target', TARGETS, show(target))
    }
    if (all === true) return 'all'
    checkGroup(group)
    const scope = groupScope(group)
    // A group whose last job is gone can still be resumed.
    if (jobs.within(scope).length === 0 && jobs.pauseOf(scope) === null) throw new GroupUnknownError(show(group))
    return scope
  }

  #readFuture(value: unknown, name: string): number {
    const { coordination, timezone } = this.#options
    const at = readDate(value, name, timezone)
    if (at > coordination.now()) return at
    throw new OptionInvalidError(name, "in the future by the fleet's clock", show(value))
  }
}

function checkAsked({ by, note, expectedVersion }: ChangeOptions): AskedChange {
  if (by !== undefined) checkBy(by)
  if (note !== undefined) checkText(note, 'note')
  const isVersion = expectedVersion === undefined || expectedVersion === null || typeof expectedVersion === 'string'
  if (!isVersion || expectedVersion === '') {
    throw new OptionInvalidError('expectedVersion', 'a `version`, or null for none', show(expectedVersion))
  }
  return { by, note: note ?? null, expectedVersion }
}
