import type { Clock, TimerHandle } from '../../types/clock.js'
import type { ClaimAnswer, ClaimRequest, Coordination, HandBackAnswer, HeldLock } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import { hash32 } from '../base/hash.js'
import { Idle } from '../base/idle.js'
import { isOver } from '../coordination/lock-validity.js'
import type { JobRecord } from '../jobs/job.js'
import type { Journal } from '../observability/journal.js'
import type { ActiveRun } from '../runs/active-run.js'
import type { Capacity } from '../runs/capacity.js'
import type { Finisher } from '../runs/finisher.js'
import type { HandingBack } from '../runs/retried-releases.js'
import type { Runner } from '../runs/runner.js'
import { jobLock, toWaitingRequest } from './claim-request.js'
import type { EndedJobs } from './ended-jobs.js'
import type { Recovery } from './recovery.js'
import { type Brought, dataOf, readBrought, writeResult } from './stored-requests.js'
import type { TracedClaims } from './traced-claims.js'

/**
 * How soon a replica that has put something into a job's queue asks again whether it can begin, and how soon one that has only
 * heard of it: most often it begins when the replica that ends a run asks at once.
 */
const OWN_POLL = 60
const POLL = SECOND / 2

/** How soon to ask again after no answer. */
const RETRY_DELAY = SECOND

/** How often a replica asks whether one of its runs is to be replaced, while it has one that may be. */
const REPLACED_POLL = SECOND

/** What answers a hand-back of a tick in whose place a later one has come, before which tick it is. */
const WASTED = 'wasted '

/** The most jobs asked about in one call. */
const BATCH = 64

export interface WaitingRunsOptions {
  readonly claims: TracedClaims
  readonly replicaId: string
  readonly clock: Clock
  readonly coordination: Coordination
  readonly endedJobs: EndedJobs
  readonly capacity: Capacity
  readonly runner: Runner
  readonly finisher: Finisher
  readonly recovery: Recovery
  readonly journal: Journal
  readonly newRunId: () => string
  /** Whether this replica takes ticks at present. */
  readonly isRunning: () => boolean
  /** Whether nothing begins any more: what waits is left to the other replicas. */
  readonly isEnding: () => boolean
}

type Granted = Extract<ClaimAnswer, { status: 'granted' }> & { readonly lock: HeldLock }

/** A job for which something waits, as far as this replica knows. */
interface Watch {
  /** Whether this replica has put it there. */
  isOwn: boolean
  /** When it is asked about, on the monotonic clock; `Infinity` while it is. */
  at: number
  /** Who waits for the answer to the next call, and to the one under way. */
  next: (() => void)[]
  asked: (() => void)[]
}

/**
 * Begins what waits in the store for a slot of its job: ticks (`overlap: 'wait'` and `'replace'`), and runs by hand. It
 * outlives the replica that put it there, and any replica that has the job can begin it.
 */
export class WaitingRuns {
  readonly #options: WaitingRunsOptions
  readonly #watches = new Map<JobRecord, Watch>()
  /** Who waits for the run of a request, by its id, in this process. */
  readonly #awaited = new Map<string, (active: ActiveRun) => void>()
  readonly #spread: number
  #timer: TimerHandle | null = null
  #newsTimer: TimerHandle | null = null
  /** The ids of the runs that are being requested. */
  #requestedRunIds: readonly string[] = []
  #asking = false
  readonly #idle = new Idle(() => this.#asking)

  constructor(options: WaitingRunsOptions) {
    this.#options = options
    this.#spread = hash32(options.replicaId) % POLL
  }

  /** The ids of the runs that are being requested. */
  get runIds(): readonly string[] {
    return this.#requestedRunIds
  }

  /** Whether something waits for the job, as far as is known. */
  has(job: JobRecord): boolean {
    return this.#watches.has(job)
  }

