import type { Coordination } from '../../types/coordination.js'
import type { QueuedRun, Run } from '../../types/run.js'
import type { TriggerOptions } from '../../types/trigger-options.js'
import { copyKnown, oneOf } from '../base/check.js'
import { PEER_TRIGGER_CALL_NAMES } from '../base/peer-names.js'
import { show } from '../base/show.js'
import type { AskedAction, AskedByHand, JobControl } from '../dispatch/job-control.js'
import type { ManualRuns } from '../dispatch/manual.js'
import { outcomeOf, type QueuedRuns } from '../dispatch/queued-runs.js'
import type { WaitingRuns } from '../dispatch/waiting-runs.js'
import { inJob, OptionInvalidError } from '../errors.js'
import { serializeData } from '../jobs/data.js'
import type { JobRecord } from '../jobs/job.js'
import { checkBy, checkName, checkText } from '../jobs/options.js'
import type { JobRegistry } from '../jobs/registry.js'
import { ActiveRun } from '../runs/active-run.js'
import { readDate } from '../triggers/index.js'
import type { Lifecycle } from './lifecycle.js'

const KEYS = [
  'data',
  'wait',
  'concurrencyKey',
  'overlap',
  'by',
  'note',
  'scheduledTime',
  'on'
] as const satisfies (keyof TriggerOptions)[]

/** What a run by hand may do when it cannot begin. */
export const MANUAL_OVERLAPS = ['skip', 'wait'] as const

export interface RunsByHandOptions {
  readonly jobs: JobRegistry
  readonly coordination: Coordination
  readonly control: JobControl
  /** The time zone of times that do not say theirs. */
  readonly timezone: string
  readonly lifecycle: Lifecycle
  readonly manualRuns: ManualRuns
  readonly queuedRuns: QueuedRuns
  readonly waitingRuns: WaitingRuns
}

/** A request for a run by hand whose options are checked. */
interface Asked {
  readonly job: JobRecord
  readonly data: unknown
  /** What is to be stored of the data where the run may wait; `null` for the job's own. */
  readonly json: string | null
  readonly wait: boolean
  readonly key: string
  readonly waits: boolean
  /** Whether any replica that takes ticks may run it. */
  readonly isAnywhere: boolean
  readonly by: string | null
  /** Why; `null` where nobody said. */
  readonly note: string | null
  /** The nominal time that the run has; `null` for when it is asked for. */
  readonly scheduledTime: number | null
}

/** Runs that are asked for by hand: by `trigger()`, and by routes. */
export class RunsByHand {
  readonly #options: RunsByHandOptions

  constructor(options: RunsByHandOptions) {
    this.#options = options
  }

  /** What a job's runs by hand do by default after a route has answered: wait, where they can. */
  defaultOverlap(id: string): 'skip' | 'wait' {
    const job = this.#options.jobs.get(id)
    return job !== undefined && this.#canWait(job) ? 'wait' : 'skip'
  }

  /** As `Scheduler.trigger`. */
  async trigger(id: string, options: TriggerOptions): Promise<Run | QueuedRun | null> {
    const { manualRuns, queuedRuns } = this.#options
    const asked = this.#check(id, options)
    const { job, json, wait, key, waits, isAnywhere, by, scheduledTime } = asked
    await this.#open(id)
    if (!waits) {
      const active = await manualRuns.trigger(job, asked)
      if (active === null) return null
      this.#noteAsked(asked, active)
      return wait ? await outcomeOf(active) : active.run
    }
    if (isAnywhere) {
      const anywhere = await this.#askFleet(asked)
      if (anywhere instanceof ActiveRun) return wait ? await outcomeOf(anywhere) : anywhere.run
      return wait ? await queuedRuns.result(job, anywhere) : anywhere
    }
    const begun = await queuedRuns.enqueue(job, { key, json, isAwaited: wait, by, scheduledTime })
    this.#noteAsked(asked, begun)
    if (begun instanceof ActiveRun) return wait ? await outcomeOf(begun) : begun.run
    return wait ? await queuedRuns.result(job, begun) : begun
  }

  /**
   * Keeps a request for a run in the store, which nothing begins here before it is asked to.
   *
   * @returns begins it, if it can
   */
  async keep(id: string, options: TriggerOptions): Promise<() => void> {
    const { coordination, lifecycle, queuedRuns, waitingRuns } = this.#options
    const asked = this.#check(id, { ...options, overlap: 'wait' })
    const { job, json, key, by, scheduledTime } = asked
    // While this scheduler ends, other replicas begin it; in memory there are none.
    if (coordination.state.kind === 'memory') await this.#open(id)
    else await lifecycle.openFor(`trigger the job '${id}'`)
    this.#noteAsked(asked, await queuedRuns.keep(job, { key, json, isAwaited: false, by, scheduledTime }))
    return () => void waitingRuns.askFor(job)
  }

