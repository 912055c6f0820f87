import type { Clock, TimerHandle } from '../../../types/clock.js'
import type { CoordinationNode } from '../../../types/coordination/node.js'
import type {
  CoordinationListener,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  ReleaseAnswer
} from '../../../types/coordination.js'
import { MINUTE, SECOND } from '../../base/duration.js'
import type { Voter } from './ballot.js'

/** How many debts are kept: what is beyond ends with its TTL. */
const MAX_DEBTS = 10_000

/**
 * For how long beyond the end of its lock a debt is kept. A node that hung may set a lock only when it goes on, for its
 * whole TTL, of a run that is long over.
 */
const KEEP_DEBTS = 10 * MINUTE

/** How long after a node did not hear of a debt it is told again, while it is up. */
const PAY_AGAIN = SECOND / 2

/** How many debts are paid in one call. */
const BATCH = 256

/** What a node tells beside its ups and downs. */
export type NodeListener = Omit<CoordinationListener, 'onUp' | 'onDown'>

/** One of several masters, before it is opened. */
export interface Master {
  /** Where it is, without credentials; `''` for one that is nowhere. */
  readonly address: string
  connect(listener: CoordinationListener): CoordinationNode
}

/** What a node is still to be told. */
type Debt =
  | { readonly kind: 'finish'; readonly lock: HeldLock; readonly ending: Ending }
  | { readonly kind: 'handBack'; readonly lock: HeldLock; readonly claim: HandedBack }
  | { readonly kind: 'release'; readonly lock: HeldLock }

/**
 * One node of a quorum, with what it could not be told while it did not answer: a majority may have decided without it,
 * and it is to know as well when it comes back, so that the next to fall ill may be another.
 */
