import type { Clock } from '../../../types/clock.js'
import type { EnqueueAnswer, QueuedRequest, Waiting } from '../../../types/coordination.js'
import { KEEP_RESULT, MAX_WAITING } from '../redis/constants.js'
import type { MemoryStore } from './store.js'

/** What waits in memory for a slot of a job. */
export class MemoryWaiting implements Waiting {
  readonly #clock: Clock
  readonly #store: MemoryStore

  constructor(clock: Clock, store: MemoryStore) {
    this.#clock = clock
    this.#store = store
  }

  /** Its listeners are told at once. */
  async hear(): Promise<void> {}

  async enqueue({ jobId, id, key, hasData, brought, isAwaited }: QueuedRequest): Promise<EnqueueAnswer> {
    const { queues } = this.#store
    const requests = queues.requestsOf(jobId)
    if (requests.some((request) => request.id === id)) return { status: 'waits', id, joined: false }
    const other = hasData ? undefined : requests.find((request) => !request.hasData && request.key === key)
    if (other !== undefined) {
      if (isAwaited) queues.bring(other.id, brought)
      return { status: 'waits', id: other.id, joined: true }
    }
    if (requests.length >= MAX_WAITING) return { status: 'full' }
    const requestedAt = Math.floor(this.#clock.now())
    queues.add(jobId, { kind: 'request', id, key, hasData, requestedAt }, brought)
    return { status: 'waits', id, joined: false }
  }

  async readRequest(_jobId: string, requestId: string): Promise<string | null> {
    return this.#store.queues.brought(requestId) ?? null
  }

  async writeResult(requestId: string, result: string): Promise<void> {
    const now = this.#clock.monotonic()
    this.#store.queues.sweep(now)
    this.#store.queues.addResult(requestId, result, now + KEEP_RESULT)
  }

  async readResult(
    _jobId: string,
    requestId: string
  ): Promise<{ readonly result: string | null; readonly isKnown: boolean }> {
    const { queues } = this.#store
    return { result: queues.resultOf(requestId), isKnown: queues.brought(requestId) !== undefined }
  }
}
