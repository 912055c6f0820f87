import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AdminJob, AdminStore, AdminStreamJobs, AdminStreamStore } from '../../../types/admin.js'
import type { Clock, TimerHandle } from '../../../types/clock.js'
import type { Logger } from '../../../types/logger.js'
import { SECOND } from '../../base/duration.js'
import { AdminStreamsFullError } from '../../errors.js'
import { logSafely } from '../../observability/log.js'
import type { Board, BoardEntry, BoardView } from './board.js'

/** How many clients may follow at once. */
const MAX_CLIENTS = 500
/** How often it is looked for what has changed; seldomer where a look takes more than a tenth of that. */
const LOOK_EVERY = SECOND
const MAX_SHARE = 0.1
/** How many jobs are sent at a time, and how many of their last ticks. */
const MAX_JOBS = 200
const TAIL = 10
/** How often it is told how the store and the replicas are, where nothing has changed of it. */
const STORE_EVERY = 5 * SECOND
/** For how long a client may not read until it is dropped. */
const MAX_BEHIND = 10 * SECOND

/** How the replicas are. */
export interface FleetCounts {
  readonly replicas: number
  readonly takeTicks: number
}

export interface StreamOptions {
  readonly clock: Clock
  readonly board: Board
  readonly log: Logger
  /** The fleet's clock. */
  readonly now: () => number
  readonly store: () => AdminStore
  /** Counts the replicas. @throws RedisUnavailableError */
  readonly replicas: () => Promise<FleetCounts>
}

interface Client {
  readonly response: ServerResponse
  /** Since when it has not read what it was sent, on the monotonic clock; `null` where it has. */
  behindSince: number | null
  /** Whether something was left out as it did not read. */
  hasMissed: boolean
}

/**
 * Tells browsers what changes (server-sent events): while any are connected, this replica looks each second, once for all of them.
 * One that does not read is left out, and dropped in the end: what it would be told is never kept for it.
 */
export class Stream {
  readonly #options: StreamOptions
  readonly #clients = new Set<Client>()
  #timer: TimerHandle | null = null
  #isLooking = false
  #isClosed = false
  /** What each job looked like when it was sent last, to whoever was there. */
  #sent = new Map<string, string>()
  #counts = ''
  #store = ''
  #storeAt = Number.NEGATIVE_INFINITY

  constructor(options: StreamOptions) {
    this.#options = options
  }

  /** How many clients follow. */
  get size(): number {
    return this.#clients.size
  }

