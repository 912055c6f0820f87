import type { Clock, TimerHandle } from '../../../types/clock.js'
import type { CoordinationNode } from '../../../types/coordination/node.js'
import type {
  Change,
  ChangeAnswer,
  ChangeRequest,
  CoordinationListener,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  ReleaseAnswer
} from '../../../types/coordination.js'
import { MINUTE, SECOND } from '../../base/duration.js'
import { scopeOf } from '../../base/scopes.js'
import type { Voter } from './ballot.js'

/** How many unheard releases are remembered for a node: any beyond that end with their TTL. */
const MAX_UNHEARD = 10_000

/**
 * For how long after the end of its lock an unheard release is remembered: a node that hung may set the lock of a run that
 * is long over when it goes on, and for its whole TTL.
 */
const REMEMBER_UNHEARD = 10 * MINUTE

/** How soon a node that is up is told again what it has not heard. */
const TELL_AGAIN = SECOND / 2

/** How many unheard releases go into one call. */
const BATCH = 256

/** What a node tells its quorum, apart from going up and down. */
export type NodeListener = Omit<CoordinationListener, 'onUp' | 'onDown' | 'onChanges'> & {
  onChangesOf(member: object, changes: readonly Change[], isComplete: boolean): void
}

/** One of several masters, before it is opened. */
export interface Master {
  /** Where it is, without credentials; `''` for one that is nowhere. */
  readonly address: string
  connect(listener: CoordinationListener): CoordinationNode
}

/** A change that the masters are told, and the time that counts on all of them. */
export interface Sent {
  readonly request: ChangeRequest
  readonly at: number
}

/** What a node was told and has not confirmed to have heard: to let go of something. */
type UnheardRelease =
  | { readonly kind: 'finish'; readonly lock: HeldLock; readonly ending: Ending }
  | { readonly kind: 'handBack'; readonly lock: HeldLock; readonly claim: HandedBack }
  | { readonly kind: 'release'; readonly lock: HeldLock }

/**
 * One node of a quorum, with what it could not be told while it did not answer. A majority may have decided without it; it
 * is told when it comes back, so that the next node to fail may be another one.
 */
export class Member implements Voter {
  readonly node: CoordinationNode
  /** Where it is, for a log: ` at ` and its address; `''` for one that is nowhere. */
  readonly at: string
  silent = false
  /** Whether it has ever been up, so that its clock is known. */
  isMeasured = false
  /** Called when the node has released a lock of which it had not heard before. */
  onReleased: (lock: HeldLock) => void = () => {}
  /** Why the node is not up; `null` while it is, and before anything is known. */
  trouble: Error | null = null
  /** Whether it is not up because it refuses what it is asked. */
  refuses = false
  readonly #clock: Clock
  readonly #onChange: () => void
  readonly #unheard = new Map<string, UnheardRelease>()
  /** Changes that it has not heard of, by what they are of. */
  readonly #changes = new Map<string, Sent>()
  /** What the node was told to let go of, and how, without an answer yet: a node that hangs may do so at any time. */
  readonly #lettingGo = new Map<string, UnheardRelease['kind']>()
  #isCatchingUp = false
  #catchUpTimer: TimerHandle | null = null
  #closed = false
  #calls = 0

  /** @param onChange called when the node came up or went down */
  constructor({ address, connect }: Master, clock: Clock, listener: NodeListener, onChange: () => void) {
    this.#clock = clock
    this.#onChange = onChange
    this.at = address === '' ? '' : ` at ${address}`
    this.node = connect({
      ...listener,
      onUp: () => {
        this.isMeasured = true
        this.trouble = null
        this.silent = false
        onChange()
        void this.catchUp()
        listener.onPast()
      },
      onDown: (error, refuses = false) => this.noteTrouble(error, refuses),
      onChanges: (changes, isComplete) => listener.onChangesOf(this, changes, isComplete),
      onUnsafe: (reason) => listener.onUnsafe(address === '' ? reason : `${address}: ${reason}`)
    })
  }

  /** The node is down: why, and whether it refuses. */
  noteTrouble(error: Error, refuses: boolean): void {
    this.trouble = error
    this.refuses = refuses
    this.#onChange()
  }

