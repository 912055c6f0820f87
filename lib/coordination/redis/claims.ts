import type { Clock } from '../../../types/clock.js'
import type { Confirmation } from '../../../types/coordination/node.js'
import type {
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  CoordinationListener,
  Ending,
  HandBackAnswer,
  HandedBack,
  ReleaseAnswer
} from '../../../types/coordination.js'
import { type RedisAnswer, readAnswers, readDiffering, unreadable } from './answers.js'
import type { RedisChanges } from './changes.js'
import type { ScriptCommands } from './commands.js'
import {
  ANSWER_UNREADABLE,
  FIELD_MARK,
  HAND_BACK_FREE,
  HAND_BACK_NOT_OURS,
  HAND_BACK_WASTED,
  NOBODY,
  RELEASE_ABANDONED,
  RELEASE_LOST,
  RELEASE_RELEASED
} from './constants.js'
import { escapeField, writeReplica } from './fields.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import type { RedisRecords } from './records.js'
import {
  writeBlocks,
  writeConfirmation,
  writeConfirmed,
  writeEndings,
  writeHandedBack,
  writeRequests
} from './requests.js'
import type { RedisServer } from './server.js'

/** How many claims go into one command. */
const CHUNK = 1000

/** What a line of finish.lua's reply begins with that says why the history is not kept. */
const TROUBLE_MARK = String.fromCharCode(127)

const RELEASE_ANSWERS: { readonly [code: number]: ReleaseAnswer } = {
  [RELEASE_LOST]: 'lost',
  [RELEASE_RELEASED]: 'released',
  [RELEASE_ABANDONED]: 'abandoned'
}

const HAND_BACK_ANSWERS: { readonly [code: number]: HandBackAnswer } = {
  [HAND_BACK_NOT_OURS]: 'not_ours',
  [HAND_BACK_FREE]: 'free',
  [HAND_BACK_WASTED]: 'wasted'
}

export interface RedisClaimsOptions {
  readonly link: RedisLink
  readonly server: RedisServer
  readonly changes: RedisChanges
  readonly commands: ScriptCommands
  readonly keys: Keys
  readonly clock: Clock
  readonly replicaId: string
  /** In milliseconds. */
  readonly maxClockSkew: number
  readonly records: RedisRecords
  readonly listener: CoordinationListener
}

/** Claims in one Redis, from the request to the end of the run. */
export class RedisClaims {
  readonly #link: RedisLink
  readonly #server: RedisServer
  readonly #changes: RedisChanges
  readonly #commands: ScriptCommands
  readonly #keys: Keys
  readonly #clock: Clock
  readonly #replica: string
  readonly #maxClockSkew: number
  readonly #records: RedisRecords
  readonly #listener: CoordinationListener
  /** The version that was known when a vote was first asked for. */
  readonly #knownOf = new WeakMap<ClaimRequest, string>()
  /** `known`: the version known when it was first made; `maybe`: whether it may have been executed when it was made before. */
  #lastCall = { id: NOBODY, sent: 0, known: '', maybe: false }

  constructor(options: RedisClaimsOptions) {
    this.#link = options.link
    this.#server = options.server
    this.#changes = options.changes
    this.#commands = options.commands
    this.#keys = options.keys
    this.#clock = options.clock
    this.#replica = writeReplica(options.replicaId)
    this.#maxClockSkew = options.maxClockSkew
    this.#records = options.records
    this.#listener = options.listener
  }

