import type { Cluster, Redis } from 'ioredis'
import type { HeldLock, OngoingRun, OpenRun, StatusRequest, StoredStatus } from '../../../types/coordination.js'
import type { RunProgress } from '../../../types/history.js'
import { readEndOfPause } from './change-text.js'
import { GROUP_SCOPE, NOBODY } from './constants.js'
import { readProgress } from './history-codec.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { type ClaimRecord, readOpenRun, readRecord, readSince, readStatusField } from './record.js'
import { writeKey } from './requests.js'

/** How many jobs go into one command. */
const CHUNK = 1000

export interface RedisStatusOptions {
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly keys: Keys
}

/** A run that goes on, with its job and what is known of its lock. */
interface Going {
  readonly jobId: string
  readonly run: OngoingRun
}

/** Reads how jobs stand in one Redis: of thousands in a few commands. Its failures are those of the connection. */
export class RedisStatus {
  readonly #client: Redis | Cluster
  readonly #link: RedisLink
  readonly #keys: Keys

  constructor({ client, link, keys }: RedisStatusOptions) {
    this.#client = client
    this.#link = link
    this.#keys = keys
  }

  async read(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    const client = this.#client
    const keys = this.#keys
    const chunks: (readonly StatusRequest[])[] = []
    for (let start = 0; start < jobs.length; start += CHUNK) chunks.push(jobs.slice(start, start + CHUNK))
    const [members, progress, pauses, ...read] = await Promise.all([
      client.zrange(keys.open, '0', '-1'),
      client.hgetall(keys.progress),
      client.hgetall(keys.pauses),
      ...chunks.map((chunk) => {
        const ids = chunk.map(({ jobId }) => jobId)
        return Promise.all([
          client.mget(ids.map((jobId) => keys.claim(jobId))),
          client.mget(ids.map((jobId) => keys.since(jobId))),
          client.hmget(keys.unlocked, ...ids),
          client.hmget(keys.paused, ...ids)
        ])
      })
    ])
    const records = new Map<string, ClaimRecord>()
    for (const [chunk, [texts]] of read.entries()) {
      for (const [index, { jobId }] of (chunks[chunk] as readonly StatusRequest[]).entries()) {
        const record = readRecord(texts[index] ?? '')
        if (record !== null) records.set(jobId, record)
      }
    }
    const going = await this.#going(jobs, members, progress, records, withLocks)
    const now = this.#link.clock.now()
    return read.flatMap(([, sinces, unlocked, paused], chunk) =>
      (chunks[chunk] as readonly StatusRequest[]).map(({ jobId, group }, index) => {
        const record = records.get(jobId) ?? null
        const ended = readStatusField(record?.status ?? unlocked[index] ?? '')
        const since = readSince(sinces[index] ?? '')
        const noted = [paused[index], pauses.all, group === '' ? null : pauses[GROUP_SCOPE + writeKey(group)]]
        const resumedAt = Math.max(...noted.map((text) => readEndOfPause(text ?? '', now)))
        const times = { since, resumedAt: resumedAt > 0 ? resumedAt : null }
        return { ...ended, ...lastOf(record), ongoing: going.get(jobId) ?? [], ...times }
      })
    )
  }

  /** The runs that go on of these jobs. */
  async #going(
    jobs: readonly StatusRequest[],
    members: readonly string[],
    progress: Readonly<Record<string, string>>,
    records: ReadonlyMap<string, ClaimRecord>,
    withLocks: boolean
  ): Promise<ReadonlyMap<string, OngoingRun[]>> {
    const asked = new Set(jobs.map(({ jobId }) => jobId))
    const open = members.flatMap((member) => {
      const run = readOpenRun(member, 0)
      return run === null || !asked.has(run.jobId) ? [] : [run]
    })
    const known = new Set(open.map(({ runId }) => runId))
    const found = open.map((run) => ({ jobId: run.jobId, run: toOngoing(run, readProgress(progress[run.runId])) }))
    // The outcome of a run may be known, so that it is not open any more, and its handler goes on under its lock.
    const told = [...records].flatMap(([jobId, record]) => toldOf(jobId, record))
    told.push(...(await this.#inSlots(records)))
    const [locked, others] = await Promise.all([
      withLocks ? this.#withLocks(found) : found,
      this.#withLocks(told.filter(({ run }) => !known.has(run.runId)))
    ])
    const going = new Map<string, OngoingRun[]>()
    for (const { jobId, run } of [...locked, ...others.filter(({ run }) => run.lockTtl !== null)]) {
      going.set(jobId, [...(going.get(jobId) ?? []), run])
    }
    return going
  }

  /** The runs that go on in slots beyond the first. */
  async #inSlots(records: ReadonlyMap<string, ClaimRecord>): Promise<Going[]> {
    const slotted = [...records].flatMap(([jobId, { slots }]) => (slots > 1 ? [jobId] : []))
    const grants = await Promise.all(slotted.map((jobId) => this.#client.hgetall(this.#keys.runs(jobId))))
    return slotted.flatMap((jobId, index) =>
      Object.values(grants[index] ?? {}).flatMap((grant) => {
        const run = readOpenRun(`${grant} ${jobId}`, 0)
        return run === null ? [] : [{ jobId, run: toOngoing(run, null) }]
      })
    )
  }

  #withLocks(found: readonly Going[]): Promise<Going[]> {
    return Promise.all(
      found.map(async ({ jobId, run }) => {
        const { runId: token, slot } = run
        const lock: HeldLock = { name: jobId, kind: 'job', token, slot, ttl: 0, validUntil: 0 }
        const key = this.#keys.lock(lock)
        const [holder, ttl] = await Promise.all([this.#client.get(key), this.#client.pttl(key)])
        return { jobId, run: { ...run, lockTtl: holder === token && ttl >= 0 ? ttl : null } }
      })
    )
  }
}

/** The run that a record says goes on. */
function toldOf(jobId: string, record: ClaimRecord): Going[] {
  const { runId, endedAt, startedAt } = record
  if (endedAt !== 0 || startedAt === 0 || runId === NOBODY) return []
  const { last } = lastOf(record)
  return last === null ? [] : [{ jobId, run: { ...last, lockTtl: null, progress: null } }]
}

export function toOngoing(run: OpenRun, progress: RunProgress | null): OngoingRun {
  const { runId, replicaId, fencingToken, scheduledTime, startedAt, attempt, slot, by } = run
  return {
    runId,
    replicaId,
    fencingToken,
    scheduledTime,
    startedAt,
    attempt: Math.max(1, attempt),
    slot,
    lockTtl: null,
    progress,
    ...(by === undefined ? {} : { by })
  }
}

function lastOf(record: ClaimRecord | null): Pick<StoredStatus, 'last' | 'lastEnd'> {
  if (record === null || record.startedAt === 0) return { last: null, lastEnd: null }
  const { runId, replicaId, fencingToken, runTick: scheduledTime, startedAt, attempt, endedAt } = record
  const last = { runId, replicaId, fencingToken, scheduledTime, startedAt, attempt: Math.max(1, attempt), slot: 1 }
  return { last, lastEnd: endedAt === 0 ? null : endedAt }
}
