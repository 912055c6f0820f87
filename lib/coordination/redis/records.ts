import type { Cluster, Redis } from 'ioredis'
import type {
  CoordinationListener,
  HistoryBounds,
  HistoryFact,
  Records,
  ReplicaReport,
  RunReport,
  SeenReplica,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail
} from '../../../types/coordination.js'
import type { HistoryRun, RunProgress } from '../../../types/history.js'
import { DAY, HOUR, MINUTE } from '../../base/duration.js'
import { RedisUnavailableError } from '../../errors.js'
import { forgottenUntil, onePerRun } from '../history-rules.js'
import type { ScriptCommands } from './commands.js'
import { readProgress, readRun, readShortRun, readTicks, writeProgress, writeRun, writeTicks } from './history-codec.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { readOpenRun, readRecord, readSince } from './record.js'
import { messageOf } from './refusals.js'
import { writeReport } from './requests.js'
import { RedisStatus, toOngoing } from './status.js'

/** How often it is told anew for how long a job's history is kept. */
const SWEEP_EVERY = HOUR

/** How many entries of tails one call reads at most: some milliseconds of Redis. */
const MAX_TAIL_ENTRIES = 3000

/** How many runs of a job are read where no history is kept any more. */
const DEFAULT_BOUNDS: HistoryBounds = { runs: 100, retention: 7 * DAY }

export interface RedisRecordsOptions {
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly commands: ScriptCommands
  readonly keys: Keys
  readonly replicaId: string
  readonly bounds: HistoryBounds | null
  readonly listener: CoordinationListener
}

/** What became of ticks, and how jobs and replicas stand, in one Redis. */
export class RedisRecords implements Records {
  readonly #options: RedisRecordsOptions
  readonly #status: RedisStatus
  /** The jobs for which it was told within the last hour how long their history is kept. */
  readonly #swept = new Set<string>()
  #sweptSince = Number.NEGATIVE_INFINITY
  #calls = 0
  #lastNote: { readonly facts: readonly HistoryFact[]; readonly id: string } | null = null

  constructor(options: RedisRecordsOptions) {
    this.#options = options
    this.#status = new RedisStatus(options)
  }

  get bounds(): readonly [runs: string, retention: string] {
    const { runs, retention } = this.#options.bounds ?? DEFAULT_BOUNDS
    return [`${runs}`, `${retention}`]
  }

  /** What the history keeps of a run, as the scripts take it. */
  readonly writeEntry = (run: HistoryRun): string => {
    const now = this.#options.link.clock.now()
    if (now - this.#sweptSince >= SWEEP_EVERY || now < this.#sweptSince) {
      this.#swept.clear()
      this.#sweptSince = now
    }
    const { jobId } = run
    const isSwept = this.#swept.has(jobId)
    if (!isSwept) this.#swept.add(jobId)
    return isSwept ? writeRun(run) : `!${writeRun(run)}`
  }

  /** It is not known whether entries of these jobs' runs were written: with the next one it is told anew how long they are kept. */
  noteLost(jobIds: Iterable<string>): void {
    for (const jobId of jobIds) this.#swept.delete(jobId)
  }

  /** The store may have lost its data. */
  forget(): void {
    this.#swept.clear()
  }

  /** The history could not be kept. */
  tellTrouble(reason: string): void {
    this.#options.listener.onUnsafe(`Redis refuses what the history of jobs needs: ${reason}`)
  }