  /** Has a run begin on whichever replica takes ticks: on this one, if it does and can. */
  async #askFleet(asked: Asked): Promise<ActiveRun | QueuedRun> {
    const { control, lifecycle, queuedRuns } = this.#options
    const { job, key, json, wait: isAwaited, by, scheduledTime } = asked
    const request = { key, json, isAwaited, by, scheduledTime }
    const begun = lifecycle.phases.isRunning
      ? await queuedRuns.enqueue(job, request)
      : await queuedRuns.keep(job, request)
    if (begun instanceof ActiveRun) this.#noteAsked(asked, begun)
    else await control.tellOfRequest(job.id, byHand(asked, begun))
    return begun
  }

  /** Somebody has asked for a run by hand, which has begun, or waits. */
  #noteAsked(asked: Asked, begun: ActiveRun | QueuedRun): void {
    const byPerson = byHand(asked, begun)
    if (byPerson !== null) this.#options.control.noteTrigger(byPerson)
  }

  async #open(id: string): Promise<void> {
    const { lifecycle } = this.#options
    const what = `trigger the job '${id}'`
    lifecycle.phases.checkRunning(what)
    await lifecycle.openFor(what)
    lifecycle.phases.checkRunning(what)
  }

  #check(id: string, options: TriggerOptions): Asked {
    const job = this.#options.jobs.known(id)
    const given = copyKnown(options, KEYS, "`trigger`'s options", PEER_TRIGGER_CALL_NAMES) as TriggerOptions
    const { data = job.definition.data, wait = false, concurrencyKey } = given
    if (typeof wait !== 'boolean') throw new OptionInvalidError('wait', 'true or false', show(wait))
    const overlap = oneOf(given.overlap, 'overlap', MANUAL_OVERLAPS, 'skip')
    // `undefined`, which a forgotten setting may be, would let runs overlap that must not.
    if (Object.hasOwn(options, 'concurrencyKey')) checkName(concurrencyKey, '`concurrencyKey`')
    const isAnywhere = oneOf(given.on, 'on', ['here', 'any'] as const, 'here') === 'any'
    if (isAnywhere && given.overlap === 'skip')
      throw new OptionInvalidError('overlap', "'wait' with `on: 'any'`", show('skip'))
    const waits = isAnywhere || overlap === 'wait'
    if (isAnywhere) this.#checkStore(job, 'on', 'any')
    else if (waits) this.#checkStore(job, 'overlap', overlap)
    if (concurrencyKey !== undefined) this.#checkStore(job, 'concurrencyKey', concurrencyKey)
    job.parse(data)
    const json = waits && given.data !== undefined ? serializeData(given.data) : null
    const { by = null, note } = given
    if (by !== null) checkBy(by)
    if (note !== undefined) checkText(note, 'note')
    return {
      job,
      data,
      json,
      wait,
      key: concurrencyKey ?? '',
      waits,
      isAnywhere,
      by,
      note: note ?? null,
      scheduledTime: this.#readTime(given)
    }
  }

  /** @throws DateInvalidError, OptionInvalidError */
  #readTime({ scheduledTime }: TriggerOptions): number | null {
    if (scheduledTime === undefined) return null
    const { coordination, timezone } = this.#options
    const time = readDate(scheduledTime, 'scheduledTime', timezone)
    if (time <= coordination.now()) return time
    throw new OptionInvalidError('scheduledTime', 'a time that has passed', show(scheduledTime))
  }

  #canWait(job: JobRecord): boolean {
    return job.definition.lockTtl !== null && (this.#options.coordination.state.masters ?? 1) === 1
  }

  #checkStore(job: JobRecord, name: string, value: unknown): void {
    if (this.#canWait(job)) return
    const why = job.definition.lockTtl === null ? 'a job with `lock: false`' : 'several Redis masters'
    throw inJob(new OptionInvalidError(name, `left out with ${why}`, show(value)), job.id)
  }
}

/** A run by hand as somebody has asked for it; `null` where nobody in particular did. */
function byHand(
  { job, by, note, scheduledTime }: Asked,
  begun: ActiveRun | QueuedRun
): (AskedByHand & AskedAction) | null {
  if (by === null && note === null) return null
  const ids =
    begun instanceof ActiveRun ? { runId: begun.run.id, requestId: null } : { runId: null, requestId: begun.id }
  return { jobId: job.id, ...ids, scheduledTime, by: by ?? undefined, note }
}