  /**
   * Lets a client follow.
   *
   * @throws AdminStreamsFullError, RedisUnavailableError
   */
  async connect(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (this.#clients.size >= MAX_CLIENTS) throw new AdminStreamsFullError(MAX_CLIENTS)
    reply.hijack()
    const response = reply.raw
    // What has changed since it has read what it shows is not known here: it is to read that anew.
    const client: Client = { response, behindSince: null, hasMissed: true }
    const isHttp2 = request.raw.httpVersionMajor >= 2
    response.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      // For nginx, which would collect what it is to pass on.
      'x-accel-buffering': 'no',
      ...(isHttp2 ? {} : { connection: 'keep-alive' })
    })
    const leave = (): void => this.#leave(client)
    response.on('close', leave)
    response.on('error', leave)
    response.on('drain', () => {
      client.behindSince = null
    })
    this.#clients.add(client)
    response.write('retry: 2000\n\n')
    if (this.#isClosed) response.end()
    else if (this.#clients.size === 1) this.#begin()
    else if (this.#store !== '') this.#send(client, this.#store)
  }

  /** Ends all streams: an open one would hold up the app's closing. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    for (const { response } of [...this.#clients]) response.end()
    this.#clients.clear()
  }

  #begin(): void {
    this.#sent.clear()
    this.#counts = ''
    this.#storeAt = Number.NEGATIVE_INFINITY
    if (!this.#isLooking) void this.#look()
  }

  #leave(client: Client): void {
    if (!this.#clients.delete(client) || this.#clients.size > 0) return
    this.#timer?.cancel()
    this.#options.board.forget()
    this.#sent.clear()
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#options
    this.#isLooking = true
    const startedAt = clock.monotonic()
    try {
      await this.#tellStore()
      await this.#tellJobs()
    } catch (err) {
      // Redis is away, which the store's event says.
      if ((err as { code?: unknown }).code !== 'FST_ERR_RLS_REDIS_UNAVAILABLE') {
        logSafely(log, 'error', { err }, 'could not tell the dashboard what has changed')
      }
      await this.#tellStore().catch(() => {})
    }
    this.#isLooking = false
    if (this.#clients.size === 0 || this.#isClosed) return
    this.#dropBehind()
    const took = clock.monotonic() - startedAt
    this.#timer = clock.setTimeout(() => void this.#look(), Math.max(LOOK_EVERY - took, took / MAX_SHARE))
    this.#timer.unref?.()
  }

  async #tellJobs(): Promise<void> {
    const view = await this.#options.board.view()
    const isFirst = this.#sent.size === 0
    const changed = this.#changed(view)
    const removed = [...this.#sent.keys()].filter((id) => !view.entries.has(id))
    for (const id of removed) this.#sent.delete(id)
    for (const { job, mark } of changed) this.#sent.set(job.id, mark)
    // Who has just come has read how they stand.
    const jobs = isFirst ? [] : await this.#options.board.rows(changed, TAIL)
    const counts = JSON.stringify(view.counts)
    if (jobs.length + removed.length === 0 && counts === this.#counts) return
    this.#counts = counts
    const told: AdminStreamJobs = { at: view.at, counts: view.counts, jobs: jobs as AdminJob[], removed }
    this.#broadcast(event('jobs', told))
  }

  /** The jobs that look otherwise than they were sent; those that do not fit in come with the next look. */
  #changed({ entries }: BoardView): BoardEntry[] {
    const limit = this.#sent.size === 0 ? Number.POSITIVE_INFINITY : MAX_JOBS
    const changed: BoardEntry[] = []
    for (const entry of entries.values()) {
      if (this.#sent.get(entry.job.id) === entry.mark) continue
      changed.push(entry)
      if (changed.length >= limit) break
    }
    return changed
  }

  async #tellStore(): Promise<void> {
    const { clock, now, store, replicas } = this.#options
    const isDue = clock.monotonic() - this.#storeAt >= STORE_EVERY
    const state = store()
    const before = this.#store
    if (!isDue && state.isUp === before.includes('"isUp":true')) return
    const counts = state.isUp ? await replicas() : { replicas: 0, takeTicks: 0 }
    const told: AdminStreamStore = { at: Math.round(now()), store: store(), ...counts }
    this.#storeAt = clock.monotonic()
    this.#store = event('store', told)
    this.#broadcast(this.#store)
  }

  #broadcast(text: string): void {
    for (const client of this.#clients) this.#send(client, text)
  }

  #send(client: Client, text: string): void {
    const { response } = client
    if (response.destroyed || response.writableEnded) return
    if (client.behindSince !== null) {
      client.hasMissed = true
      return
    }
    let all = text
    if (client.hasMissed) {
      client.hasMissed = false
      all = event('reset', { at: Math.round(this.#options.now()) }) + text
    }
    // Node keeps what a slow client has not read: nothing more is added to that.
    if (!response.write(all)) client.behindSince = this.#options.clock.monotonic()
  }

  #dropBehind(): void {
    const oldest = this.#options.clock.monotonic() - MAX_BEHIND
    for (const { response, behindSince } of [...this.#clients]) {
      if (behindSince !== null && behindSince <= oldest) response.destroy()
    }
  }
}

/** An event; its id is the store's time. */
function event(name: string, data: { readonly at: number }): string {
  return `id: ${data.at}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
