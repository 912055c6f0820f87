import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, ClaimRequest, Coordination, OpenRun } from '../../types/coordination.js'
import { DAY, SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Capacity } from '../runs/capacity.js'
import type { Deadline, Deadlines } from '../runs/deadlines.js'
import type { Finisher } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import { jobLock, toRecoverRequest } from './claim-request.js'

/** How soon a look that could not be had is tried again. */
const RETRY_DELAY = SECOND / 4

/** How long after a lock has run out its run is looked for: at least, and by how much replicas differ in it. */
const AFTER_EXPIRY = 10
const SPREAD = 100

/** How many runs are looked for in one call. */
const BATCH = 64

export interface RecoveryOptions {
  readonly replicaId: string
  readonly clock: Clock
  readonly coordination: Coordination
  readonly deadlines: Deadlines
  readonly runner: Runner
  readonly finisher: Finisher
  readonly newRunId: () => string
  /** Called when a run is taken over as another. */
  readonly onTakenOver: (from: OpenRun, runId: string, attempt: number) => void
  readonly capacity: Capacity
}

/** A job whose run is looked for. */
class Search implements Deadline {
  readonly job: JobRecord
  checkAt = Number.POSITIVE_INFINITY
  place = -1
  readonly #onDue: (search: Search) => void

  constructor(job: JobRecord, onDue: (search: Search) => void) {
    this.job = job
    this.#onDue = onDue
  }

  check(): void {
    this.checkAt = Number.POSITIVE_INFINITY
    this.#onDue(this)
  }
}

/**
 * Takes over the runs of replicas that died (`recovery: 'rerun'`). Every replica that knows of a run looks at it when its
 * lock would run out: a holder that lives has extended it, and is looked at again later; else one replica gets the run.
 */
export class Recovery {
  readonly #options: RecoveryOptions
  readonly #searches = new Map<JobRecord, Search>()
  /** A part of `SPREAD` of this replica's own, so that not all look at once. */
  readonly #delay: number
  #due: Search[] = []
  /** The ids of the runs that are asked for. */
  #asked: readonly string[] = []
  #asking = false
  #stopped = true
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: RecoveryOptions) {
    this.#options = options
    this.#delay = AFTER_EXPIRY + (hash32(options.replicaId) % SPREAD)
  }

  /** Whether a run of the job is looked for, that goes on elsewhere or is to be taken over. */
  isLookingFor(job: JobRecord): boolean {
    return this.#searches.has(job)
  }

  /** The ids of the runs that are asked for. */
  get runIds(): readonly string[] {
    return this.#asked
  }

  /** A run of the job may have begun, on whatever replica: its lock lasts for one TTL at least. */
  expect(job: JobRecord): void {
    if (job.definition.lockTtl !== null) this.#look(job, job.definition.lockTtl + this.#delay)
  }

  /** A run of the job may be without a holder. */
  lookNow(job: JobRecord): void {
    this.#look(job, 0)
  }

  /** A process without ticks takes over nothing. */
  start(): void {
    this.#stopped = false
  }

  stop(): void {
    this.#stopped = true
    for (const search of this.#searches.values()) this.#options.deadlines.delete(search)
    this.#searches.clear()
    this.#due = []
  }

  /** Resolves when nothing is asked for. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #look(job: JobRecord, delay: number): void {
    if (job.definition.recovery === 'none' || job.definition.lockTtl === null || this.#stopped || job.removed) return
    let search = this.#searches.get(job)
    if (search === undefined) {
      search = new Search(job, (due) => this.#onDue(due))
      this.#searches.set(job, search)
      this.#options.deadlines.add(search)
    }
    const at = this.#options.clock.monotonic() + delay
    if (at >= search.checkAt || this.#due.includes(search)) return
    search.checkAt = at
    this.#options.deadlines.touch(search)
  }

  #onDue(search: Search): void {
    this.#due.push(search)
    if (!this.#asking) void this.#askAll()
  }

  async #askAll(): Promise<void> {
    this.#asking = true
    // Those that come due at one time go into one call.
    await new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    while (this.#due.length > 0 && !this.#stopped) {
      const batch = this.#due.splice(0, Math.max(0, Math.min(BATCH, this.#options.capacity.room)))
      if (batch.length === 0) {
        for (const search of this.#due.splice(0)) this.#look(search.job, RETRY_DELAY)
        break
      }
      await this.#ask(batch)
    }
    this.#asking = false
    this.#idle.announce()
  }

  async #ask(batch: readonly Search[]): Promise<void> {
    const { coordination, capacity, newRunId } = this.#options
    const searches: Search[] = []
    const requests: ClaimRequest[] = []
    for (const search of batch) {
      const { job } = search
      const { lockTtl, recovery } = job.definition
      if (job.removed || lockTtl === null || recovery === 'none') {
        this.#end(search)
        continue
      }
      searches.push(search)
      requests.push(toRecoverRequest(job, newRunId(), lockTtl))
    }
    if (requests.length === 0) return
    this.#asked = requests.map(({ runId }) => runId)
    capacity.asked(requests.length)
    const answers = await coordination.claim(requests)
    for (const [index, search] of searches.entries()) {
      this.#answered(search, requests[index] as ClaimRequest, answers[index] as ClaimAnswer)
    }
    this.#asked = []
    capacity.answered(requests.length)
    capacity.announceRoom()
  }

  #answered(search: Search, { runId, ttl }: ClaimRequest, answer: ClaimAnswer): void {
    const { job } = search
    const { runner, finisher, clock } = this.#options
    if (answer.status === 'unavailable') {
      // It may have been taken over all the same, and only the reply be lost: then it is to be had again.
      if (answer.maybe) finisher.giveUpTakeover(jobLock(job, runId, ttl, clock.monotonic()))
      this.#look(job, 4 * RETRY_DELAY)
    } else if (answer.status === 'running') {
      this.#look(job, Math.min(answer.remaining, DAY) + this.#delay)
    } else if (answer.status === 'paused') {
      this.#look(job, 10 * SECOND)
    } else if (answer.status === 'granted' && answer.lock !== null) {
      const { lock, scheduledTime, attempt, fencingToken, from } = answer
      if (this.#stopped || job.removed || runner.closed) {
        finisher.giveUpTakeover(lock)
        return
      }
      if (runner.runsUnlocked(job.id)) {
        finisher.giveUpTakeover(lock)
        this.#look(job, 10 * SECOND)
        return
      }
      if (isOver(lock, clock.monotonic())) {
        // Read too late: another replica may have it by now, and else it is to be had again.
        finisher.giveUpTakeover(lock, () => this.lookNow(job))
        this.#look(job, ttl + this.#delay)
        return
      }
      this.#end(search)
      if (from !== undefined) this.#options.onTakenOver(from, runId, attempt)
      const run = runner.newRun(job, runId, scheduledTime, 'recovery', fencingToken)
      run.attempt = attempt
      runner.startRun(job, run, lock)
    } else {
      this.#end(search)
    }
  }

  #end(search: Search): void {
    // Something new may have been heard of meanwhile.
    if (search.checkAt < Number.POSITIVE_INFINITY && !search.job.removed) return
    this.#searches.delete(search.job)
    this.#options.deadlines.delete(search)
  }
}
