/** What waits in the store for a slot of a job: ticks, which are claimed, and requests for runs by hand. */
export interface Waiting {
  /** Asks for news, such as `onReplaced`; it never rejects. */
  hear(): Promise<void>
  /**
   * Puts a request for a run by hand into the queue of its job.
   *
   * @throws RedisUnavailableError; then it may wait all the same
   */
  enqueue(request: QueuedRequest): Promise<EnqueueAnswer>
  /**
   * What a request has brought, until its run has ended; `null` when it is not known any more.
   *
   * @throws RedisUnavailableError
   */
  readRequest(jobId: string, requestId: string): Promise<string | null>
  /**
   * Keeps the result of a request's run for a while, for who waits for it.
   *
   * @throws RedisUnavailableError
   */
  writeResult(requestId: string, result: string): Promise<void>
  /**
   * The result of a request's run; `null` when there is none, and then whether the request is still known.
   *
   * @throws RedisUnavailableError
   */
  readResult(jobId: string, requestId: string): Promise<{ readonly result: string | null; readonly isKnown: boolean }>
}

/** A request for a run by hand that waits for a slot. */
export interface QueuedRequest {
  readonly jobId: string
  /** Unique across replicas. */
  readonly id: string
  /** Its concurrency key, `''` for none. */
  readonly key: string
  /** Whether it has data of its own: if not, it joins another without that waits already. */
  readonly hasData: boolean
  /** What it brings, as JSON. */
  readonly brought: string
  /** Whether somebody waits for its result. */
  readonly isAwaited: boolean
}

/** `waits`: it waits under `id`, which is that of another request where it has `joined` that. `full`: too many wait. */
export type EnqueueAnswer =
  | { readonly status: 'waits'; readonly id: string; readonly joined: boolean }
  | { readonly status: 'full' }