  async claim(
    requests: readonly ClaimRequest[],
    isVote: boolean,
    callId = NOBODY,
    blocks?: ClaimBlocks
  ): Promise<readonly RedisAnswer[]> {
    const keys = [this.#keys.fence, this.#keys.paused, this.#keys.handed, this.#keys.claimReply]
    if (blocks !== undefined) keys.push(this.#keys.taken(blocks.scheduledTime))
    const { templates, requests: written } = writeRequests(requests, isVote)
    const writtenBlocks = blocks === undefined ? '' : writeBlocks(blocks)
    const sent = this.#clock.monotonic()
    const known = this.#knownWhenMade(requests, isVote)
    // A lock is believed in from when it was first asked for, and the requests are of definitions as they were then.
    const isRepeated = callId !== NOBODY && callId === this.#lastCall.id
    const call = isRepeated ? this.#lastCall : { id: callId, sent, known, maybe: false }
    const args = [this.#maxClockSkew, this.#wordOf(requests), callId, call.known, templates, written, writtenBlocks]
    if (callId !== NOBODY) this.#lastCall = call
    try {
      // An answer that comes too late is dropped: the call is repeated, or what it may have claimed is taken back.
      const reply = await this.#link.exchangeDue(() => this.#commands.rlsClaim(keys.length, ...keys, ...args))
      const [micros, answers, differing, handed, taken, version] = reply
      // A repeated reply says nothing of what is new.
      if (taken === undefined) this.#link.clock.sample(sent, micros / 1000)
      else this.#link.heard(sent, micros)
      const isGranted = this.#server.noteAnswers(answers)
      // A call without an id has written nothing where nothing is granted; nor has one whose reply is repeated.
      if (taken !== undefined && (isGranted || callId !== NOBODY)) this.#link.proven()
      const read = readAnswers(requests, answers, call.sent)
      if (differing !== '') this.#tellDiffering(requests, differing)
      if (answers.includes(ANSWER_UNREADABLE)) this.#tellUnreadable(requests, read)
      if (handed.length > 0) this.#server.tellHanded(handed)
      if (blocks !== undefined && taken !== undefined) tellTaken(blocks, taken)
      if (version !== undefined) this.#changes.note(version)
      return read
    } catch (cause) {
      const error = this.#link.claimUnavailable('claim ticks', cause)
      call.maybe ||= this.#link.mayHaveBeenExecuted(cause)
      return requests.map(() => ({ status: 'unavailable', error, maybe: call.maybe }))
    }
  }

  /** The replica's word in the records of what is asked for, with who asks for a run by hand: such a request is made alone. */
  #wordOf([request]: readonly ClaimRequest[]): string {
    const by = request?.kind === 'manual' ? (request.by ?? '') : ''
    return by === '' ? this.#replica : `${this.#replica}${FIELD_MARK}B=${escapeField(by)}`
  }

  /** The version that the definitions are of which requests were made by: votes are asked for again and again. */
  #knownWhenMade(requests: readonly ClaimRequest[], isVote: boolean): string {
    const { applied } = this.#changes
    if (!isVote) return applied
    const known = requests.map((request) => this.#knownOf.get(request) ?? applied)
    for (const [index, request] of requests.entries()) this.#knownOf.set(request, known[index] as string)
    return known.reduce((first, each) => (Number(each) < Number(first) ? each : first), applied)
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const written = writeEndings(endings, this.#records.writeEntry)
    const { bounds } = this.#records
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsFinish(1, this.#keys.fence, written, ...bounds))
      // Most often nothing waits for their jobs.
      if (reply.length > endings.length) this.#readNews(reply.split('\n').slice(1))
      return endings.map((_ending, index) => RELEASE_ANSWERS[Number(reply[index])] ?? 'unavailable')
    } catch (error) {
      this.#link.unavailable('release locks', error)
      this.#records.noteLost(endings.map(({ lock }) => lock.name))
      return endings.map(() => 'unavailable')
    }
  }

  /** What is told with the ends of runs: jobs for which something waits, and why the history is not kept. */
  #readNews(lines: readonly string[]): void {
    for (const line of lines) {
      if (line.startsWith(TROUBLE_MARK)) this.#records.tellTrouble(line.slice(TROUBLE_MARK.length))
      else this.#listener.onWaiting(line)
    }
  }

  async handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const keys = [this.#keys.fence, this.#keys.handed, this.#keys.handBackReply]
    for (const { lock } of claims) keys.push(this.#keys.lock(lock), this.#keys.claim(lock.name))
    const args = claims.map(writeHandedBack)
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsHandBack(keys.length, ...keys, callId, ...args))
      const answers = claims.map((_claim, index) => HAND_BACK_ANSWERS[Number(reply[index])] ?? 'unavailable')
      for (const line of reply.split('\n').slice(1)) {
        const [number, tick] = line.split(' ').map(Number)
        if (number !== undefined && tick !== undefined) answers[number - 1] = `wasted ${tick}`
      }
      return answers
    } catch (error) {
      this.#link.unavailable('take claims back', error)
      return claims.map(() => 'unavailable')
    }
  }

  async confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    const keys = [this.#keys.fence, ...claims.map(({ jobId }) => this.#keys.claim(jobId))]
    const args = [fencingToken, ...claims.map(writeConfirmation)]
    try {
      const reply = await this.#link.exchange(() => this.#commands.rlsConfirm(keys.length, ...keys, ...args))
      return claims.map((_claim, index) => reply[index] === '1')
    } catch (error) {
      this.#link.unavailable('confirm claims', error)
      return null
    }
  }

  async adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    const written = writeConfirmed(claims)
    try {
      await this.#link.exchange(() => this.#commands.rlsAdopt(1, this.#keys.fence, this.#replica, written))
    } catch (error) {
      this.#link.unavailable('settle claims', error)
    }
  }

  async reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    const ids = live.join(' ')
    const ended = this.#link.exchange(() =>
      this.#commands.rlsFinish(1, this.#keys.fence, '', ...this.#records.bounds, until, ids)
    )
    const sent: Promise<unknown>[] = [ended.catch((error: unknown) => this.#link.unavailable('release locks', error))]
    for (let start = 0; start < claims.length; start += CHUNK) sent.push(this.adopt(claims.slice(start, start + CHUNK)))
    await Promise.all(sent)
  }

  /** Tells which jobs have a record that cannot be read. */
  tellUnreadable(jobId: string): void {
    const key = this.#keys.claim(jobId)
    this.#listener.onUnsafe(`Redis refuses the ticks of a job: ${unreadable(jobId)}; delete ${key} to let it run again`)
  }

  #tellUnreadable(requests: readonly ClaimRequest[], answers: readonly RedisAnswer[]): void {
    for (const [index, answer] of answers.entries()) {
      if (answer.status !== 'unavailable' || !answer.unreadable) continue
      this.tellUnreadable((requests[index] as ClaimRequest).jobId)
    }
  }

  #tellDiffering(requests: readonly ClaimRequest[], differing: string): void {
    for (const { index, tick, other } of readDiffering(differing)) {
      this.#listener.onDefinitionDiffers((requests[index] as ClaimRequest).jobId, tick, other)
    }
  }
}

/** @param taken of each waiting block a digit, 1 for one that is taken */
function tellTaken(blocks: ClaimBlocks, taken: string): void {
  for (let at = taken.indexOf('1'); at >= 0; at = taken.indexOf('1', at + 1)) {
    blocks.onTaken(blocks.waiting[at] as string)
  }
}