  /** Something waits for a job, and a slot may be free: asks at once. */
  note(job: JobRecord): void {
    if (this.#options.isRunning() || this.#watches.has(job)) this.#askAt(job, 0, false)
  }

  /** Something may wait for a job, as another replica has claimed a tick of it. */
  suspect(job: JobRecord): void {
    if (!this.#watches.has(job)) this.#askAt(job, POLL + this.#spread, false)
  }

  /** This replica has put a tick of a job into its queue. */
  expect(job: JobRecord): void {
    this.#askAt(job, OWN_POLL, true)
  }

  /**
   * Asks at once whether what waits for a job can begin, after this replica has put a request there.
   *
   * @returns once that is answered
   */
  askFor(job: JobRecord): Promise<void> {
    if (this.#options.isEnding()) return Promise.resolve()
    this.#askAt(job, 0, true)
    return new Promise((resolve) => {
      const watch = this.#watches.get(job)
      if (watch === undefined) resolve()
      else watch.next.push(resolve)
    })
  }

  /** Calls back when the run of a request begins in this process. @returns ends that */
  onBegun(requestId: string, callback: (active: ActiveRun) => void): () => void {
    this.#awaited.set(requestId, callback)
    return () => this.#awaited.delete(requestId)
  }

  /** A run begins that another may replace: looks now and then whether one does. */
  watchReplaced(): void {
    this.#newsTimer ??= this.#options.clock.setTimeout(() => void this.#hearNews(), REPLACED_POLL)
  }

  /** Resolves when no request is under way. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  close(): void {
    this.#timer?.cancel()
    this.#newsTimer?.cancel()
    for (const { next, asked } of this.#watches.values()) for (const resolve of [...next, ...asked]) resolve()
    this.#watches.clear()
  }

  async #hearNews(): Promise<void> {
    const { coordination, runner } = this.#options
    if (coordination.state.up) await coordination.waiting?.hear()
    this.#newsTimer = null
    if (runner.hasReplaceable) this.watchReplaced()
  }

  #askAt(job: JobRecord, delay: number, isOwn: boolean): void {
    if (this.#options.isEnding() || job.removed || job.definition.lockTtl === null) return
    const at = this.#options.clock.monotonic() + delay
    const watch = this.#watches.get(job)
    if (watch === undefined) {
      this.#watches.set(job, { isOwn, at, next: [], asked: [] })
    } else {
      watch.isOwn ||= isOwn
      // While it is asked about, the answer sets the next time, unless it is to be asked about at once again.
      watch.at = Math.min(watch.at, at)
    }
    this.#arm()
  }

  #arm(): void {
    const { clock } = this.#options
    let next = Number.POSITIVE_INFINITY
    for (const { at } of this.#watches.values()) next = Math.min(next, at)
    this.#timer?.cancel()
    this.#timer = null
    if (this.#options.isEnding()) {
      // Nobody asks any more: who waits for an answer goes on with what waits.
      for (const { next, asked } of this.#watches.values())
        for (const resolve of [...next.splice(0), ...asked]) resolve()
      return
    }
    if (this.#asking || !Number.isFinite(next)) return
    const delay = next - clock.monotonic()
    if (delay <= 0) void this.#askAll()
    else this.#timer = clock.setTimeout(() => void this.#askAll(), Math.ceil(delay))
  }

  async #askAll(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    // What comes at the same time shares a call.
    await new Promise<void>((resolve) => this.#options.clock.setImmediate(resolve))
    for (let batch = this.#due(); batch.length > 0; batch = this.#due()) await this.#ask(batch)
    this.#asking = false
    this.#idle.announce()
    this.#arm()
  }

  /** The jobs that are to be asked about now, as far as there is room for their runs. */
  #due(): JobRecord[] {
    const { clock, capacity } = this.#options
    const now = clock.monotonic()
    const due: JobRecord[] = []
    for (const [job, watch] of this.#watches) {
      if (watch.at > now) continue
      if (due.length >= BATCH || this.#options.isEnding()) break
      watch.asked = watch.next.splice(0)
      if (job.removed || job.definition.lockTtl === null) {
        this.#forget(job, watch)
      } else if (capacity.room - due.length > 0) {
        watch.at = Number.POSITIVE_INFINITY
        due.push(job)
      } else {
        this.#answered(watch, OWN_POLL)
      }
    }
    return due
  }

  async #ask(jobs: readonly JobRecord[]): Promise<void> {
    const { claims, capacity, newRunId, isRunning } = this.#options
    // A replica that takes no ticks begins only what was asked for by hand.
    const requests = jobs.map((job) => toWaitingRequest(job, newRunId(), !isRunning()))
    this.#requestedRunIds = requests.map(({ runId }) => runId)
    capacity.asked(requests.length)
    const answers = await claims.ask(requests)
    const handBacks: HandingBack[] = []
    for (const [index, job] of jobs.entries()) {
      await this.#onAnswer(job, requests[index] as ClaimRequest, answers[index] as ClaimAnswer, handBacks)
    }
    this.#requestedRunIds = []
    capacity.answered(requests.length)
    void this.#options.finisher.handBack(handBacks)
    capacity.announceRoom()
  }

  async #onAnswer(job: JobRecord, request: ClaimRequest, answer: ClaimAnswer, handBacks: HandingBack[]): Promise<void> {
    const { clock, journal, recovery } = this.#options
    const watch = this.#watches.get(job)
    switch (answer.status) {
      case 'granted':
        await this.#begin(job, request, answer as Granted, handBacks)
        if (watch !== undefined) this.#answered(watch, 0)
        return
      case 'dropped':
        journal.tickSkipped(job, answer.scheduledTime, 'paused')
        if (watch !== undefined) this.#answered(watch, 0)
        return
      case 'overlap':
        if (answer.isLeft) recovery.lookNow(job)
        if (watch !== undefined) this.#answered(watch, watch.isOwn ? OWN_POLL : POLL + this.#spread)
        return
      case 'unavailable': {
        // It may have been granted all the same, and only the reply lost: then it waits again.
        const lock = jobLock(job, request.runId, request.ttl, clock.monotonic())
        if (answer.maybe) handBacks.push(this.#waitsAgain(job, lock))
        if (watch !== undefined) this.#answered(watch, RETRY_DELAY)
        return
      }
      default:
        if (watch === undefined) return
        // Something may have been put there since.
        if (Number.isFinite(watch.at)) this.#answered(watch, 0)
        else this.#forget(job, watch)
    }
  }

  async #begin(job: JobRecord, { runId }: ClaimRequest, granted: Granted, handBacks: HandingBack[]): Promise<void> {
    const { clock, coordination, finisher, journal, runner, isEnding } = this.#options
    const { lock, fencingToken, scheduledTime, request } = granted
    const brought = request === undefined ? null : await readBrought(coordination, job.id, request.id)
    // What it has brought could not be read.
    const isUnread = brought instanceof Error
    if (request !== undefined && brought === null) {
      // With the data of the job it would be another run than the one that was asked for.
      journal.requestLost(job, request.id)
      finisher.push({ lock, finished: true, unbegun: true, onReleased() {} })
      return
    }
    if (isUnread || isEnding() || job.removed || runner.closed || isOver(lock, clock.monotonic())) {
      handBacks.push(this.#waitsAgain(job, lock))
      return
    }
    const startedBy = request === undefined ? 'schedule' : 'manual'
    const run = runner.newRun(job, runId, brought?.scheduledTime ?? scheduledTime, startedBy, fencingToken)
    run.by = brought?.by ?? null
    job.noteLocked()
    if (granted.isLast) this.#options.endedJobs.note(job)
    const active = runner.startRun(job, run, lock, dataOf(brought, job))
    if (request !== undefined) this.begun(active, request.id, brought)
  }

  /** The run of a request has begun in this process. */
  begun(active: ActiveRun, requestId: string, brought: Brought | null): void {
    const { coordination } = this.#options
    active.isStored = true
    this.#awaited.get(requestId)?.(active)
    if (brought?.isAwaited) active.onOutcome(() => void writeResult(coordination, requestId, active.run))
  }

  /** Hands a claim back of what has waited. */
  #waitsAgain(job: JobRecord, lock: HeldLock): HandingBack {
    const onHandedBack = (answer: HandBackAnswer): void => {
      // A later tick has come since.
      const tick = answer.startsWith(WASTED) ? Number(answer.slice(WASTED.length)) : Number.NaN
      if (Number.isFinite(tick)) this.#options.journal.tickSkipped(job, tick, 'coalesced')
    }
    return { lock, scheduledTime: -1, tell: false, afterCompletion: 0, waited: true, onHandedBack }
  }

  #answered(watch: Watch, delay: number): void {
    watch.at = Math.min(watch.at, this.#options.clock.monotonic() + delay)
    for (const resolve of watch.asked.splice(0)) resolve()
  }

  #forget(job: JobRecord, watch: Watch): void {
    this.#watches.delete(job)
    for (const resolve of watch.asked.splice(0)) resolve()
  }
}
