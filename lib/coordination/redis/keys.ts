import { randomBytes } from 'node:crypto'
import type { Fingerprint, HeldLock } from '../../../types/coordination.js'
import {
  KEY_CHANGES,
  KEY_CLAIM,
  KEY_DEFINITION,
  KEY_FENCE,
  KEY_HANDED,
  KEY_LOCK,
  KEY_NAMED_LOCK,
  KEY_OPEN,
  KEY_PAUSED,
  KEY_PAUSES,
  KEY_PROBE,
  KEY_PROGRESS,
  KEY_REPLICAS,
  KEY_REPLY,
  KEY_REQUESTS,
  KEY_RESULT,
  KEY_RUNS,
  KEY_SINCE,
  KEY_SLOT,
  KEY_TAKEN,
  KEY_UNLOCKED,
  KEY_VERSION,
  KEY_WAITING
} from './constants.js'

/**
 * The keys of an app in Redis: all that the fleet shares. The names are in lua/constants.lua. Scripts make the keys of jobs
 * themselves, of the same names.
 *
 * All begin with `rls:{prefix}:`. The braces put them into one slot of a Cluster, where one script can use them all. Where
 * an id stands in a key it is the last part, as it may hold any character. Times are in milliseconds since the Unix epoch,
 * by Redis' clock.
 *
 * | key | type: what it holds | written by | lives |
 * |---|---|---|---|
 * | `fence` | string: the last fencing token of any run or named lock | claim, acquire, confirm | for ever |
 * | `claim:<job>` | string: the job's record, see record.ts | claim, finish, hand back, confirm, adopt, since | as long as its trigger needs it |
 * | `lock:<job>` | string: the id of the run that holds the job's lock | claim, extend, finish, hand back, restore | the lock's TTL |
 * | `slot:<slot>:<job>` | string: the id of the run that holds another slot of the job, from 2 on | as `lock:<job>` | the lock's TTL |
 * | `runs:<job>` | hash: slot, from 2 on, to its run, as in `claim:<job>` | claim, finish, hand back, abandon | as `claim:<job>` |
 * | `queue:<job>` | sorted set: what waits for a slot of the job, see queue.lua, by when it came | claim, enqueue, hand back | 7 days after the last that came |
 * | `requests:<job>` | hash: request by hand to JSON of what it brought (`data`, `isAwaited`) | enqueue; taken away by finish, abandon | the same |
 * | `result:<request>` | string: JSON of how the run of a request ended, for who waits for it | writeResult | 10 minutes |
 * | `waiting` | sorted set: the jobs for which something waits | claim, enqueue, hand back | 7 days after the last that came |
 * | `waits` | string: `1` while there is anything in `waiting` | the same | the same |
 * | `named:<name>` | string: the token that holds a lock by name | acquire, extend, release, restore | the lock's TTL |
 * | `open` | sorted set: runs that have begun and not ended, see record.ts, by when their lock ends | claim, adopt, finish, hand back, look, abandon, reopen | 7 days after the last look |
 * | `abandoned:<run>` | string: the call that recorded the run as abandoned, and how it stood in `open` | abandon, reopen | 7 days |
 * | `paused` | hash: job to its pause. `{...}` is a pause by an operator (its entry in `changes`; of a build before those JSON with note, replicaId, at), `-<time>` its end, `-` a resumption of what was not paused; `{}` is a pause by code, `-<time>~` its end | change, claim, pauses | for ever |
 * | `pauses` | hash: `all` or `group:<name>` to the pause of all jobs or of a group, as in `paused` | change | for ever |
 * | `skips` | hash: `tick job` of a tick that has no run, to its change as in `changes` | change | 7 days from the tick on, as of the next change |
 * | `overrides` | hash: job to what differs from its code, or to its reset: a change as in `changes` | change | for ever |
 * | `standing` | string: what claims are to look at: `p` for `pauses`, `s` for `skips`, `o` for overrides in `changed` | change | for ever |
 * | `version` | string: how many changes there have been, by which a replica knows what it has missed | change | for ever |
 * | `changes` | stream: `<version>-0` to JSON of a change in `c` | change | the last 1000 |
 * | `changed` | hash: scope, which is `all`, `group:<name>`, `job:<job>` or `override:<job>`, to its last change as in `changes` | change | for ever |
 * | `change:<id>` | string: a change as in `changes`, should it be asked for again | change | a day |
 * | `handed` | hash: job to `tick run time` of a claim that was handed back; DEL and a run to `-1 run time` of what is to replace it | hand back, claim; taken away by claim, finish, abandon | a day |
 * | `since:<job>` | string: `time trigger`, since when the fleet has had the job with this trigger | since, claim, adopt | as long as a claim; 7 days from the first one |
 * | `dates:<job>` | hash: trigger of a date that was claimed beside other ticks to the run, or `-` | claim, hand back | 35 days |
 * | `taken:<tick>` | set: the names of the blocks all of whose jobs have this tick taken | claim, hand back | a minute |
 * | `definition:<trigger>.<options>:<job>` | string: JSON of a definition, for a replica that has another one | shareDefinition | a day |
 * | `reply:<replica>:<random>` | string: `call answers` of this process' last call of claim; with `:handed` after it, of hand back, with `:noted` of note | claim, hand back, note | an hour |
 * | `history:<job>` | stream: one entry a run, JSON in the field `e`, see history-codec.ts | finish, abandon, note | what the option `history` says, and up to an hour more |
 * | `ticks:<job>` | sorted set: ranges of ticks that had no run, see history.lua, by the first; 1,000 at most | note | the same |
 * | `unlocked` | hash: job to how its runs without a lock have ended, as in the field `e` | note | for ever |
 * | `progress` | hash: run to JSON of how far it has come | writeProgress; taken away by that and abandon | a day after the last |
 * | `replicas` | hash: replica to when it was last heard of, and JSON of what it says of itself | beat | a minute after the last |
 * | `probe`, `probe:hash`, `probe:set`, `probe:sorted`, `probe:stream` | of each type one, to try what may be done | time, probe | a second |
 *
 * Fields of words of a record, see fields.ts:
 *
 * | field | what it holds |
 * |---|---|
 * | `v` of a run | the version of the layout under which it began |
 * | `s` of a run | the slot it has, from 2 on; it comes right after `v` |
 * | `K` of a run | its concurrency key, escaped |
 * | `B` of a run | who has asked for it by hand, escaped |
 * | `Q` of a run | the request by hand that it is for, which has waited |
 * | `n` of a job | how many slots runs of it have had: those of a replica that defines it with more count for all |
 * | `c` of a job | how many runs of it have begun, for `maxRuns` |
 * | `b` of a job | when the last run in another slot than the first began that has ended |
 * | `e` of a job | how its runs have ended, see status.lua; always the last one |
 *
 * Places that are reserved. Nothing writes them yet, and nothing else is to be put there:
 *
 * | place | type: what it is to hold | lives |
 * |---|---|---|
 * | `schedules` | hash: id to JSON of a job that is kept in the store | until it is removed |
 * | `definitions` | hash: job to JSON of its definition as published, with its fingerprint and when it was last seen | 7 days after no replica has it |
 */
