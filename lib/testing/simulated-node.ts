import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../types/coordination/node.js'
import type {
  Change,
  ChangeAnswer,
  ChangeRequest,
  ClaimAnswer,
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Coordination,
  CoordinationState,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  HistoryFact,
  JobState,
  LostRun,
  OpenRun,
  ReleaseAnswer,
  ReplicaReport,
  SeenReplica,
  Standing,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail,
  SurveyRequest,
  Waiting
} from '../../types/coordination.js'
import type { RunProgress } from '../../types/history.js'
import { validUntil } from '../coordination/lock-validity.js'
import { RedisUnavailableError } from '../errors.js'
import type { MemoryNode } from './memory-node.js'
import { RemoteMemory, type RemoteMemoryOptions, unavailable } from './remote-memory.js'
import { type Silence, SimulatedLink } from './simulated-link.js'

const DONE = Promise.resolve()

/**
 * One replica's coordination over a simulated store, alone or as one node of a quorum. What it asks for is copied when it is
 * sent, and what the store says is heard when its reply has come, as with Redis.
 */
export class SimulatedNode implements Coordination, CoordinationNode {
  readonly #options: RemoteMemoryOptions
  readonly #link: SimulatedLink
  readonly #store: RemoteMemory
  #lastCall: SentCall | null = null

  constructor(options: RemoteMemoryOptions) {
    this.#options = options
    this.#link = new SimulatedLink(options)
    this.#store = new RemoteMemory(options, this.#link)
  }

  readonly waiting: Waiting = {
    hear: () => this.#hear(),
    enqueue: (request) => this.#store.orThrow('keep a request', (memory) => memory.waiting.enqueue(request)),
    readRequest: (...asked) => this.#store.orThrow('read a request', (memory) => memory.waiting.readRequest(...asked)),
    writeResult: (...told) => this.#store.orThrow('keep a result', (memory) => memory.waiting.writeResult(...told)),
    readResult: (...asked) => this.#store.orThrow('read a result', (memory) => memory.waiting.readResult(...asked))
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#link.up, skew: this.#link.fleetClock.skew, remembersReplicas: true }
  }

  now(): number {
    return this.#link.fleetClock.now()
  }

  async open(): Promise<void> {
    await this.#link.open()
  }