  async finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    for (const { lock, keepsLock } of endings) if (!keepsLock) this.#lettingGo.set(keyOf(lock), 'finish')
    const answers = await this.node.finish(endings)
    for (const [index, ending] of endings.entries()) {
      if (ending.keepsLock) continue
      this.#noteAnswer(answers[index] !== 'unavailable', { kind: 'finish', lock: ending.lock, ending })
    }
    this.#catchUpIf(answers[0] !== 'unavailable')
    return answers
  }

  async handBack(claims: readonly HandedBack[]): Promise<readonly HandBackAnswer[]> {
    const keys = claims.map(({ lock }) => keyOf(lock))
    for (const key of keys) this.#lettingGo.set(key, 'handBack')
    // Each call has an id of its own: after a lost reply the node's second answer is but one vote of several.
    const answers = await this.node.handBack(claims, `${keys[0]} ${++this.#calls}`.replaceAll(' ', '-'))
    const answered = !answers.includes('unavailable')
    for (const claim of claims) this.#noteAnswer(answered, { kind: 'handBack', lock: claim.lock, claim })
    this.#catchUpIf(answered)
    return answers
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    this.#lettingGo.set(keyOf(lock), 'release')
    const answer = await this.node.release(lock)
    this.#noteAnswer(answer !== 'unavailable', { kind: 'release', lock })
    this.#catchUpIf(answer !== 'unavailable')
    return answer
  }

  /** Makes a change. Where that fails it is tried again once the node answers, unless there is a later one of the same by then. */
  async change(sent: Sent): Promise<ChangeAnswer | Error> {
    const key = scopeOf(sent.request)
    const known = this.#changes.get(key)
    // A command is of no use once it is late.
    if (key !== '' && (known === undefined || known.at <= sent.at)) this.#changes.set(key, sent)
    try {
      const answer = await this.node.changeAt(sent.request, sent.at)
      if (this.#changes.get(key) === sent) this.#changes.delete(key)
      return answer
    } catch (error) {
      return error as Error
    }
  }

  /** No majority has heard of a change, so that it is not tried again. */
  forgetChange(sent: Sent): void {
    for (const [key, kept] of this.#changes) if (kept === sent) this.#changes.delete(key)
  }

  /**
   * Whether the node was told to let go of a lock or claim and has not answered. Until it has, it is not asked for the same
   * again: it could let go of what it would grant.
   */
  isLettingGo(name: string, token: string): boolean {
    return this.#lettingGo.has(keyOf({ name, token }))
  }

  /** Whether it was told to let go because the run has ended: the tick stays claimed. */
  isEnding(name: string, token: string): boolean {
    return this.#lettingGo.get(keyOf({ name, token })) === 'finish'
  }

  #noteAnswer(answered: boolean, release: UnheardRelease): void {
    const key = keyOf(release.lock)
    this.#unheard.delete(key)
    if (answered) {
      this.#lettingGo.delete(key)
      return
    }
    this.#unheard.set(key, release)
    this.#catchUpLater()
    if (this.#unheard.size > MAX_UNHEARD) this.#forget(this.#unheard.keys().next().value as string)
  }

  #forget(key: string): void {
    this.#unheard.delete(key)
    this.#lettingGo.delete(key)
  }

  #catchUpIf(answers: boolean): void {
    if (answers && this.#unheard.size + this.#changes.size > 0) void this.catchUp()
  }

  /** The node is told again until it has heard, and not only when it comes up or answers something else. */
  #catchUpLater(): void {
    if (this.#closed) return
    this.#catchUpTimer ??= this.#clock.setTimeout(async () => {
      this.#catchUpTimer = null
      if (this.node.state.up) await this.catchUp()
      if (this.#unheard.size > 0) this.#catchUpLater()
    }, TELL_AGAIN)
  }

  /** Tells the node once more what it has not heard, and closes it. */
  async close(): Promise<void> {
    this.#closed = true
    this.#catchUpTimer?.cancel()
    if (this.node.state.up) await this.catchUp()
    await this.node.close()
  }

  /** Tells the node what it has not heard. */
  async catchUp(): Promise<void> {
    if (this.#isCatchingUp) return
    this.#isCatchingUp = true
    for (const sent of [...this.#changes.values()]) await this.change(sent)
    let answered = true
    for (let batch = this.#nextBatch(); answered && batch.length > 0; batch = answered ? this.#nextBatch() : []) {
      answered = await this.#send(batch)
    }
    this.#isCatchingUp = false
  }

  /** Unheard releases of one kind, which go into one call. */
  #nextBatch(): readonly UnheardRelease[] {
    const now = this.#clock.monotonic()
    const batch: UnheardRelease[] = []
    for (const [key, release] of this.#unheard) {
      const isOver = release.lock.validUntil + REMEMBER_UNHEARD <= now
      if (!isOver && batch.length > 0 && release.kind !== batch[0]?.kind) continue
      if (isOver) this.#forget(key)
      else batch.push(release)
      if (batch.length === BATCH || batch[0]?.kind === 'release') break
    }
    return batch
  }

  /**
   * Sends a batch. What the node does not answer for it has not heard.
   *
   * @returns whether it answered
   */
  async #send(batch: readonly UnheardRelease[]): Promise<boolean> {
    const finish = batch.flatMap((release) => (release.kind === 'finish' ? [release.ending] : []))
    const handBack = batch.flatMap((release) => (release.kind === 'handBack' ? [release.claim] : []))
    if (handBack.length > 0) return !(await this.handBack(handBack)).includes('unavailable')
    const answers =
      finish.length > 0 ? await this.finish(finish) : [await this.release((batch[0] as UnheardRelease).lock)]
    for (const [index, { lock }] of batch.entries()) if (answers[index] === 'released') this.onReleased(lock)
    return answers[0] !== 'unavailable'
  }
}

/** Identifies a lock among those of one node or quorum. */
export function keyOf({ name, token }: Pick<HeldLock, 'name' | 'token'>): string {
  return `${token} ${name}`
}

/** Two members that are one server, by the id of its process: ` at one and at other`; `null` where none are known to be. */
export function findSameServer(members: readonly Member[]): string | null {
  const places = new Map<string, string>()
  for (const { node, at } of members) {
    const { runId } = node.state
    const other = runId ? places.get(runId) : undefined
    if (other !== undefined) return `${other} and${at}`
    if (runId) places.set(runId, at)
  }
  return null
}
