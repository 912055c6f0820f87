import type { Clock } from '../../types/clock.js'
import type { ClaimAnswer, ClaimRequest, Coordination, OpenRun } from '../../types/coordination.js'
import { detached } from '../base/async-context.js'
import { DAY, SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Capacity } from '../runs/capacity.js'
import type { Deadline, Deadlines } from '../runs/deadlines.js'
import type { Finisher } from '../runs/finisher.js'
import type { Runner } from '../runs/runner.js'
import { jobLock, toRecoverRequest } from './claim-request.js'
import { type Brought, dataOf, readBrought } from './stored-requests.js'
import type { TracedClaims } from './traced-claims.js'

/** How soon to look again when there was no capacity to take over a run; four times as long after no answer. */
const RETRY_DELAY = SECOND / 4

/** How long after a lock's expiry a replica looks for its run: at least this long, plus up to `SPREAD`. */
const MIN_DELAY_AFTER_EXPIRY = 10
const SPREAD = 100

/** The most runs requested in one call. */
const BATCH = 64

export interface RecoveryOptions {
  readonly claims: TracedClaims
  readonly replicaId: string
  readonly clock: Clock
  readonly coordination: Coordination
  readonly deadlines: Deadlines
  readonly runner: Runner
  readonly journal: Journal
  readonly finisher: Finisher
  readonly newRunId: () => string
  /** Called when a run is taken over, with the abandoned run and the id of the one that replaces it. */
  readonly onTakenOver: (from: OpenRun, runId: string, attempt: number) => void
  readonly capacity: Capacity
  /** Called when a run by hand is taken over that had waited, with its request. */
  readonly onRequestBegun: (active: ActiveRun, requestId: string, brought: Brought | null) => void
}

/** A job of which a run may have to be taken over. */
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
 * Takes over the runs of replicas that died (`recovery: 'rerun'`). Every replica that knows of a run checks it when its
 * lock would expire. If the holder lives, it has extended the lock, and is checked again later; else one replica gets
 * the run.
 */