  async claim(
    requests: readonly ClaimRequest[],
    callId?: string,
    blocks?: ClaimBlocks
  ): Promise<readonly ClaimAnswer[]> {
    const isRepeated = callId !== undefined && callId === this.#lastCall?.id
    const sent = this.#options.clock.monotonic()
    const call = isRepeated && this.#lastCall !== null ? this.#lastCall : { id: callId, sent, maybe: false }
    if (callId !== undefined) this.#lastCall = call
    const ask = async (memory: MemoryNode, copies: readonly ClaimRequest[]): Promise<Asked<ClaimAnswer>> => {
      const taken: string[] = []
      const noted = blocks && { ...blocks, onTaken: (name: string) => void taken.push(name) }
      return { answers: await memory.claim(copies, callId, noted), taken }
    }
    return this.#ask(requests, call, ask, blocks)
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    const call = { id: undefined, sent: this.#options.clock.monotonic(), maybe: false }
    return this.#ask(requests, call, async (memory, copies) => ({ answers: await memory.vote(copies), taken: [] }))
  }

  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const { store } = this.#options
    const copies = claims.map((claim) => ({ ...claim, lock: { ...claim.lock } }))
    const handBack = async (memory: MemoryNode): Promise<readonly HandBackAnswer[]> => {
      const answers = await memory.handBack(copies, callId)
      for (const [index, { lock, scheduledTime, tell }] of copies.entries()) {
        if (!tell || answers[index] !== 'free') continue
        store.noteHandedBack({ jobId: lock.name, tick: scheduledTime, by: lock.token })
      }
      return answers
    }
    return this.#store.orElse(
      handBack,
      claims.map(() => 'unavailable')
    )
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#options.clock.monotonic()
    const copy = { ...lock }
    const answer = await this.#store.orElse<'extended' | 'lost' | 'unavailable'>(
      (memory) => memory.extend(copy),
      'unavailable'
    )
    if (answer === 'extended') lock.validUntil = Math.max(lock.validUntil, validUntil(sent, lock.ttl))
    return answer
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const copies = endings.map(
      ({
        lock,
        finished,
        unbegun = false,
        keepsLock = false,
        replaced = false,
        report = null,
        isToldAgain = false
      }) => {
        return { lock, finished, unbegun, keepsLock, replaced, report, isToldAgain }
      }
    )
    const unavailable = endings.map(() => 'unavailable' as const)
    return this.#store.orElse<readonly ReleaseAnswer[]>((memory) => memory.finish(copies), unavailable)
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const sent = this.#options.clock.monotonic()
    try {
      const answer = await this.#store.exchange((memory) => memory.acquire(name, ttl, token))
      if (answer.status === 'granted') answer.lock.validUntil = validUntil(sent, ttl)
      return answer
    } catch (cause) {
      return { status: 'unavailable', error: unavailable('take a lock', cause) }
    }
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#store.orElse<ReleaseAnswer>((memory) => memory.release(lock), 'unavailable')
  }

  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    return this.#store.orElse<readonly boolean[] | null>((memory) => memory.confirm(claims, fencingToken), null)
  }

  adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#store.orElse((memory) => memory.adopt(claims), undefined)
  }

  restoreLock(lock: HeldLock): Promise<boolean> {
    return this.#store.orElse((memory) => memory.restoreLock(lock), false)
  }

  findAbandoned(): Promise<readonly OpenRun[]> | null {
    const { store, time } = this.#options
    // Every replica looks every few seconds: where nothing is to be found, the looks are left out.
    const moment = { now: time.now(), monotonic: time.monotonic() }
    const [waiting] = store.memory.queues.jobIds
    if (waiting === undefined && store.memory.openRuns.findAbandoned(moment).length === 0) return null
    return this.#store.orElse<readonly OpenRun[]>(async (memory) => (await memory.findAbandoned()) ?? [], [])
  }

  abandon(runs: readonly LostRun[], callId: string): Promise<readonly boolean[] | null> {
    return this.#store.orElse<readonly boolean[] | null>((memory) => memory.abandon(runs, callId), null)
  }

  tryToAbandon(runs: readonly LostRun[], callId: string): Promise<readonly AbandonVote[]> {
    const unavailable = runs.map(() => 'unavailable' as const)
    return this.#store.orElse<readonly AbandonVote[]>((memory) => memory.tryToAbandon(runs, callId), unavailable)
  }

  reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    return this.#store.orElse((memory) => memory.reopen(runs, callId), undefined)
  }

  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#store.orElse((memory) => memory.reconcile(until, live, claims), undefined)
  }

  shareDefinition(...shared: Parameters<Coordination['shareDefinition']>): Promise<string | null> {
    return this.#store.orElse((memory) => memory.shareDefinition(...shared), null)
  }

  change(request: ChangeRequest): Promise<ChangeAnswer> {
    return this.#change((memory) => memory.change(request))
  }

  changeAt(request: ChangeRequest, at: number | null): Promise<ChangeAnswer> {
    return this.#change((memory) => memory.changeAt(request, at))
  }

  readChanges(limit: number): Promise<readonly Change[]> {
    return this.#store.orThrow('read what was changed', (memory) => memory.readChanges(limit))
  }

  standing(): Promise<Standing> {
    return this.#store.standing()
  }

  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return this.#store.orThrow('read jobs', (memory) => memory.survey(jobs))
  }

  note(facts: readonly HistoryFact[]): Promise<boolean> {
    return this.#store.orElse((memory) => memory.note(facts), false)
  }

  readHistory(jobId: string): Promise<StoredHistory> {
    return this.#store.orThrow('read the history', (memory) => memory.readHistory(jobId))
  }

  readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    return this.#store.orThrow('read the history', (memory) => memory.readTails(jobIds, count))
  }

  readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    return this.#store.orThrow('read how jobs stand', (memory) => memory.readStatus(jobs, withLocks))
  }

  writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    const copy = new Map(progress)
    return this.#store.orElse((memory) => memory.writeProgress(copy), false)
  }

  /** Without the network, of whose faults nothing depends on it. */
  beat(report: ReplicaReport | null): Promise<void> {
    const { store, time, replicaId } = this.#options
    if (store.state !== 'up') return DONE
    if (report === null) store.memory.replicas.delete(replicaId)
    else store.memory.replicas.set(replicaId, { ...report, seenAt: time.now() })
    return DONE
  }

  readReplicas(): Promise<readonly SeenReplica[]> {
    return this.#store.orThrow('read the replicas', (memory) => memory.readReplicas())
  }

  async close(): Promise<void> {
    this.#link.close()
    await this.#store.close()
  }

  #change(make: (memory: MemoryNode) => Promise<ChangeAnswer>): Promise<ChangeAnswer> {
    return this.#store.orThrow('change jobs', async (memory) => {
      const answer = await make(memory)
      this.#options.store.tellNews()
      return answer
    })
  }

  async #hear(): Promise<void> {
    const { store, listener } = this.#options
    const replaced = await this.#store.orElse<readonly string[]>(async () => store.replaced(), [])
    for (const runId of replaced) listener.onReplaced(runId)
  }

  async #ask<Answer extends ClaimAnswer>(
    requests: readonly ClaimRequest[],
    call: SentCall,
    ask: (memory: MemoryNode, copies: readonly ClaimRequest[]) => Promise<Asked<Answer>>,
    blocks?: ClaimBlocks
  ): Promise<readonly (Answer | Unavailable)[]> {
    const { store, listener } = this.#options
    const copies = requests.map(copyRequest)
    const failed = (error: Error): Unavailable[] => {
      return requests.map(() => ({ status: 'unavailable', error, maybe: call.maybe }))
    }
    if (!this.#link.fleetClock.isMeasured) {
      return failed(new RedisUnavailableError('claim ticks', 'it has not said yet what time it is'))
    }
    const exchanged = this.#store.exchange(async (memory) => {
      const [asked, differing] = this.#store.differingIn(() => ask(memory, copies))
      return { ...(await asked), differing, handed: store.handedBack(), replaced: store.replaced() }
    })
    // What goes wrong with the reply is a fault of the scheduler, and no outage.
    const reply = await exchanged.catch((cause) => {
      call.maybe ||= (cause as Silence).maybe
      return unavailable('claim ticks', cause)
    })
    if (reply instanceof Error) return failed(reply)
    const { answers, differing, handed, replaced, taken } = reply
    for (const answer of answers) {
      // A lock is believed in from when it was asked for, not from when the store set it.
      if (answer.status !== 'granted' || answer.lock === null) continue
      answer.lock.validUntil = validUntil(call.sent, answer.lock.ttl)
    }
    for (const each of differing) listener.onDefinitionDiffers(...each)
    this.#link.tell(handed)
    for (const runId of replaced) listener.onReplaced(runId)
    for (const name of taken) blocks?.onTaken(name)
    return answers
  }
}

