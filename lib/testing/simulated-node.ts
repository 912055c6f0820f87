import type {
  AbandonVote,
  AcquireVote,
  ClaimVote,
  Confirmation,
  CoordinationNode
} from '../../types/coordination/node.js'
import type {
  ClaimBlocks,
  ClaimRequest,
  ConfirmedClaim,
  Coordination,
  CoordinationListener,
  CoordinationState,
  Ending,
  HandBackAnswer,
  HandedBack,
  HeldLock,
  JobState,
  OpenRun,
  ReleaseAnswer,
  SurveyRequest
} from '../../types/coordination.js'
import { validUntil } from '../coordination/lock-validity.js'
import { MemoryCoordination } from '../coordination/memory/coordination.js'
import { RedisUnavailableError } from '../errors.js'
import { type Silence, SimulatedLink, type SimulatedLinkOptions } from './simulated-link.js'
import type { HandedTick, SimulatedStore } from './simulated-store.js'

export interface SimulatedNodeOptions extends SimulatedLinkOptions {
  readonly maxClockSkew: number
  readonly replicaId: string
}

/**
 * One replica's coordination over a simulated store. What it asks for is written when it is sent, and what the store says is
 * heard when its reply has come, as with Redis.
 */
export class SimulatedNode implements Coordination, CoordinationNode {
  readonly #options: SimulatedNodeOptions
  readonly #link: SimulatedLink
  #lastCall: { readonly id: string | undefined; readonly sent: number; maybe: boolean } | null = null
  /** The jobs that the call under way finds to be defined otherwise, and their last ticks. */
  #differing: Differing[] = []
  /** What the store does for this replica; another one after a wipe. */
  #memory: MemoryCoordination | null = null
  #memoryOf: SimulatedStore['memory'] | null = null

  constructor(options: SimulatedNodeOptions) {
    this.#options = options
    this.#link = new SimulatedLink(options)
  }

  get state(): CoordinationState {
    return { kind: 'redis', up: this.#link.up, skew: this.#link.fleetClock.skew }
  }

  now(): number {
    return this.#link.fleetClock.now()
  }

  async open(): Promise<void> {
    await this.#link.open()
  }

  async claim(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimVote[]> {
    const { clock, store, listener } = this.#options
    const sent = clock.monotonic()
    const isRepeated = callId !== undefined && callId === this.#lastCall?.id
    const call = isRepeated && this.#lastCall !== null ? this.#lastCall : { id: callId, sent, maybe: false }
    if (callId !== undefined) this.#lastCall = call
    const written = requests.map(copyRequest)
    const what = 'claim ticks'
    const otherwise = (error: Error, maybe: boolean): ClaimReply => {
      call.maybe ||= maybe
      const answers = requests.map(() => ({ status: 'unavailable', error, maybe: call.maybe }) as const)
      return { answers, differing: [], handed: [], taken: [] }
    }
    if (!this.#link.fleetClock.isMeasured) {
      return otherwise(new RedisUnavailableError(what, 'it has not said yet what time it is'), false).answers
    }
    const reply = await this.#try<ClaimReply>(
      what,
      async (memory) => {
        const taken: string[] = []
        this.#differing = []
        const claimed = memory.claim(written, callId, blocks && { ...blocks, onTaken: (name) => void taken.push(name) })
        const differing = this.#differing
        return { answers: await claimed, differing, handed: store.handedBack(), taken }
      },
      otherwise
    )
    for (const answer of reply.answers) {
      if (answer.status === 'granted' && answer.lock !== null) this.#age(answer.lock, call.sent)
    }
    for (const each of reply.differing) listener.onDefinitionDiffers(...each)
    this.#link.tell(reply.handed)
    for (const name of reply.taken) blocks?.onTaken(name)
    return reply.answers
  }

  vote(requests: readonly ClaimRequest[]): Promise<readonly ClaimVote[]> {
    return this.claim(requests)
  }

  async extend(lock: HeldLock): Promise<'extended' | 'lost' | 'unavailable'> {
    const sent = this.#options.clock.monotonic()
    const copy = { ...lock }
    const answer = await this.#try<'extended' | 'lost' | 'unavailable'>(
      'extend a lock',
      (memory) => memory.extend(copy),
      () => 'unavailable'
    )
    if (answer === 'extended') {
      lock.validUntil = Math.max(lock.validUntil, validUntil(sent, lock.ttl))
    }
    return answer
  }

