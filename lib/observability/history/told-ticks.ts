import type { Clock, TimerHandle } from '../../../types/clock.js'
import type { Coordination, HistoryFact, RunReport, TickFact } from '../../../types/coordination.js'
import type { SkipReason } from '../../../types/run.js'
import type { Trigger } from '../../../types/trigger.js'
import { SECOND } from '../../base/duration.js'
import { Idle } from '../../base/idle.js'
import type { JobRecord } from '../../jobs/job.js'
import { isFromCompletion } from '../../triggers/index.js'
import type { TickRange } from '../journal-listener.js'

/** How long facts are collected before the store is told of them. */
const COLLECT = SECOND / 4

/** How soon the store is told again what it did not answer for. */
const RETRY_DELAY = SECOND

/** How many facts go into one call. */
const BATCH = 500

/** How many facts wait at most while the store does not answer, and how many of runs: beyond that the oldest are left out. */
const MAX_WAITING = 20_000
const MAX_RUNS = 1000

/** Reasons that say nothing of what became of a tick in the fleet. */
const LOCAL: ReadonlySet<SkipReason> = new Set(['claimed_elsewhere', 'shutdown'])

/** Ticks of a job that had no run, and the trigger that they are of. */
interface Collected {
  readonly trigger: Trigger
  fact: TickFact
}

export interface ToldTicksOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly replicaId: string
  /** Called when facts were left out, with how many. */
  readonly onLeftOut: (count: number) => void
}

/**
 * Tells the store what became of ticks without a run, and of runs that it is not told of with their ends. Nothing waits for it;
 * what the store does not answer for is told again, in the order in which it happened.
 */
export class ToldTicks {
  readonly #options: ToldTicksOptions
  /** The ticks that are collected, by job: the last range of each may still grow. */
  readonly #ranges = new Map<string, Collected>()
  #waiting: HistoryFact[] = []
  /** Those that the store was told of and has not answered for: told again as they are, so that it knows them by that. */
  #told: readonly HistoryFact[] | null = null
  #timer: TimerHandle | null = null
  #isTelling = false
  #leftOut = 0
  /** How many facts of runs wait: with their errors and log lines they are a hundred times as large as others. */
  #waitingRuns = 0
  readonly #idle = new Idle(() => this.#isTelling)

  constructor(options: ToldTicksOptions) {
    this.#options = options
  }

  /** A tick has had no run. */
  noteTick(job: JobRecord, scheduledTime: number, reason: SkipReason): void {
    if (!LOCAL.has(reason)) this.#add(job, { first: scheduledTime, last: scheduledTime, count: 1 }, reason)
  }

  /** Several ticks have had no run. */
  noteTicks(job: JobRecord, ticks: TickRange, reason: SkipReason): void {
    if (!LOCAL.has(reason)) this.#add(job, ticks, reason)
  }

  /** A run has ended of which the store is not told with its end, or the outcome that was told is not what became of it. */
  noteRun(jobId: string, report: RunReport, isCorrection: boolean): void {
    this.#waiting.push({ kind: 'run', jobId, report, isCorrection })
    if (++this.#waitingRuns > MAX_RUNS) this.#leaveOutRuns()
    this.#tellLater(COLLECT)
  }

  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Tells what is left, once. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    await this.#idle.reached()
    await this.#tell()
    this.#timer?.cancel()
  }

  #add(job: JobRecord, { first, last, count }: TickRange, reason: SkipReason): void {
    const { coordination, replicaId } = this.#options
    const { id, trigger } = job
    const by = reason === 'operator' ? (job.skippedBy(first) ?? replicaId) : replicaId
    const now = Math.round(coordination.now())
    const fact = { jobId: id, first, last, count, next: null, reason, by, at: now }
    const before = this.#ranges.get(id)
    if (before !== undefined && before.trigger === trigger && before.fact.reason === reason && before.fact.by === by) {
      if (nextOf(trigger, before.fact.last) === first) {
        before.fact = { ...fact, first: before.fact.first, count: before.fact.count + count }
        return
      }
    }
    if (before !== undefined) this.#finish(before)
    this.#ranges.set(id, { trigger, fact })
    this.#tellLater(COLLECT)
  }

  #finish({ trigger, fact }: Collected): void {
    this.#waiting.push({ kind: 'ticks', ticks: { ...fact, next: nextOf(trigger, fact.last) } })
    if (this.#waiting.length <= MAX_WAITING) return
    const excess = this.#waiting.length - MAX_WAITING / 2
    this.#waitingRuns -= runsIn(this.#waiting.splice(0, excess))
    this.#leftOut += excess
  }

  /** Leaves out the older half of the runs that wait. */
  #leaveOutRuns(): void {
    let excess = this.#waitingRuns - MAX_RUNS / 2
    this.#leftOut += excess
    this.#waitingRuns -= excess
    this.#waiting = this.#waiting.filter(({ kind }) => kind !== 'run' || excess-- <= 0)
  }

  #tellLater(delay: number): void {
    if (this.#timer !== null || this.#isTelling) return
    this.#timer = this.#options.clock.setTimeout(() => void this.#tell(), delay)
    // Closing tells what is left.
    this.#timer.unref?.()
  }

  async #tell(): Promise<void> {
    this.#timer = null
    if (this.#isTelling) return
    this.#isTelling = true
    for (const each of this.#ranges.values()) this.#finish(each)
    this.#ranges.clear()
    let isAnswered = true
    while (isAnswered && (this.#told !== null || this.#waiting.length > 0)) {
      if (this.#told === null) {
        this.#told = this.#waiting.splice(0, BATCH)
        this.#waitingRuns -= runsIn(this.#told)
      }
      isAnswered = this.#options.coordination.state.up && (await this.#options.coordination.note(this.#told))
      if (isAnswered) this.#told = null
    }
    if (isAnswered && this.#leftOut > 0) {
      this.#options.onLeftOut(this.#leftOut)
      this.#leftOut = 0
    }
    this.#isTelling = false
    this.#idle.announce()
    if (!isAnswered || this.#ranges.size > 0) this.#tellLater(isAnswered ? COLLECT : RETRY_DELAY)
  }
}

function runsIn(facts: readonly HistoryFact[]): number {
  return facts.filter(({ kind }) => kind === 'run').length
}

/** The tick after another; `null` for none, also of a trigger that cannot say. */
function nextOf(trigger: Trigger, after: number): number | null {
  if (isFromCompletion(trigger)) return null
  try {
    return trigger.next(after)
  } catch {
    return null
  }
}
