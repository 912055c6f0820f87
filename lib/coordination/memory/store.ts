import type {
  ClaimAnswer,
  ClaimMemo,
  CoordinationListener,
  HandBackAnswer,
  ReleasedLock,
  SeenReplica
} from '../../../types/coordination.js'
import type { RunProgress } from '../../../types/history.js'
import { fenceAfter } from '../claim-rules.js'
import { TakenBlocks } from './blocks.js'
import { MemoryChanges } from './changes.js'
import { MemoryHistory } from './history.js'
import { MemoryOpenRuns } from './open-runs.js'
import { MemoryPauses } from './pauses.js'
import { Queues } from './queues.js'
import { type ClaimRecord, isRemembered, type LockRecord, type Moment, type SlotRecord } from './record.js'
import { MemorySince } from './since.js'

/** What replicas share. Several coordinations over one store are several replicas in one process. */
export class MemoryStore {
  readonly jobs = new Map<string, ClaimRecord>()
  /** Locks by name. */
  readonly named = new Map<string, LockRecord>()
  readonly pauses = new MemoryPauses()
  readonly changes = new MemoryChanges(this.pauses, {
    jobOf: (runId) => {
      for (const [jobId, record] of this.jobs) {
        if (slotsOf([record]).some((slot) => slot.runId === runId && slot.isOpen)) return jobId
      }
      return null
    },
    isTaken: ({ jobId, scheduledTime }) => (this.jobs.get(jobId)?.tick ?? -1) >= scheduledTime,
    release: ({ jobId, slot }) => releaseLocks(this.jobs.get(jobId), slot)
  })
  readonly since = new MemorySince()
  readonly blocks = new TakenBlocks()
  readonly queues = new Queues()
  readonly openRuns = new MemoryOpenRuns(this.jobs, this.queues)
  readonly history = new MemoryHistory()
  /** How far runs have come, by their ids. */
  readonly progress = new Map<string, RunProgress>()
  readonly replicas = new Map<string, SeenReplica>()
  readonly listeners = new Set<CoordinationListener>()
  /** The version of the last change that each replica has heard of. */
  readonly heard = new WeakMap<CoordinationListener, number>()
  /** Each replica's last reply, should it have been lost. */
  readonly claimReplies = new WeakMap<CoordinationListener, Reply<ClaimAnswer>>()
  readonly handBackReplies = new WeakMap<CoordinationListener, Reply<HandBackAnswer>>()
  /** What definitions say that differ from others of the same job, by job and fingerprint. */
  readonly definitions = new Map<string, string>()
  fence = 0
  #sweepAt = 1000

  /** The clock was corrected by a step back, to `now`: ticks later than `floor` are still to be claimed. */
  correct(now: number, floor: number): void {
    for (const record of this.jobs.values()) {
      record.tick = Math.min(record.tick, floor)
      record.previous = Math.min(record.previous, floor)
      record.endedAt = Math.min(record.endedAt, now)
    }
    this.since.correct(floor)
    this.pauses.correct(now)
    this.blocks.clear()
  }

  /**
   * What is remembered of a job, as long as it is to be.
   *
   * @param memo where to keep it for the next time: measured, looking it up among 10,000 is a tenth of a tick
   */
  jobOf(jobId: string, { monotonic }: Moment, memo?: ClaimMemo): ClaimRecord | undefined {
    if (memo?.store === this) {
      const kept = memo.record as ClaimRecord
      // A record that was deleted is one that is not to be remembered, so that it is not found here either.
      if (isRemembered(kept, monotonic)) return kept
    }
    const record = this.jobs.get(jobId)
    if (record === undefined) return undefined
    if (!isRemembered(record, monotonic)) {
      this.jobs.delete(jobId)
      return undefined
    }
    if (memo !== undefined) {
      memo.store = this
      memo.record = record
    }
    return record
  }

  nextFence(now: number): number {
    this.fence = fenceAfter(this.fence, now)
    return this.fence
  }

  /** Forgets what has had its time, now and then, so that jobs that come and go leave nothing behind. */
  sweep(now: number): void {
    if (this.jobs.size + this.named.size + this.since.size < this.#sweepAt) return
    for (const [jobId, record] of this.jobs) if (!isRemembered(record, now)) this.jobs.delete(jobId)
    for (const [name, { expiresAt }] of this.named) if (expiresAt <= now) this.named.delete(name)
    this.since.sweep(now)
    this.#sweepAt = Math.max(1000, 2 * (this.jobs.size + this.named.size + this.since.size))
  }
}

function slotsOf(records: Iterable<ClaimRecord>): SlotRecord[] {
  return [...records].flatMap((record) => [record, ...(record.slots?.values() ?? [])])
}

/** Frees the locks of a job, or that of one slot. Its runs stay open: they have lost their locks. */
function releaseLocks(record: ClaimRecord | undefined, slot: number | null): ReleasedLock[] {
  const held = slotsOf(record === undefined ? [] : [record]).filter((each) => each.token !== '')
  const released = held.filter((each) => slot === null || each.slot === slot)
  return released.map((each) => {
    const runId = each.token
    each.token = ''
    return { slot: each.slot, runId }
  })
}

/** The answers to a call, should it be repeated under its id. */
interface Reply<Answer> {
  readonly callId: string
  readonly answers: readonly Answer[]
}