  async note(facts: readonly HistoryFact[]): Promise<boolean> {
    const { link, commands, keys, replicaId } = this.#options
    // The same facts again are a call that is repeated, as its reply was lost.
    const isRepeated = this.#lastNote?.facts === facts
    const id = isRepeated && this.#lastNote !== null ? this.#lastNote.id : `${replicaId}-${++this.#calls}`
    this.#lastNote = { facts, id }
    const args = facts.map((fact) => this.#writeFact(fact))
    try {
      const reply = await link.exchange(() =>
        commands.rlsNote(2, keys.fence, keys.noteReply, id, ...this.bounds, ...args)
      )
      if (reply !== '') this.tellTrouble(reply)
      return true
    } catch {
      this.noteLost(facts.flatMap((fact) => (fact.kind === 'run' ? [fact.jobId] : [])))
      return false
    }
  }

  async readHistory(jobId: string): Promise<StoredHistory> {
    const { commands, keys } = this.#options
    const [limit] = this.bounds
    const reply = await this.#ask('read the history', () => commands.rlsHistory(1, keys.fence, jobId, limit))
    if (typeof reply[0] === 'string') throw new RedisUnavailableError('read the history', reply[0])
    const [entries, members, recordText, since, open, progress, waiting, now] = reply
    const runs = entries.map((text) => readRun(jobId, text))
    const ticks = members.map((member) => readTicks(jobId, member))
    const bounds = this.#options.bounds ?? DEFAULT_BOUNDS
    const oldest = now - bounds.retention
    const read = onePerRun(runs.filter((run) => run !== null))
    const ranges = ticks.filter((range) => range !== null)
    const record = readRecord(recordText)
    return {
      runs: read.filter((run) => (run.finishedAt ?? now) >= oldest),
      ticks: ranges.filter((range) => range.last >= oldest),
      forgottenUntil: forgottenUntil(runs, ranges, bounds, now),
      ongoing: open.flatMap((member, index) => {
        const run = readOpenRun(member, 0)
        return run === null ? [] : [toOngoing(run, readProgress(progress[index]))]
      }),
      claimedUntil: record === null || record.tick < 0 ? null : record.tick,
      since: readSince(since),
      waiting: waiting === '' ? null : Number(waiting),
      unreadable: [...runs, ...ticks].filter((entry) => entry === null).length
    }
  }

  async readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    const { commands, keys, link, bounds } = this.#options
    const size = Math.max(1, Math.floor(MAX_TAIL_ENTRIES / count))
    const chunks: (readonly string[])[] = []
    for (let start = 0; start < jobIds.length; start += size) chunks.push(jobIds.slice(start, start + size))
    const replies: (readonly string[])[] = []
    // One after the other: claims are answered in between.
    for (const chunk of chunks) {
      replies.push(
        ...(await this.#ask('read the history', () => commands.rlsTails(1, keys.fence, `${count}`, ...chunk)))
      )
    }
    const oldest = link.clock.now() - (bounds ?? DEFAULT_BOUNDS).retention
    return jobIds.map((jobId, index) => {
      const [entries = [], members = []] = replies.slice(2 * index, 2 * index + 2)
      const runs: HistoryRun[] = []
      for (let at = 0; at < entries.length; at += 2) {
        const run = readShortRun(jobId, entries[at] as string, entries[at + 1] as string)
        if (run !== null && (run.finishedAt ?? oldest) >= oldest) runs.push(run)
      }
      const ticks = members.map((member) => readTicks(jobId, member)).filter((range) => range !== null)
      return { runs: onePerRun(runs), ticks: ticks.filter(({ last }) => last >= oldest) }
    })
  }

  readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    return this.#ask('read how jobs stand', () => this.#status.read(jobs, withLocks))
  }

  async writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    const { client, link, keys } = this.#options
    const written = [...progress].flatMap(([runId, each]) => (each === null ? [] : [runId, writeProgress(each)]))
    const ended = [...progress].flatMap(([runId, each]) => (each === null ? [runId] : []))
    try {
      await link.exchange(() =>
        Promise.all([
          ...(written.length > 0 ? [client.hset(keys.progress, ...written), client.pexpire(keys.progress, DAY)] : []),
          ...(ended.length > 0 ? [client.hdel(keys.progress, ...ended)] : [])
        ])
      )
      return true
    } catch {
      return false
    }
  }

  async beat(report: ReplicaReport | null): Promise<void> {
    const { client, link, keys, replicaId } = this.#options
    try {
      await link.exchange(async () => {
        if (report === null) return await client.hdel(keys.replicas, replicaId)
        const value = `${Math.round(link.clock.now())} ${JSON.stringify(report)}`
        return await Promise.all([client.hset(keys.replicas, replicaId, value), client.pexpire(keys.replicas, MINUTE)])
      })
    } catch {
      // It is said again.
    }
  }

  async readReplicas(): Promise<readonly SeenReplica[]> {
    const { client, link, keys } = this.#options
    const fields = await this.#ask('read the replicas', () => client.hgetall(keys.replicas))
    const now = link.clock.now()
    const gone: string[] = []
    const replicas = Object.entries(fields).flatMap(([replicaId, text]) => {
      const replica = readReplicaReport(text)
      if (replica !== null && replica.seenAt >= now - MINUTE) return [replica]
      gone.push(replicaId)
      return []
    })
    if (gone.length > 0) void link.exchange(() => client.hdel(keys.replicas, ...gone)).catch(() => {})
    return replicas
  }

  /**
   * One exchange whose failure is an error to the caller, and says nothing of whether claims can be had.
   *
   * @throws RedisUnavailableError
   */
  async #ask<Value>(what: string, send: () => Promise<Value>): Promise<Value> {
    try {
      return await this.#options.link.exchange(send)
    } catch (error) {
      throw new RedisUnavailableError(what, messageOf(error))
    }
  }

  #writeFact(fact: HistoryFact): string {
    if (fact.kind === 'ticks') return writeTicks(fact.ticks)
    const { jobId, report, isCorrection } = fact
    return `${isCorrection ? 'c' : 'r'} ${writeReport(report)} ${jobId}\n${this.#entryOf(report)}`
  }

  #entryOf({ entry }: RunReport): string {
    return entry === null ? '' : this.writeEntry(entry)
  }
}

function readReplicaReport(text: string): SeenReplica | null {
  const [, seenAt, json] = /^(\d+) (.+)$/s.exec(text) ?? []
  try {
    return json === undefined ? null : { ...(JSON.parse(json) as ReplicaReport), seenAt: Number(seenAt) }
  } catch {
    return null
  }
}
