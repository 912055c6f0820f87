import { inspect } from 'node:util'
import type { Job } from '../../types/job.js'
import type { JobOverride, JobPause } from '../../types/levers.js'
import type { TriggerObject } from '../../types/trigger.js'
import type { JobDefinition } from './definition.js'
import type { JobStats } from './stats.js'

/** What a view reads from a job. */
export interface ViewedJob {
  readonly id: string
  readonly definition: JobDefinition
  readonly paused: boolean
  readonly pauses: readonly JobPause[]
  readonly override: JobOverride | null
  readonly removed: boolean
  readonly stats: JobStats
}

/** A job as users see it. */
export class JobView<Viewed extends ViewedJob> implements Job {
  readonly #job: Viewed
  readonly #timetable: { nextOf(job: Viewed): number | null }

  /** @param timetable knows the next tick of each job */
  constructor(job: Viewed, timetable: { nextOf(job: Viewed): number | null }) {
    this.#job = job
    this.#timetable = timetable
  }

  get id(): string {
    return this.#job.id
  }

  get name(): string {
    return this.#job.definition.name
  }

  get trigger(): TriggerObject | null {
    return this.#job.definition.trigger
  }

  get data(): unknown {
    return this.#job.definition.data
  }

  get group(): string | null {
    return this.#job.definition.group
  }

  get description(): string | null {
    return this.#job.definition.description
  }

  get paused(): boolean {
    return this.#job.paused
  }

  get pauses(): readonly JobPause[] {
    return this.#job.pauses
  }

  get override(): JobOverride | null {
    return this.#job.override
  }

  get running(): number {
    return this.#job.stats.running
  }

  get nextRun(): number | null {
    return this.#job.removed || this.#job.paused ? null : this.#timetable.nextOf(this.#job)
  }

  get lastRun(): number | null {
    return this.#job.stats.lastRun || null
  }

  get lastSuccess(): number | null {
    return this.#job.stats.lastSuccess || null
  }

  /** What `console.log` shows; it would ignore the getters, as they are on the prototype. */
  [inspect.custom](): Job {
    return this.toJSON()
  }

  toJSON(): Job {
    const { id, name, trigger, data, group, description, paused, pauses, override } = this
    const { running, nextRun, lastRun, lastSuccess } = this
    return {
      id,
      name,
      trigger,
      data,
      group,
      description,
      paused,
      pauses,
      override,
      running,
      nextRun,
      lastRun,
      lastSuccess
    }
  }
}