  finish(endings: readonly Ending[]): Promise<readonly ReleaseAnswer[]> {
    const copies = endings.map(({ lock, finished, unbegun = false, keepsLock = false }) => {
      return { lock, finished, unbegun, keepsLock }
    })
    return this.#try<readonly ReleaseAnswer[]>(
      'release locks',
      (memory) => memory.finish(copies),
      () => endings.map(() => 'unavailable')
    )
  }

  handBack(claims: readonly HandedBack[], callId: string): Promise<readonly HandBackAnswer[]> {
    const { store } = this.#options
    const written = claims.map((claim) => ({ ...claim, lock: { ...claim.lock } }))
    return this.#try<readonly HandBackAnswer[]>(
      'take claims back',
      async (memory) => {
        const answers = await memory.handBack(written, callId)
        for (const [index, { lock, scheduledTime, tell }] of written.entries()) {
          if (tell && answers[index] === 'free')
            store.noteHandedBack({ jobId: lock.name, tick: scheduledTime, by: lock.token })
        }
        return answers
      },
      () => claims.map(() => 'unavailable')
    )
  }

  async acquire(name: string, ttl: number, token: string): Promise<AcquireVote> {
    const sent = this.#options.clock.monotonic()
    const answer = await this.#try<AcquireVote>(
      'take a lock',
      (memory) => memory.acquire(name, ttl, token),
      (error) => ({ status: 'unavailable', error })
    )
    if (answer.status === 'granted') this.#age(answer.lock, sent)
    return answer
  }

  release(lock: HeldLock): Promise<ReleaseAnswer> {
    return this.#try<ReleaseAnswer>(
      'release a lock',
      (memory) => memory.release(lock),
      () => 'unavailable'
    )
  }

  confirm(claims: readonly Confirmation[], fencingToken: number): Promise<readonly boolean[] | null> {
    return this.#try<readonly boolean[] | null>(
      'confirm claims',
      (memory) => memory.confirm(claims, fencingToken),
      () => null
    )
  }

  adopt(claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#try<void>(
      'settle claims',
      (memory) => memory.adopt(claims),
      () => {}
    )
  }

  restoreLock(lock: HeldLock): Promise<boolean> {
    return this.#try<boolean>(
      'take a lock',
      (memory) => memory.restoreLock(lock),
      () => false
    )
  }

  findAbandoned(): Promise<readonly OpenRun[]> | null {
    const { store, time } = this.#options
    // Every replica looks every few seconds: where nothing is to be found, the looks are left out.
    if (store.memory.findAbandoned({ now: time.now(), monotonic: time.monotonic() }).length === 0) return null
    return this.#try<readonly OpenRun[]>(
      'look for runs',
      async (memory) => (await memory.findAbandoned()) ?? [],
      () => []
    )
  }

  abandon(runs: readonly OpenRun[], callId: string): Promise<readonly boolean[] | null> {
    return this.#try<readonly boolean[] | null>(
      'record abandoned runs',
      (memory) => memory.abandon(runs, callId),
      () => null
    )
  }

  tryToAbandon(runs: readonly OpenRun[], callId: string): Promise<readonly AbandonVote[]> {
    return this.#try<readonly AbandonVote[]>(
      'record abandoned runs',
      (memory) => memory.tryToAbandon(runs, callId),
      () => runs.map(() => 'unavailable')
    )
  }

  reopen(runs: readonly OpenRun[], callId: string): Promise<void> {
    return this.#try<void>(
      'record abandoned runs',
      (memory) => memory.reopen(runs, callId),
      () => {}
    )
  }

  shareDefinition(...shared: Parameters<CoordinationNode['shareDefinition']>): Promise<string | null> {
    return this.#try<string | null>(
      'compare definitions',
      (memory) => memory.shareDefinition(...shared),
      () => null
    )
  }

  reconcile(until: string, live: readonly string[], claims: readonly ConfirmedClaim[]): Promise<void> {
    return this.#try<void>(
      'settle claims',
      (memory) => memory.reconcile(until, live, claims),
      () => {}
    )
  }

  async pause(jobId: string): Promise<void> {
    await this.#orThrow('pause a job', (memory) => memory.pause(jobId))
  }

  async resume(jobId: string): Promise<void> {
    await this.#orThrow('resume a job', (memory) => memory.resume(jobId))
  }

  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    return this.#orThrow('read jobs', (memory) => memory.survey(jobs))
  }

  async close(): Promise<void> {
    this.#link.close()
    await this.#memory?.close()
  }

  async #try<Value>(
    what: string,
    operate: (memory: MemoryCoordination) => Promise<Value>,
    otherwise: (error: Error, maybe: boolean) => Value
  ): Promise<Value> {
    try {
      return await this.#exchange(operate)
    } catch (cause) {
      return otherwise(new RedisUnavailableError(what, (cause as Error).message), (cause as Silence).maybe)
    }
  }

  async #orThrow<Value>(what: string, operate: (memory: MemoryCoordination) => Promise<Value>): Promise<Value> {
    try {
      return await this.#exchange(operate)
    } catch (cause) {
      throw new RedisUnavailableError(what, (cause as Error).message)
    }
  }

  #exchange<Value>(operate: (memory: MemoryCoordination) => Promise<Value>): Promise<Value> {
    return this.#link.exchange(() => operate(this.#reach(this.#options.store)))
  }

  #reach({ memory }: SimulatedStore): MemoryCoordination {
    if (this.#memory === null || this.#memoryOf !== memory) {
      const { time, maxClockSkew, listener, replicaId } = this.#options
      this.#memoryOf = memory
      const heard: CoordinationListener = {
        ...listener,
        onUp() {},
        onDown() {},
        onClockStep() {},
        onUnsafe() {},
        onNotice() {},
        // Heard of with a reply, by the link.
        onHandedBack() {},
        onDefinitionDiffers: (...each) => void this.#differing.push(each)
      }
      this.#memory = new MemoryCoordination(time, memory, maxClockSkew, heard, replicaId)
    }
    return this.#memory
  }

  /** A lock is believed in from when it was asked for, not from when the store set it. */
  #age(lock: HeldLock, sent: number): void {
    lock.validUntil = validUntil(sent, lock.ttl)
  }
}

type Differing = Parameters<CoordinationListener['onDefinitionDiffers']>

/** What a store says to a claim. */
interface ClaimReply {
  readonly answers: readonly ClaimVote[]
  readonly differing: readonly Differing[]
  readonly handed: readonly HandedTick[]
  readonly taken: readonly string[]
}

/** A request as it is when it is sent: the job that it is about may be another when it arrives. */
function copyRequest(request: ClaimRequest): ClaimRequest {
  const { jobId, kind, scheduledTime, coversUntil, runId, ttl, retention } = request
  const { afterCompletion, pausedInitially, waits, rerun, fingerprint } = request
  const tick = { jobId, kind, scheduledTime, coversUntil, runId, ttl, retention }
  return { ...tick, afterCompletion, pausedInitially, waits, rerun, fingerprint }
}