export class Keys {
  readonly fence: string
  readonly paused: string
  readonly pauses: string
  /** The feed of changes. */
  readonly changes: string
  /** The version of the last change. */
  readonly version: string
  readonly handed: string
  readonly open: string
  /** The jobs for which something waits. */
  readonly waiting: string
  /** This process' last reply to a claim. */
  readonly claimReply: string
  /** This process' last reply to a hand-back. */
  readonly handBackReply: string
  /** This process' last reply to a note. */
  readonly noteReply: string
  readonly unlocked: string
  readonly progress: string
  readonly replicas: string
  readonly probe: string
  /** One more of each type that the probe tries. */
  readonly probes: readonly string[]
  readonly #base: string

  constructor(prefix: string, replicaId: string) {
    this.#base = `rls:{${prefix}}:`
    this.fence = this.#base + KEY_FENCE
    this.paused = this.#base + KEY_PAUSED
    this.pauses = this.#base + KEY_PAUSES
    this.changes = this.#base + KEY_CHANGES
    this.version = this.#base + KEY_VERSION
    this.handed = this.#base + KEY_HANDED
    this.open = this.#base + KEY_OPEN
    this.waiting = this.#base + KEY_WAITING
    // Two processes may have been given one id.
    this.claimReply = `${this.#base}${KEY_REPLY}${replicaId}:${randomBytes(6).toString('hex')}`
    this.handBackReply = `${this.claimReply}:handed`
    this.noteReply = `${this.claimReply}:noted`
    this.unlocked = this.#base + KEY_UNLOCKED
    this.progress = this.#base + KEY_PROGRESS
    this.replicas = this.#base + KEY_REPLICAS
    this.probe = this.#base + KEY_PROBE
    this.probes = [this.probe, ...['hash', 'set', 'sorted', 'stream'].map((type) => `${this.probe}:${type}`)]
  }

  claim(jobId: string): string {
    return this.#base + KEY_CLAIM + jobId
  }

  since(jobId: string): string {
    return this.#base + KEY_SINCE + jobId
  }

  jobLock(jobId: string): string {
    return this.#base + KEY_LOCK + jobId
  }

  lock({ kind, name, slot = 1 }: HeldLock): string {
    if (kind === 'named') return this.namedLock(name)
    return slot <= 1 ? this.jobLock(name) : `${this.#base}${KEY_SLOT}${slot}:${name}`
  }

  namedLock(name: string): string {
    return this.#base + KEY_NAMED_LOCK + name
  }

  /** The runs in slots of a job beyond the first. */
  runs(jobId: string): string {
    return this.#base + KEY_RUNS + jobId
  }

  /** What requests by hand have brought that wait, or whose run goes on. */
  requests(jobId: string): string {
    return this.#base + KEY_REQUESTS + jobId
  }

  /** The result of a request's run. */
  result(requestId: string): string {
    return this.#base + KEY_RESULT + requestId
  }

  /** The blocks that are taken at a tick. */
  taken(scheduledTime: number): string {
    return this.#base + KEY_TAKEN + scheduledTime
  }

  definition({ trigger, options }: Fingerprint, jobId: string): string {
    return `${this.#base}${KEY_DEFINITION}${trigger}.${options}:${jobId}`
  }
}
