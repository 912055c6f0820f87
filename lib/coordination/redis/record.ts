import type { OpenRun, StoredStatus } from '../../../types/coordination.js'
import { readField, readReplica, readSlot, withoutFields } from './fields.js'

// What Redis has of a job, `claim:<id>`: its last claimed tick and its last granted run, in words with spaces between.
// lua/shared/record.lua reads and writes the same.
//
//     tick previous claimedBy endedAt runId fencingToken startedAt replica runTick attempt definition
//
// tick          the last claimed one, in milliseconds since the Unix epoch; -1 before the first
// previous      the one before it, should the claim be handed back; -1 for none
// claimedBy     the request that claimed it, so that a request whose reply was lost can be repeated; NOBODY once its run has
//               ended. It begins with UNCONFIRMED_MARK for a vote, until the claim is confirmed, and with
//               SETTLED_MARK once its tick has waited, and does so no more
// endedAt       when the run ended; 0 while it goes on
// runId         NOBODY for a job that has had no run, GIVEN_UP for one whose takeover was given up before it began
// fencingToken
// startedAt
// replica       that of the run, with the run's fields
// runTick       the tick of the run; it may be an earlier one than `tick`
// attempt       1, and one more each time that the run is taken over; 0 when nobody is to take it over
// definition    `trigger.options` of the replica that claimed last, with the job's fields. The trigger begins with DATE_MARK
//               for a date
//
// Runs that have begun and not ended stand in `open`, a sorted set by when their lock ends unless it is extended:
//
//     runId fencingToken startedAt replica runTick attempt jobId
//
// as in the record, so that one is known by the other. A record knows its job's last run only; one that has lost its lock to
// the next is still there.

/** A job's record. */
export interface ClaimRecord {
  readonly tick: number
  readonly previous: number
  readonly claimedBy: string
  readonly endedAt: number
  readonly runId: string
  readonly fencingToken: number
  readonly startedAt: number
  readonly replicaId: string
  readonly runTick: number
  readonly attempt: number
  readonly trigger: string
  readonly options: string
  /** How many runs have begun, as far as they are counted. */
  readonly runs: number
  /** How many slots runs of it have had. */
  readonly slots: number
  /** How its runs have ended: the job's field `e`, `''` for none. */
  readonly status: string
}

const RECORD = /^(-?\d+) (-?\d+) (\S+) (\d+) (\S+) (\d+) (\d+) (\S+) (-?\d+) (\d+) ([^\s.]+)\.(\S+)$/

/** `null` for what is no record. */
export function readRecord(text: string): ClaimRecord | null {
  const words = RECORD.exec(text)
  if (words === null) return null
  const [, tick, previous, claimedBy = '', endedAt, runId = '', fencingToken, startedAt, replica = ''] = words
  const [runTick, attempt, trigger = '', options = ''] = words.slice(9)
  return {
    tick: Number(tick),
    previous: Number(previous),
    claimedBy,
    endedAt: Number(endedAt),
    runId,
    fencingToken: Number(fencingToken),
    startedAt: Number(startedAt),
    replicaId: readReplica(replica),
    runTick: Number(runTick),
    attempt: Number(attempt),
    trigger,
    options: withoutFields(options),
    runs: Number(/;c=(\d+)/.exec(options)?.[1] ?? 0),
    slots: Number(/;n=(\d+)/.exec(options)?.[1] ?? 1),
    status: /;e=[^;]*/.exec(options)?.[0] ?? ''
  }
}

/** How the runs of a job have ended, as in lua/shared/status.lua; `text` begins with the mark of a field. */
export function readStatusField(text: string): Pick<StoredStatus, 'lastSuccess' | 'failures' | 'longest' | 'firstEnd'> {
  const words = /^;e=(\d+)\/(\d+)\/(\d+)\/(\d+)$/.exec(text)
  if (words === null) return { lastSuccess: null, failures: 0, longest: 0, firstEnd: null }
  const [success = 0, failures = 0, longest = 0, first = 0] = words.slice(1).map(Number)
  return { lastSuccess: success === 0 ? null : success, failures, longest, firstEnd: first }
}

/** Since when the fleet has had a job, as in lua/shared/since-note.lua; `null` for what is no such note. */
export function readSince(text: string): number | null {
  const [, at] = /^(-?\d+) \S+$/.exec(text) ?? []
  return at === undefined ? null : Number(at)
}

const OPEN_RUN = /^(\S+) (\d+) (\d+) (\S+) (-?\d+) (\d+) (.+)$/s

/**
 * A run as it stands among those that are open; `null` for what is none.
 *
 * @param lockedUntil until when it was to have its lock
 */
export function readOpenRun(member: string, lockedUntil: number): OpenRun | null {
  const words = OPEN_RUN.exec(member)
  if (words === null) return null
  const [, runId = '', fencingToken, startedAt, replica = '', scheduledTime, attempt, jobId = ''] = words
  return {
    runId,
    jobId,
    replicaId: readReplica(replica),
    fencingToken: Number(fencingToken),
    scheduledTime: Number(scheduledTime),
    startedAt: Number(startedAt),
    attempt: Number(attempt),
    lockedUntil,
    slot: readSlot(replica),
    ...byIn(replica)
  }
}

/** Who has asked for a run by hand, by the word of its replica. */
export function byIn(replica: string): { readonly by?: string } {
  const by = readField(replica, 'B')
  return by === '' ? {} : { by }
}
