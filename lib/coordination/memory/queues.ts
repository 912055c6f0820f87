import type { SlotRecord } from './record.js'

/** What waits for a slot of a job, in the order of its coming. */
export type WaitingEntry = WaitingTick | WaitingRequest

export interface WaitingTick {
  readonly kind: 'tick'
  readonly scheduledTime: number
  /** The run that it is to replace; `null` for none. */
  readonly replaces: string | null
  /** The request that has claimed it; `''` where it waits again. */
  readonly by: string
}

export interface WaitingRequest {
  readonly kind: 'request'
  readonly id: string
  /** Its concurrency key, `''` for none. */
  readonly key: string
  readonly hasData: boolean
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly requestedAt: number
}

/** What a run was waited for. */
export function entryOf({ requestId: id, key, runTick }: SlotRecord): WaitingEntry {
  if (id === '') return { kind: 'tick', scheduledTime: runTick, replaces: null, by: '' }
  return { kind: 'request', id, key, hasData: true, requestedAt: runTick }
}

/** What waits for slots, and what requests by hand have brought whose run has not ended. */
export class Queues {
  readonly #queues = new Map<string, WaitingEntry[]>()
  readonly #requests = new Map<string, string>()
  readonly #results = new Map<string, { readonly result: string; readonly until: number }>()

  /** The jobs for which something waits. */
  get jobIds(): Iterable<string> {
    return this.#queues.keys()
  }

  isWaiting(jobId: string): boolean {
    return this.#queues.size > 0 && this.#queues.has(jobId)
  }

  of(jobId: string): readonly WaitingEntry[] {
    return this.#queues.get(jobId) ?? []
  }

  tickOf(jobId: string): WaitingTick | undefined {
    return this.of(jobId).find((entry) => entry.kind === 'tick')
  }

  requestsOf(jobId: string): readonly WaitingRequest[] {
    return this.of(jobId).filter((entry) => entry.kind === 'request')
  }

  /** A tick takes the place of the one that waited before, or comes last. */
  addTick(jobId: string, tick: WaitingTick): void {
    const queue = this.#queueOf(jobId)
    const before = queue.findIndex((entry) => entry.kind === 'tick')
    if (before >= 0) queue[before] = tick
    else queue.push(tick)
  }

  /** The tick of a claim waits no more, as the claim is taken back or made anew. @returns whether it did */
  deleteTickOf(jobId: string, by: string): boolean {
    const tick = this.#queues.size > 0 ? this.tickOf(jobId) : undefined
    if (tick?.by !== by) return false
    this.delete(jobId, tick)
    return true
  }

  add(jobId: string, entry: WaitingRequest, brought: string): void {
    this.#queueOf(jobId).push(entry)
    this.#requests.set(entry.id, brought)
  }

  /** What was taken away waits again, before all others. */
  addFirst(jobId: string, entry: WaitingEntry): void {
    this.#queueOf(jobId).unshift(entry)
  }

  delete(jobId: string, entry: WaitingEntry): void {
    const left = this.of(jobId).filter((other) => other !== entry)
    if (left.length > 0) this.#queues.set(jobId, left)
    else this.#queues.delete(jobId)
  }

  /** What a request has brought; `undefined` once its run has ended. */
  brought(requestId: string): string | undefined {
    return this.#requests.get(requestId)
  }

  bring(requestId: string, brought: string): void {
    this.#requests.set(requestId, brought)
  }

  forgetRequest(requestId: string): void {
    if (requestId !== '') this.#requests.delete(requestId)
  }

  /** @param until on the monotonic clock */
  addResult(requestId: string, result: string, until: number): void {
    this.#results.set(requestId, { result, until })
  }

  resultOf(requestId: string): string | null {
    return this.#results.get(requestId)?.result ?? null
  }

  /** Forgets results that nobody has come for. @param now on the monotonic clock */
  sweep(now: number): void {
    for (const [id, { until }] of this.#results) if (until <= now) this.#results.delete(id)
  }

  #queueOf(jobId: string): WaitingEntry[] {
    const queue = this.#queues.get(jobId) ?? []
    this.#queues.set(jobId, queue)
    return queue
  }
}
