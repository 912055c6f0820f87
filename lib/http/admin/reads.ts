import type {
  AdminChange,
  AdminDifference,
  AdminFleet,
  AdminJobDetail,
  AdminJobs,
  AdminRun,
  AdminRuns,
  AdminTick,
  AdminTicks
} from '../../../types/admin.js'
import type { StoredHistory } from '../../../types/coordination.js'
import type { HistoryEntry, HistoryRun } from '../../../types/history.js'
import type { Trigger } from '../../../types/trigger.js'
import { show } from '../../base/show.js'
import { VERSION } from '../../base/version.js'
import type { Engine } from '../../engine.js'
import { HistoryRunUnknownError, JobUnknownError, RedisUnavailableError } from '../../errors.js'
import type { JobDefinition } from '../../jobs/definition.js'
import { DEFAULT_GRACE } from '../../jobs/options.js'
import { graceOf } from '../../observability/expected-success.js'
import { MAX_LIMIT } from '../../observability/history/options.js'
import { isFromCompletion } from '../../triggers/index.js'
import type { Asking } from './access.js'
import type { Board, BoardEntry } from './board.js'
import { isAbout, toAdminChange } from './changes.js'
import type { KnownJob, KnownJobs } from './known-jobs.js'
import type { ResolvedAdmin } from './options.js'
import type { Redaction } from './redaction.js'
import { type BoardQuery, ranksOf, searchBoard } from './search.js'
import { storeOf } from './store-state.js'
import { merged, tickOfRange, ticksOfRuns } from './ticks.js'

/** How many ticks to come are listed, of one job and in a lane. */
const NEXT_TICKS = 10
const MAX_COMING = 200

/** How many of the last changes the page of the fleet lists, and among how many those about a job are looked for. */
const CHANGES = 50
const MAX_CHANGES = 500

export interface ReadsOptions {
  readonly engine: Engine
  readonly admin: ResolvedAdmin
  readonly board: Board
  readonly jobs: KnownJobs
}

/** What the admin routes answer where somebody only looks. */
export class Reads {
  readonly #options: ReadsOptions

  constructor(options: ReadsOptions) {
    this.#options = options
  }

  /** @throws RedisUnavailableError */
  async jobs(query: BoardQuery & { readonly limit: number; readonly offset: number }): Promise<AdminJobs> {
    const { board } = this.#options
    const view = await board.view()
    const found = searchBoard(view, query, (entry) => board.periodOf(entry))
    const { offset, limit } = query
    const jobs = await board.rows(found.slice(offset, offset + limit))
    const { at, counts, groups } = view
    return { at, counts, groups, total: found.length, matching: ranksOf(found), offset, jobs }
  }

