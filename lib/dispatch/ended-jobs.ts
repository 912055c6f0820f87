import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { MINUTE, SECOND } from '../base/duration.js'
import { Idle } from '../base/idle.js'
import type { JobRecord } from '../jobs/job.js'
import type { JobRegistry } from '../jobs/registry.js'
import { toProbe } from './claim-request.js'

/** How soon the store is asked first, and at most how long it is until it is asked again: each time twice as long. */
const FIRST_DELAY = SECOND
const MAX_DELAY = MINUTE

/** The most jobs asked about in one call. */
const BATCH = 64

export interface EndedJobsOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly newRunId: () => string
}

/** When a job is asked about, on the monotonic clock, and how long after that it is again. */
interface Turn {
  readonly at: number
  readonly delay: number
}

/**
 * Ends jobs that have been given their last run (`maxRuns`). Such a run may be given back, as its replica closes or its `when`
 * refuses it: then another tick has it. So the store is asked until no run of the job goes on any more.
 */
export class EndedJobs {
  readonly #options: EndedJobsOptions
  readonly #turns = new Map<JobRecord, Turn>()
  #timer: TimerHandle | null = null
  #asking = false
  #stopped = true
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: EndedJobsOptions) {
    this.#options = options
  }

  /** A job may have ended: its last run was given to this replica or to another. */
  note(job: JobRecord): void {
    if (this.#stopped || job.hasEnded || this.#turns.has(job)) return
    this.#ask(job, FIRST_DELAY)
  }

  start(): void {
    this.#stopped = false
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
    this.#turns.clear()
  }

  /** Resolves when no request is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #ask(job: JobRecord, delay: number): void {
    this.#turns.set(job, { at: this.#options.clock.monotonic() + delay, delay: Math.min(2 * delay, MAX_DELAY) })
    this.#arm()
  }

  #arm(): void {
    if (this.#asking || this.#stopped) return
    this.#timer?.cancel()
    this.#timer = null
    if (this.#turns.size === 0) return
    const { clock } = this.#options
    const next = Math.min(...[...this.#turns.values()].map(({ at }) => at))
    this.#timer = clock.setTimeout(() => void this.#askDue(), Math.max(1, Math.ceil(next - clock.monotonic())))
  }

  async #askDue(): Promise<void> {
    const { clock, coordination, jobs, newRunId } = this.#options
    const now = clock.monotonic()
    const due = [...this.#turns].filter(([, { at }]) => at <= now).slice(0, BATCH)
    const asked = due.filter(([job]) => !job.removed && !job.hasEnded && job.definition.maxRuns !== null)
    for (const [job] of due) this.#turns.delete(job)
    this.#asking = true
    const probes = asked.map(([job]) => toProbe(job, newRunId()))
    const answers = probes.length === 0 ? [] : await coordination.claim(probes)
    for (const [index, [job, { delay }]] of asked.entries()) {
      const answer = answers[index]
      // It may have been given more since.
      const isSame = probes[index]?.maxRuns === job.definition.maxRuns
      if (answer?.status === 'ended' && answer.isSettled && isSame) jobs.end(job)
      else if ((answer?.status === 'ended' || answer?.status === 'unavailable') && !this.#stopped) this.#ask(job, delay)
    }
    this.#asking = false
    this.#idle.announce()
    this.#arm()
  }
}