export class Recovery {
  readonly #options: RecoveryOptions
  readonly #searches = new Map<JobRecord, Search>()
  /** This replica's delay after a lock's expiry, different from most others', so that they do not all look at once. */
  readonly #delay: number
  #dueSearches: Search[] = []
  /** Searches that found no room. They look again when there is some, or after a while. */
  readonly #waiting = new Set<Search>()
  /** Whether the next room is for a search that waits, and not for a tick. */
  #hasTurn = true
  /** The ids of the runs that are being requested. */
  #requestedRunIds: readonly string[] = []
  #asking = false
  #stopped = true
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: RecoveryOptions) {
    this.#options = options
    this.#delay = MIN_DELAY_AFTER_EXPIRY + (hash32(options.replicaId) % SPREAD)
  }

  /** Whether a run of the job is being watched, which is active elsewhere or has to be taken over. */
  isLookingFor(job: JobRecord): boolean {
    return this.#searches.has(job)
  }

  /** The ids of the runs that are being requested. */
  get runIds(): readonly string[] {
    return this.#requestedRunIds
  }

  /**
   * Called when a run of the job may have begun on some replica: checks it after one TTL, as its lock lasts that long.
   */
  expect(job: JobRecord): void {
    if (job.definition.lockTtl !== null) this.#lookAfter(job, job.definition.lockTtl + this.#delay)
  }

  /** Called when a run of the job is known to be without a holder: checks it at once, unless it is watched anyway. */
  noteLeft(job: JobRecord): void {
    if (!this.#searches.has(job)) this.lookNow(job)
  }

  /** Called when a run of the job may be without a holder: checks it at once. */
  lookNow(job: JobRecord): void {
    this.#lookAfter(job, 0)
  }

  /**
   * Called when there is room for runs, before ticks are requested. Searches that wait and ticks take turns: a run that has to
   * be taken over does not wait for all ticks of a busy process, nor they for all such runs.
   */
  onRoom(): void {
    if (this.#waiting.size > 0) this.#takeTurn()
  }

  /** Begins to watch for runs; a process that takes no ticks takes over no runs either. */
  start(): void {
    this.#stopped = false
  }

  stop(): void {
    this.#stopped = true
    for (const search of this.#searches.values()) this.#options.deadlines.delete(search)
    this.#searches.clear()
    this.#dueSearches = []
    this.#waiting.clear()
  }

  /** Resolves when no request is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  #lookAfter(job: JobRecord, delay: number): void {
    if (job.definition.recovery === 'none' || job.definition.lockTtl === null || this.#stopped || job.removed) return
    let search = this.#searches.get(job)
    if (search === undefined) {
      search = new Search(job, (due) => this.#onDue(due))
      this.#searches.set(job, search)
      this.#options.deadlines.add(search)
    }
    const at = this.#options.clock.monotonic() + delay
    if (at >= search.checkAt || this.#dueSearches.includes(search)) return
    search.checkAt = at
    this.#options.deadlines.touch(search)
  }

  #onDue(search: Search): void {
    this.#waiting.delete(search)
    this.#dueSearches.push(search)
    if (!this.#asking) void this.#askAll()
  }

  async #askAll(): Promise<void> {
    this.#asking = true
    // Searches that come due at the same time share a call.
    await new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    await this.#askUntilDone([])
  }

  /** @param first searches to ask for at once, for which there is room */
  async #askUntilDone(first: readonly Search[]): Promise<void> {
    if (first.length > 0) await this.#ask(first)
    while (this.#dueSearches.length > 0 && !this.#stopped) {
      const batch = this.#dueSearches.splice(0, Math.max(0, Math.min(BATCH, this.#options.capacity.room)))
      if (batch.length === 0) {
        this.#waitForRoom(this.#dueSearches.splice(0))
        break
      }
      await this.#ask(batch)
    }
    this.#asking = false
    this.#idle.announce()
  }

  #takeTurn(): void {
    const takes = this.#hasTurn && !this.#asking
    this.#hasTurn = !takes
    if (!takes) return
    const waiting = [...this.#waiting].sort((a, b) => a.job.lane - b.job.lane)
    const batch = waiting.slice(0, Math.min(BATCH, this.#options.capacity.room))
    for (const search of batch) {
      this.#waiting.delete(search)
      search.checkAt = Number.POSITIVE_INFINITY
    }
    this.#asking = true
    void detached(() => this.#askUntilDone(batch))
  }

  #waitForRoom(searches: readonly Search[]): void {
    for (const search of searches) {
      this.#lookAfter(search.job, RETRY_DELAY)
      this.#waiting.add(search)
    }
  }

  async #ask(batch: readonly Search[]): Promise<void> {
    const { claims, capacity, newRunId } = this.#options
    const searches: Search[] = []
    const requests: ClaimRequest[] = []
    for (const search of batch) {
      const { job } = search
      const { lockTtl, recovery } = job.definition
      if (job.removed || lockTtl === null || recovery === 'none') {
        this.#endSearch(search)
        continue
      }
      searches.push(search)
      requests.push(toRecoverRequest(job, newRunId(), lockTtl))
    }
    if (requests.length === 0) return
    this.#requestedRunIds = requests.map(({ runId }) => runId)
    capacity.asked(requests.length)
    const answers = await claims.ask(requests)
    for (const [index, search] of searches.entries()) {
      await this.#onAnswer(search, requests[index] as ClaimRequest, answers[index] as ClaimAnswer)
    }
    this.#requestedRunIds = []
    capacity.answered(requests.length)
    capacity.announceRoom()
  }

  async #onAnswer(search: Search, { runId, ttl }: ClaimRequest, answer: ClaimAnswer): Promise<void> {
    const { job } = search
    const { coordination, runner, finisher, clock, journal, onRequestBegun } = this.#options
    if (answer.status === 'unavailable') {
      // The run may have been granted all the same, and only the reply lost: then it is made free to take over again.
      if (answer.maybe) finisher.giveUpTakeover(jobLock(job, runId, ttl, clock.monotonic()))
      this.#lookAfter(job, 4 * RETRY_DELAY)
    } else if (answer.status === 'running') {
      this.#lookAfter(job, Math.min(answer.remaining, DAY) + this.#delay)
    } else if (answer.status === 'paused') {
      this.#lookAfter(job, 10 * SECOND)
    } else if (answer.status === 'granted' && answer.lock !== null) {
      const { lock, scheduledTime, attempt, fencingToken, from, request } = answer
      const brought = request === undefined ? null : await readBrought(coordination, job.id, request.id)
      if (brought instanceof Error) {
        finisher.giveUpTakeover(lock, () => this.lookNow(job))
        this.#lookAfter(job, ttl + this.#delay)
        return
      }
      if (request !== undefined && brought === null) {
        journal.requestLost(job, request.id)
        finisher.push({ lock, finished: true, onReleased() {} })
        this.#endSearch(search)
        return
      }
      if (this.#stopped || job.removed || runner.closed) {
        finisher.giveUpTakeover(lock)
        return
      }
      if (runner.runsUnlocked(job.id)) {
        finisher.giveUpTakeover(lock)
        this.#lookAfter(job, 10 * SECOND)
        return
      }
      if (isOver(lock, clock.monotonic())) {
        // The answer was read too late: unless another replica has the run by now, it is made free to take over again.
        finisher.giveUpTakeover(lock, () => this.lookNow(job))
        this.#lookAfter(job, ttl + this.#delay)
        return
      }
      this.#endSearch(search)
      if (from !== undefined) this.#options.onTakenOver(from, runId, attempt)
      const run = runner.newRun(job, runId, brought?.scheduledTime ?? scheduledTime, 'recovery', fencingToken)
      run.by = brought?.by ?? null
      run.attempt = attempt
      const active = runner.startRun(job, run, lock, dataOf(brought, job))
      if (request !== undefined) onRequestBegun(active, request.id, brought)
      // There may be more in the job's other slots.
      if (job.definition.maxInstances > 1) this.lookNow(job)
    } else {
      this.#endSearch(search)
    }
  }

  #endSearch(search: Search): void {
    // `expect` or `lookNow` may have set a new time to look meanwhile.
    if (search.checkAt < Number.POSITIVE_INFINITY && !search.job.removed) return
    this.#searches.delete(search.job)
    this.#options.deadlines.delete(search)
  }
}
