import type { Coordination, OngoingRun, StoredHistory } from '../../../types/coordination.js'
import type { HistoryEntry, HistoryQuery, HistoryRun, HistoryTicks, TickStory } from '../../../types/history.js'
import type { Logger } from '../../../types/logger.js'
import { copyKnown } from '../../base/check.js'
import { MINUTE, SECOND } from '../../base/duration.js'
import { HistoryOffError } from '../../errors.js'
import type { JobRecord } from '../../jobs/job.js'
import { DEFAULT_GRACE } from '../../jobs/options.js'
import type { JobRegistry } from '../../jobs/registry.js'
import { isByHand, isFromCompletion, mayBeTick, readDate } from '../../triggers/index.js'
import { logSafely } from '../log.js'
import { checkLimit, type ResolvedHistory } from './options.js'

/** For how long nothing is concluded from what the store was not told of a tick: it may be on its way. */
const TELLING = 5 * SECOND

const UNDECIDED = { run: null, reason: null, by: null, at: null }

export interface HistoryReaderOptions {
  readonly coordination: Coordination
  readonly jobs: JobRegistry
  readonly history: ResolvedHistory | null
  /** The time zone of times that do not say theirs. */
  readonly timezone: string
  readonly log: Logger
}

/** Reads the history of jobs from the store: it says the same on every replica. */
export class HistoryReader {
  readonly #options: HistoryReaderOptions
  #isTold = false

  constructor(options: HistoryReaderOptions) {
    this.#options = options
  }

  /** Checks what `read` is asked, before anything is opened. */
  check(id: string, query: HistoryQuery): { readonly limit: number; readonly before: number } {
    const { limit = 100, before } = copyKnown(query, ['limit', 'before'], "`history`'s options") as HistoryQuery
    checkLimit(limit, 'limit')
    this.#checkOn(id)
    return { limit, before: before === undefined ? Number.POSITIVE_INFINITY : this.readTime(before, 'before') }
  }

  /** @throws DateInvalidError */
  readTime(value: unknown, name: string): number {
    return readDate(value, name, this.#options.timezone)
  }

  /**
   * A job's runs, those that go on included, and ticks without a run, by their nominal times, the newest first.
   *
   * @throws JobUnknownError for a job that neither this replica nor the history knows; RedisUnavailableError
   */
  async read(id: string, limit: number, before: number): Promise<HistoryEntry[]> {
    const stored = await this.#stored(id)
    const ongoing = stored.ongoing.filter(({ runId }) => !stored.runs.some((run) => run.id === runId))
    const entries: HistoryEntry[] = [
      ...ongoing.map((run) => this.#ongoingRun(id, run)),
      ...stored.runs,
      ...stored.ticks
    ]
    return entries
      .filter((entry) => timeOf(entry) < before)
      .sort((a, b) => timeOf(b) - timeOf(a) || startOf(b) - startOf(a))
      .slice(0, limit)
  }

  /**
   * What became of a tick.
   *
   * @throws as `read`
   */
  async tick(id: string, scheduledTime: number): Promise<TickStory | null> {
    const stored = await this.#stored(id)
    const isOf = (run: { readonly scheduledTime: number }): boolean => run.scheduledTime === scheduledTime
    const going = stored.ongoing.find(isOf)
    const ended = stored.runs.find((run) => isOf(run) && run.trigger !== 'start')
    const run = going === undefined || going.runId === ended?.id ? ended : this.#ongoingRun(id, going)
    const job = this.#options.jobs.get(id)
    const range = stored.ticks.find((range) => isWithin(range, scheduledTime, job))
    // A claim whose reply was lost is recorded as abandoned: its run never began, and its tick was counted.
    if (run !== undefined && (run.outcome !== 'abandoned' || range === undefined)) {
      return { scheduledTime, run, reason: null, by: run.replicaId, at: run.startedAt }
    }
    if (range !== undefined) {
      const { reason, by, at } = range
      return { scheduledTime, run: null, reason, by, at }
    }
    if (stored.waiting === scheduledTime) return { scheduledTime, ...UNDECIDED }
    return job === undefined ? null : this.#conclude(job, scheduledTime, stored)
  }

  /** What follows for a tick of which the store was told nothing: whoever had it has died before. */
  #conclude(job: JobRecord, scheduledTime: number, stored: StoredHistory): TickStory | null {
    const { trigger, definition } = job
    const now = this.#options.coordination.now()
    if (isByHand(trigger) || isFromCompletion(trigger) || !mayBeTick(trigger, scheduledTime)) return null
    const { forgottenUntil, since } = stored
    if (scheduledTime > now || scheduledTime <= Math.max(forgottenUntil, since ?? forgottenUntil)) return null
    const grace = definition.misfireGraceTime ?? DEFAULT_GRACE
    const isPassed = stored.claimedUntil !== null && scheduledTime <= stored.claimedUntil
    const isOpen = now - scheduledTime <= (isPassed ? TELLING : grace + definition.jitter + MINUTE)
    if (isOpen) return { scheduledTime, ...UNDECIDED }
    const wentOn =
      stored.ongoing.some(({ startedAt }) => startedAt < scheduledTime) ||
      stored.runs.some(({ startedAt, finishedAt }) => startedAt < scheduledTime && (finishedAt ?? now) > scheduledTime)
    const reason = definition.maxInstances === 1 && wentOn ? 'overlap' : 'misfire'
    return { scheduledTime, run: null, reason, by: null, at: null }
  }

  async #stored(id: string): Promise<StoredHistory> {
    const { coordination, jobs, log } = this.#options
    const stored = await coordination.readHistory(id)
    if (stored.runs.length + stored.ticks.length + stored.ongoing.length === 0) jobs.known(id)
    if (stored.unreadable > 0 && !this.#isTold) {
      this.#isTold = true
      const fields = { jobId: id, entries: stored.unreadable }
      logSafely(log, 'warn', fields, 'the history of a job has entries that cannot be read: they are left out')
    }
    return stored
  }

  /** A run that goes on. The store does not keep what started it, so this is inferred from its time and its attempt. */
  #ongoingRun(jobId: string, run: OngoingRun): HistoryRun {
    const { runId: id, scheduledTime, startedAt, attempt, slot, replicaId, fencingToken, progress, by = null } = run
    const job = this.#options.jobs.get(jobId)
    const isTick = job === undefined || mayBeTick(job.trigger, scheduledTime)
    return {
      ...{ kind: 'run', id, jobId, scheduledTime, startedAt, attempt, slot, replicaId, fencingToken, progress },
      ...{
        finishedAt: null,
        duration: null,
        outcome: null,
        by,
        attempts: [],
        result: null,
        error: null,
        log: []
      },
      trigger: attempt > 1 ? 'recovery' : isTick && by === null ? 'schedule' : 'manual'
    }
  }

  #checkOn(id: string): void {
    if (this.#options.history === null) throw new HistoryOffError(id)
  }

  /** @throws HistoryOffError */
  checkTick(id: string, scheduledTime: unknown): number {
    this.#checkOn(id)
    return this.readTime(scheduledTime, 'scheduledTime')
  }
}

function isWithin({ first, last }: HistoryTicks, time: number, job: JobRecord | undefined): boolean {
  if (time < first || time > last) return false
  if (time === first || time === last) return true
  return job !== undefined && !isByHand(job.trigger) && mayBeTick(job.trigger, time)
}

function timeOf(entry: HistoryEntry): number {
  return entry.kind === 'run' ? entry.scheduledTime : entry.last
}

function startOf(entry: HistoryEntry): number {
  return entry.kind === 'run' ? entry.startedAt : entry.at
}
