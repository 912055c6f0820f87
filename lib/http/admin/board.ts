import type { AdminCounts, AdminJob, AdminRank, AdminState } from '../../../types/admin.js'
import type { Clock } from '../../../types/clock.js'
import type { Coordination } from '../../../types/coordination.js'
import type { HistoryTicks } from '../../../types/history.js'
import type { RunOutcome } from '../../../types/run.js'
import type { JobStatus } from '../../../types/status.js'
import type { Trigger } from '../../../types/trigger.js'
import { MINUTE, SECOND } from '../../base/duration.js'
import type { CronInWords } from '../../triggers/describe.js'
import { describeTrigger } from '../../triggers/describe.js'
import { periodAround } from '../../triggers/index.js'
import { RANK_OF, STATES, stateOf } from './job-state.js'
import type { KnownJob, KnownJobs } from './known-jobs.js'
import type { Redaction } from './redaction.js'
import { durationsOf, lastTicks, percentile } from './ticks.js'

/** How many ticks a row shows. */
export const ROW_TICKS = 60

/** For how long what was read is shown to others as well. */
const FRESH = SECOND

/** For how long a trigger's period is taken to be the same. */
const PERIOD_FOR = MINUTE

/** A job on the board: how it stands, without what only a row shows. */
export interface BoardEntry {
  readonly job: KnownJob
  readonly status: JobStatus
  readonly state: AdminState
  readonly lastTicks: HistoryTicks | null
  readonly lastOutcome: RunOutcome | null
  /** Changes whenever anything of it does. */
  readonly mark: string
}

/** How all jobs stood at one time. */
export interface BoardView {
  /** By the fleet's clock. */
  readonly at: number
  readonly entries: ReadonlyMap<string, BoardEntry>
  readonly counts: AdminCounts
  readonly groups: readonly string[]
}

export interface BoardOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly jobs: KnownJobs
  readonly redact: Redaction
  /** That of triggers which name none. */
  readonly timezone: string
  /** Loads what puts cron expressions into words. */
  readonly words: () => Promise<CronInWords>
}

/** How all jobs of the fleet stand: read when somebody looks, at most once a second whoever looks. */
export class Board {
  readonly #options: BoardOptions
  #view: BoardView | null = null
  /** On the monotonic clock. */
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<BoardView> | null = null
  /** How often what was read was let go of. */
  #epoch = 0
  /** Schedules in words: jobs with equal triggers share one. */
  readonly #described = new WeakMap<object, { readonly schedule: string; readonly timezone: string | null }>()

  readonly #periods = new WeakMap<Trigger, { readonly period: number | null; readonly at: number }>()

  constructor(options: BoardOptions) {
    this.#options = options
  }

  /**
   * How all jobs stand, at most a second ago.
   *
   * @throws RedisUnavailableError
   */
  async view(): Promise<BoardView> {
    const { clock } = this.#options
    if (this.#view !== null && clock.monotonic() - this.#readAt < FRESH) return this.#view
    if (this.#reading === null) {
      const reading: Promise<BoardView> = this.#read().finally(() => {
        if (this.#reading === reading) this.#reading = null
      })
      this.#reading = reading
    }
    return await this.#reading
  }

  /** From one tick of a job to the next, as it is now. */
  periodOf({ job: { trigger } }: BoardEntry): number | null {
    if (trigger === null) return null
    const known = this.#periods.get(trigger)
    const now = this.#options.coordination.now()
    if (known !== undefined && Math.abs(now - known.at) < PERIOD_FOR) return known.period
    const period = periodAt(trigger, now)
    this.#periods.set(trigger, { period, at: now })
    return period
  }

  /** Lets go of what was read: somebody has changed something, or nobody looks any more. */
  forget(): void {
    this.#view = null
    // What is being read may be from before.
    this.#reading = null
    this.#epoch++
  }

  /**
   * Jobs as rows.
   *
   * @param count how many of their last ticks
   * @throws RedisUnavailableError
   */
  async rows(entries: readonly BoardEntry[], count = ROW_TICKS): Promise<AdminJob[]> {
    const { coordination, words } = this.#options
    const [tails, inWords] = await Promise.all([
      coordination.readTails(
        entries.map(({ job }) => job.id),
        count
      ),
      words()
    ])
    const now = coordination.now()
    return entries.map((entry, index) => {
      const { runs = [], ticks = [] } = tails[index] ?? {}
      return this.#row(entry, { runs, ranges: ticks }, count, inWords, now)
    })
  }

