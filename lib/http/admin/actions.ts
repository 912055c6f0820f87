import type { AdminAction, AdminAnswers, AdminRequests } from '../../../types/admin.js'
import type { PauseTarget } from '../../../types/levers.js'
import type { TriggerOptions } from '../../../types/trigger-options.js'
import { show } from '../../base/show.js'
import type { Levers } from '../../engine/levers.js'
import type { RunsByHand } from '../../engine/runs-by-hand.js'
import { JobLockedError, OptionInvalidError } from '../../errors.js'
import type { KnownJobs } from './known-jobs.js'

/** Who stands for an action of somebody whom `authorize` has not named. */
const SOMEBODY = 'dashboard'

export interface ActionsOptions {
  readonly levers: Levers
  readonly runsByHand: RunsByHand
  readonly jobs: KnownJobs
  /** Called after each action: what was read before is not true any more. */
  readonly onDone: () => void
}

type Handlers = {
  readonly [Action in AdminAction]: (
    body: AdminRequests[Action],
    asked: { readonly by: string; readonly note?: string }
  ) => Promise<AdminAnswers[Action]>
}

/** What people do by the admin routes: each action in their name, with their reason. */
export class Actions {
  readonly #options: ActionsOptions

  constructor(options: ActionsOptions) {
    this.#options = options
  }

  /** @throws the coded errors of the scheduler's methods */
  async act<Action extends AdminAction>(
    action: Action,
    body: AdminRequests[Action],
    user: string | null
  ): Promise<AdminAnswers[Action]> {
    const note = body.note?.trim()
    const asked = { by: user ?? SOMEBODY, ...(note === undefined || note === '' ? {} : { note }) }
    try {
      return await this.#handlers[action](body, asked)
    } finally {
      this.#options.onDone()
    }
  }

  readonly #handlers: Handlers = {
    trigger: async ({ job, scheduledTime, data }, asked) => {
      const { runsByHand, jobs } = this.#options
      const options: TriggerOptions = {
        ...asked,
        ...(scheduledTime === undefined ? {} : { scheduledTime }),
        ...(data === undefined ? {} : { data })
      }
      // Where nothing can wait in the store, it runs here.
      const run = await runsByHand.trigger(job, jobs.canWait(job) ? { ...options, on: 'any' } : options)
      if (run === null) throw new JobLockedError(job)
      return { request: run.id }
    },
    pause: async (body, asked) => {
      const { until, expectedVersion } = body
      const options = {
        ...asked,
        ...(until === undefined ? {} : { until }),
        ...(expectedVersion === undefined ? {} : { expectedVersion })
      }
      return { pause: await this.#options.levers.pause(targetOf(body), options) }
    },
    resume: async (body, asked) => {
      const { expectedVersion } = body
      const options = { ...asked, ...(expectedVersion === undefined ? {} : { expectedVersion }) }
      return { pauses: await this.#options.levers.resume(targetOf(body), options) }
    },
    skip: async ({ job, scheduledTime }, asked) => {
      await this.#options.levers.skip(job, scheduledTime, asked)
      return { scheduledTime }
    },
    override: async ({ job, changes, expectedVersion }, asked) => {
      const options = { ...asked, ...(expectedVersion === undefined ? {} : { expectedVersion }) }
      return { override: await this.#options.levers.override(job, changes, options) }
    },
    reset: async ({ job, expectedVersion }, asked) => {
      await this.#options.levers.reset(job, { ...asked, ...(expectedVersion === undefined ? {} : { expectedVersion }) })
      return {}
    },
    release: async ({ job, slot }, asked) => {
      return {
        released: await this.#options.levers.release(job, { ...asked, ...(slot === undefined ? {} : { slot }) })
      }
    },
    cancel: async ({ run }, asked) => {
      await this.#options.levers.cancel(run, asked)
      return {}
    }
  }
}

/** @throws OptionInvalidError where it is not exactly one */
function targetOf(body: { readonly job?: string; readonly group?: string; readonly all?: true }): PauseTarget {
  const { job, group, all } = body
  const given = [job, group, all].filter((each) => each !== undefined)
  if (given.length !== 1) {
    throw new OptionInvalidError('job', 'given alone, or `group`, or `all`', show({ job, group, all }))
  }
  if (job !== undefined) return job
  return group === undefined ? { all: true } : { group }
}