export class Member implements Voter {
  readonly node: CoordinationNode
  /** Where it is, for a log: ` at ` and its address; `''` for one that is nowhere. */
  readonly at: string
  silent = false
  /** Whether it has ever been up, so that its clock is known. */
  isMeasured = false
  /** Called when the node has released a lock that it was owed to be told of. */
  onReleased: (lock: HeldLock) => void = () => {}
  /** Why the node is not up; `null` while it is, and before anything is known. */
  trouble: Error | null = null
  /** Whether that is as it refuses what it is asked. */
  refuses = false
  readonly #clock: Clock
  readonly #onChange: () => void
  readonly #debts = new Map<string, Debt>()
  readonly #pauses = new Map<string, () => Promise<void>>()
  /** What the node has been told to let go of, and how, and has not answered: a hanging node may hear of it at any time. */
  readonly #lettingGo = new Map<string, Debt['kind']>()
  #paying = false
  #payTimer: TimerHandle | null = null
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
        void this.pay()
        listener.onPast()
      },
      onDown: (error, refuses = false) => this.noteTrouble(error, refuses),
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
    this.#payIf(answers[0] !== 'unavailable')
    return answers
  }

  async handBack(claims: readonly HandedBack[]): Promise<readonly HandBackAnswer[]> {
    const keys = claims.map(({ lock }) => keyOf(lock))
    for (const key of keys) this.#lettingGo.set(key, 'handBack')
    // Not repeated as it was: what this node says after a reply that was lost is one vote of several.
    const answers = await this.node.handBack(claims, `${keys[0]} ${++this.#calls}`.replaceAll(' ', '-'))
    const answered = !answers.includes('unavailable')
    for (const claim of claims) this.#noteAnswer(answered, { kind: 'handBack', lock: claim.lock, claim })
    this.#payIf(answered)
    return answers
  }

  async release(lock: HeldLock): Promise<ReleaseAnswer> {
    this.#lettingGo.set(keyOf(lock), 'release')
    const answer = await this.node.release(lock)
    this.#noteAnswer(answer !== 'unavailable', { kind: 'release', lock })
    this.#payIf(answer !== 'unavailable')
    return answer
  }

  /** Pauses or resumes a job; tried again when the node answers again. Whether it has been done. */
  async setPause(jobId: string, write: () => Promise<void>): Promise<Error | null> {
    this.#pauses.delete(jobId)
    try {
      await write()
      return null
    } catch (error) {
      if (!this.#pauses.has(jobId)) this.#pauses.set(jobId, write)
      return error as Error
    }
  }

  /** A pause or resumption that no majority has heard of is not to come later. */
  forgetPause(jobId: string): void {
    this.#pauses.delete(jobId)
  }

  /**
   * Whether the node was told to let go of something, and may still hear of it: it is not asked for the same again until
   * then, as it could let go of that.
   */
  isLettingGo(name: string, token: string): boolean {
    return this.#lettingGo.has(keyOf({ name, token }))
  }

  /** Whether that is as its run has ended, and its tick stays claimed. */
  isEnding(name: string, token: string): boolean {
    return this.#lettingGo.get(keyOf({ name, token })) === 'finish'
  }

  #noteAnswer(answered: boolean, debt: Debt): void {
    const key = keyOf(debt.lock)
    this.#debts.delete(key)
    if (answered) {
      this.#lettingGo.delete(key)
      return
    }
    this.#debts.set(key, debt)
    this.#payLater()
    if (this.#debts.size > MAX_DEBTS) this.#forget(this.#debts.keys().next().value as string)
  }

  #forget(key: string): void {
    this.#debts.delete(key)
    this.#lettingGo.delete(key)
  }

  #payIf(answers: boolean): void {
    if (answers && this.#debts.size + this.#pauses.size > 0) void this.pay()
  }

  /** What is owed is paid until the node has heard of it, and not only when it comes up or answers to something else. */
  #payLater(): void {
    if (this.#closed) return
    this.#payTimer ??= this.#clock.setTimeout(async () => {
      this.#payTimer = null
      if (this.node.state.up) await this.pay()
      if (this.#debts.size > 0) this.#payLater()
    }, PAY_AGAIN)
  }

  /** A last try to pay what is owed; then closes the node. */
  async close(): Promise<void> {
    this.#closed = true
    this.#payTimer?.cancel()
    if (this.node.state.up) await this.pay()
    await this.node.close()
  }

  /** Tells the node what it is still to be told. */
  async pay(): Promise<void> {
    if (this.#paying) return
    this.#paying = true
    for (const [jobId, write] of [...this.#pauses]) await this.setPause(jobId, write)
    let answered = true
    for (let batch = this.#take(); answered && batch.length > 0; batch = answered ? this.#take() : []) {
      answered = await this.#send(batch)
    }
    this.#paying = false
  }

  /** Debts of one kind, which go into one call. */
  #take(): readonly Debt[] {
    const now = this.#clock.monotonic()
    const batch: Debt[] = []
    for (const [key, debt] of this.#debts) {
      const isOver = debt.lock.validUntil + KEEP_DEBTS <= now
      if (!isOver && batch.length > 0 && debt.kind !== batch[0]?.kind) continue
      if (isOver) this.#forget(key)
      else batch.push(debt)
      if (batch.length === BATCH || batch[0]?.kind === 'release') break
    }
    return batch
  }

  /** Whether the node answered; what it did not answer for is owed again. */
  async #send(batch: readonly Debt[]): Promise<boolean> {
    const finish = batch.flatMap((debt) => (debt.kind === 'finish' ? [debt.ending] : []))
    const handBack = batch.flatMap((debt) => (debt.kind === 'handBack' ? [debt.claim] : []))
    if (handBack.length > 0) return !(await this.handBack(handBack)).includes('unavailable')
    const answers = finish.length > 0 ? await this.finish(finish) : [await this.release((batch[0] as Debt).lock)]
    for (const [index, { lock }] of batch.entries()) if (answers[index] === 'released') this.onReleased(lock)
    return answers[0] !== 'unavailable'
  }
}

/** What a lock is called among those of one node or quorum. */
export function keyOf({ name, token }: Pick<HeldLock, 'name' | 'token'>): string {
  return `${token} ${name}`
}

/** Where two members are one server, by what it calls its process: ` at one and at other`; `null` where none are known to be. */
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