  async #read(): Promise<BoardView> {
    const { clock, coordination, jobs } = this.#options
    const epoch = this.#epoch
    const startedAt = clock.monotonic()
    const known = await jobs.read()
    const standing = await jobs.standing(known)
    const entries = new Map<string, BoardEntry>()
    const states = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<AdminState, number>
    const groups = new Set<string>()
    standing.forEach(({ status, lastTicks, lastOutcome }, index) => {
      const job = known[index] as KnownJob
      const state = stateOf({ status, lastTicks, lastOutcome, isGone: job.isGone })
      states[state]++
      if (status.group !== null) groups.add(status.group)
      const mark = markOf(status, lastTicks, state)
      entries.set(job.id, { job, status, state, lastTicks, lastOutcome, mark })
    })
    const view = { at: Math.round(coordination.now()), entries, counts: countsOf(states), groups: [...groups].sort() }
    if (epoch === this.#epoch) {
      this.#readAt = startedAt
      this.#view = view
    }
    return view
  }

  #row(
    entry: BoardEntry,
    { runs, ranges }: Pick<Parameters<typeof lastTicks>[0], 'runs' | 'ranges'>,
    count: number,
    inWords: CronInWords,
    now: number
  ): AdminJob {
    const { redact } = this.#options
    const { job, status, state } = entry
    const isOnEvery = job.definition.lockTtl === null
    const ongoing = status.running.map(({ id: runId, by, ...run }) => ({
      ...run,
      runId,
      ...(by === null ? {} : { by })
    }))
    const ticks = lastTicks({ runs, ranges, ongoing }, { trigger: job.trigger, isOnEvery }, count, now, redact)
    const durations = durationsOf(ticks)
    const { id, name, group, description, lastSuccess, expectedSuccess, consecutiveFailures, pauses, nextRun } = status
    return {
      ...{ id, name, group, description, state },
      rank: RANK_OF[state],
      ...this.#describe(job, inWords),
      period: this.periodOf(entry),
      isOnEvery,
      isOverridden: status.override !== null,
      ...{ lastSuccess, expectedSuccess, consecutiveFailures },
      running: status.running,
      pauses,
      nextRun,
      p50: percentile(durations, 0.5),
      p95: percentile(durations, 0.95),
      ticks
    }
  }

  #describe({ definition, trigger }: KnownJob, inWords: CronInWords): { schedule: string; timezone: string | null } {
    const key = trigger ?? definition
    const known = this.#described.get(key)
    if (known !== undefined) return known
    const described = describeTrigger(definition.trigger, this.#options.timezone, inWords)
    this.#described.set(key, described)
    return described
  }
}

function periodAt(trigger: Trigger, now: number): number | null {
  try {
    return periodAround(trigger, now)
  } catch {
    return null
  }
}

/** All that a row shows, but for what follows from time alone. */
function markOf(status: JobStatus, lastTicks: HistoryTicks | null, state: AdminState): string {
  const { lastRun, lastSuccess, consecutiveFailures, expectedSuccess, running, nextRun, pauses, override } = status
  let mark = `${state} ${lastRun?.id} ${lastRun?.finishedAt} ${lastSuccess} ${consecutiveFailures} ${expectedSuccess} ${nextRun}`
  for (const { id, attempt, progress } of running) mark += ` ${id} ${attempt} ${progress?.at}`
  if (lastTicks !== null) mark += ` ${lastTicks.last} ${lastTicks.count} ${lastTicks.reason}`
  for (const { version } of pauses) mark += ` ${version}`
  return override === null ? mark : `${mark} ${override.version}`
}

function countsOf(states: Record<AdminState, number>): AdminCounts {
  const ranks: Record<AdminRank, number> = { attention: 0, running: 0, paused: 0, on_time: 0, gone: 0 }
  for (const state of STATES) ranks[RANK_OF[state]] += states[state]
  return { all: STATES.reduce((all, state) => all + states[state], 0), ranks, states }
}