type Unavailable = Extract<ClaimAnswer, { status: 'unavailable' }>

/** A call of `claim`, which may be repeated under its id. */
interface SentCall {
  readonly id: string | undefined
  /** When it was first sent, on the monotonic clock. */
  readonly sent: number
  /** Whether it may have been executed. */
  maybe: boolean
}

/** What a store says to a claim. */
interface Asked<Answer> {
  readonly answers: readonly Answer[]
  /** The waiting blocks that are taken. */
  readonly taken: readonly string[]
}

/** A request as it is when it is sent: the job that it is about may be another when it arrives. */
function copyRequest(request: ClaimRequest): ClaimRequest {
  // One literal: copied by parts with a spread, it was a ninth of all that a simulated fleet costs.
  return {
    jobId: request.jobId,
    kind: request.kind,
    scheduledTime: request.scheduledTime,
    coversUntil: request.coversUntil,
    runId: request.runId,
    ttl: request.ttl,
    retention: request.retention,
    afterCompletion: request.afterCompletion,
    pausedInitially: request.pausedInitially,
    group: request.group ?? '',
    waits: request.waits,
    rerun: request.rerun,
    slots: request.slots,
    overlap: request.overlap,
    maxRuns: request.maxRuns,
    startsRuns: request.startsRuns ?? false,
    key: request.key ?? '',
    fingerprint: request.fingerprint
  }
}