  /** @throws JobUnknownError, RedisUnavailableError */
  async job(id: string): Promise<AdminJobDetail> {
    const { board, jobs, admin } = this.#options
    const entry = await this.#entry(id)
    const { job } = entry
    const [[standing], stored] = await Promise.all([jobs.standing([job], true), this.#historyOf(id)])
    const status = standing?.status ?? entry.status
    const [row] = await board.rows([{ ...entry, status }])
    const failed = stored?.runs.find(
      ({ outcome }) => outcome !== 'success' && outcome !== 'cancelled' && outcome !== null
    )
    return {
      at: this.#now,
      job: row as AdminJobDetail['job'],
      definition: definitionOf(job, this.#now, admin.redact),
      nextRuns: this.#nextRuns(entry),
      override: status.override === null ? null : { ...status.override, ...this.#differencesOf(entry) },
      lastFailure: failed === undefined ? null : admin.redact.run(failed),
      waitingTick: stored?.waiting ?? null
    }
  }

  /** @throws JobUnknownError, HistoryOffError, RedisUnavailableError */
  async runs(id: string, limit: number, before: number | undefined): Promise<AdminRuns> {
    const { engine, admin } = this.#options
    const { history, options } = engine
    history.check(id, {})
    const upTo = before ?? Number.POSITIVE_INFINITY
    const [entries, changes] = await Promise.all([history.read(id, limit, upTo), this.#changes(MAX_CHANGES)])
    const last = entries.at(-1)
    const next = entries.length < limit || last === undefined ? null : timeOf(last)
    const group = engine.jobs.get(id)?.definition.group ?? null
    const bounds = options.history
    return {
      at: this.#now,
      job: id,
      entries: entries.map((entry) => (entry.kind === 'run' ? admin.redact.run(entry) : entry)),
      changes: changes.filter((each) => isAbout(each, id, group) && each.at < upTo && each.at >= (next ?? 0)),
      next,
      kept: bounds === null ? null : { runs: bounds.runs, retention: bounds.retention }
    }
  }

  /** @throws JobUnknownError, RedisUnavailableError */
  async ticks(ids: readonly string[], from: number, to: number): Promise<AdminTicks> {
    const entries = await Promise.all(ids.map((id) => this.#entry(id)))
    const lanes = await Promise.all(entries.map((entry) => this.#lane(entry, from, to)))
    return { at: this.#now, from, to, lanes }
  }

  /** @throws JobUnknownError, HistoryRunUnknownError, RedisUnavailableError */
  async run(jobId: string, id: string): Promise<AdminRun> {
    const { engine, admin } = this.#options
    engine.history.check(jobId, {})
    const entries = await engine.history.read(jobId, MAX_LIMIT, Number.POSITIVE_INFINITY)
    const run = entries.find((entry): entry is HistoryRun => entry.kind === 'run' && entry.id === id)
    if (run === undefined) throw new HistoryRunUnknownError(show(jobId), show(id))
    return { at: this.#now, run: admin.redact.run(run) }
  }

  /** Who asks, the app, and the fleet as far as the store tells: while Redis is away, what is not known is empty. */
  async fleet({ user, can }: Asking): Promise<AdminFleet> {
    const { engine, admin } = this.#options
    const { history, replicaId, timezone } = engine.options
    const told = await this.#askFleet().catch((error: unknown) => {
      if (error instanceof RedisUnavailableError) return null
      throw error
    })
    const { replicas = [], latency = null, changes = [] } = told ?? {}
    return {
      at: this.#now,
      you: { user, can },
      app: { title: admin.title, replicaId, version: VERSION, timezone },
      replicas,
      store: storeOf(engine, latency),
      history: history === null ? null : { runs: history.runs, retention: history.retention, logs: history.logs },
      // What other replicas have defined is not published yet.
      differences: null,
      changes
    }
  }

  async #askFleet(): Promise<Pick<AdminFleet, 'replicas' | 'changes'> & { readonly latency: number | null }> {
    const { engine, board } = this.#options
    const { coordination, fleetStatus, options } = engine
    const startedAt = options.clock.monotonic()
    const replicas = await fleetStatus.replicas()
    const latency = coordination.state.kind === 'memory' ? null : options.clock.monotonic() - startedAt
    const [view, changes] = await Promise.all([board.view(), this.#changes(CHANGES)])
    const running = [...view.entries.values()].flatMap(({ job, status }) => {
      return status.running.map(({ id: run, replicaId }) => ({ job: job.id, run, replicaId }))
    })
    const runsOf = (replicaId: string): AdminFleet['replicas'][number]['runs'] => {
      return running.filter((each) => each.replicaId === replicaId).map(({ job, run }) => ({ job, run }))
    }
    return {
      replicas: replicas.map((replica) => ({ concurrency: null, ...replica, runs: runsOf(replica.replicaId) })),
      latency,
      changes
    }
  }

  async #changes(limit: number): Promise<AdminChange[]> {
    const changes = await this.#options.engine.coordination.readChanges(limit)
    return changes.flatMap((change) => toAdminChange(change) ?? [])
  }

  get #now(): number {
    return Math.round(this.#options.engine.coordination.now())
  }

  async #entry(id: string): Promise<BoardEntry> {
    const { entries } = await this.#options.board.view()
    const entry = entries.get(id)
    if (entry === undefined) throw new JobUnknownError(show(id), '')
    return entry
  }

  /** `null` where no history is kept. */
  async #historyOf(id: string): Promise<StoredHistory | null> {
    const { coordination, options } = this.#options.engine
    return options.history === null ? null : await coordination.readHistory(id)
  }

  async #lane(entry: BoardEntry, from: number, to: number): Promise<AdminTicks['lanes'][number]> {
    const { admin } = this.#options
    const { job, status } = entry
    const stored = await this.#historyOf(job.id)
    const isOnEvery = job.definition.lockTtl === null
    const ticks: AdminTick[] = []
    if (stored !== null) {
      const { runs, ticks: ranges, ongoing } = stored
      const known = merged(ticksOfRuns({ runs, ranges, ongoing }, this.#now, admin.redact), isOnEvery)
      for (const tick of [...known, ...ranges.map(tickOfRange)]) {
        const end = Math.max(tick.until ?? tick.at, (tick.started ?? tick.at) + (tick.ms ?? 0))
        if (tick.at < to && end >= from) ticks.push(tick)
      }
    }
    return {
      job: job.id,
      ticks: ticks.sort((a, b) => a.at - b.at),
      coming: this.#coming(entry, Math.max(from, this.#now), to, MAX_COMING),
      forgottenUntil:
        stored === null || stored.forgottenUntil <= 0 || status.lastRun === null ? null : stored.forgottenUntil
    }
  }

  #nextRuns(entry: BoardEntry): number[] {
    return this.#coming(entry, this.#now, Number.POSITIVE_INFINITY, NEXT_TICKS)
  }

  /** Ticks to come: none while a job is paused without an end. */
  #coming({ job, status }: BoardEntry, from: number, to: number, limit: number): number[] {
    const { trigger } = job
    if (trigger === null) return []
    if (isFromCompletion(trigger)) return status.nextRun === null || status.nextRun > to ? [] : [status.nextRun]
    const ends = status.pauses.map(({ until }) => until ?? Number.POSITIVE_INFINITY)
    const start = Math.max(from, ...ends)
    return Number.isFinite(start) ? following(trigger, start, to, limit) : []
  }

  #differencesOf({ job, status }: BoardEntry): {
    readonly differences: AdminDifference[]
    readonly changes: Readonly<Record<string, unknown>>
  } {
    const { redact } = this.#options.admin
    const { code } = job.record
    const changes = { ...status.override?.changes }
    if ('data' in changes) changes.data = redact.data(changes.data)
    const differences = Object.keys(changes).map((option) => {
      const of = (definition: JobDefinition): unknown => {
        const value = optionOf(definition, option)
        return option === 'data' ? redact.data(value) : value
      }
      return { option, code: of(code.definition), now: of(job.definition) }
    })
    return { differences, changes }
  }
}

function following(trigger: Trigger, after: number, to: number, limit: number): number[] {
  const times: number[] = []
  try {
    let at = trigger.next(after)
    while (at !== null && at < to && times.length < limit) {
      times.push(at)
      at = trigger.next(at)
    }
  } catch {
    // A trigger that cannot be decided any further has no more to show.
  }
  return times
}

function timeOf(entry: HistoryEntry): number {
  return entry.kind === 'run' ? (entry as HistoryRun).scheduledTime : entry.last
}

/** An option as users know it, of a definition. */
function optionOf(definition: JobDefinition, option: string): unknown {
  if (option === 'lock') return definition.lockTtl === null ? false : { ttl: definition.lockTtl }
  if (option === 'timeout') return definition.timeout || null
  if (option === 'paused') return definition.pausedInitially
  return (definition as unknown as Record<string, unknown>)[option] ?? null
}

function definitionOf({ definition, trigger }: KnownJob, now: number, redact: Redaction): AdminJobDetail['definition'] {
  const { coalesce, overlap, maxInstances, maxRuns, jitter, priority, recovery, onRedisError, lockTtl, retry } =
    definition
  const { pauseAfterFailures, runOnStart, misfireGraceTime, timeout, data, schema } = definition
  const next = trigger === null ? null : trigger.next(now)
  return {
    trigger: definition.trigger,
    data: redact.data(data),
    timeout: timeout || null,
    misfireGraceTime: misfireGraceTime ?? (trigger === null || next === null ? DEFAULT_GRACE : graceOf(trigger, next)),
    ...{ coalesce, overlap, maxInstances, maxRuns, jitter, priority, recovery, onRedisError, lockTtl },
    retry: retry === null ? null : { ...retry },
    ...{ pauseAfterFailures, runOnStart },
    hasSchema: schema !== null
  }
}
