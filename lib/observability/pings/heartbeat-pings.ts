import type { Clock } from '../../../types/clock.js'
import type { RunError } from '../../../types/history.js'
import type { Run } from '../../../types/run.js'
import { isSettledBy } from '../../base/deadline.js'
import { SECOND } from '../../base/duration.js'
import { uuidOf } from '../../base/uuid.js'
import { RunReplacedError } from '../../errors.js'
import { originOf, type PingSignal, signalUrl } from '../../jobs/heartbeat-url.js'
import type { JobRecord } from '../../jobs/job.js'
import type { SendPing } from './http-ping.js'
import { type Ping, PingQueue } from './ping-queue.js'
import { pingText } from './ping-text.js'

/** How long closing waits for pings at most. */
const CLOSE_LIMIT = 2 * SECOND

/** For how many jobs and origins trouble is told. */
const MAX_TROUBLE = 100

/** A run as it is told. */
interface ToldRun {
  readonly job: Pick<JobRecord, 'heartbeat'>
  readonly run: Run
}

export interface HeartbeatPingsOptions {
  readonly clock: Clock
  /** `null` sends nothing. */
  readonly send: SendPing | null
  /** An error as the history keeps it. */
  readonly errorText: (error: unknown) => RunError
  readonly warnings: {
    heartbeatRefused(jobId: string, origin: string, status: number): void
    heartbeatUnanswered(jobId: string, origin: string, reason: string): void
    heartbeatTakenAgain(jobId: string, origin: string): void
    heartbeatsLeftOut(): void
    heartbeatsUnsent(count: number): void
  }
  /** Resolves with a promise, or when nothing that closes is waited for any longer. */
  readonly inTime: (closing: Promise<void>) => Promise<void>
}

/**
 * Tells the `heartbeat` of a job of its runs: when one begins, when one has succeeded, and when one has any other outcome. The
 * journal calls it, where a job has one at all; what it does comes later, so that no run waits for it.
 *
 * A run that another replaces ends without a ping, as its successor's follow.
 */
export class HeartbeatPings {
  /** Whether any job has, or had, a heartbeat. */
  isUsed = false
  readonly #options: HeartbeatPingsOptions
  readonly #queue: PingQueue | null
  /** What the log has told of: a job whose pings are refused, an origin that does not answer. */
  readonly #trouble = new Set<string>()
  #isLeftOutTold = false

  constructor(options: HeartbeatPingsOptions) {
    this.#options = options
    const { clock, send } = options
    const listener = {
      onTaken: (ping: Ping) => this.#onTaken(ping),
      onRefused: (ping: Ping, status: number) => this.#onRefused(ping, status),
      onUnanswered: (ping: Ping, reason: string) => this.#onUnanswered(ping, reason),
      onLeftOut: () => this.#onLeftOut()
    }
    this.#queue = send === null ? null : new PingQueue(clock, send, listener)
  }

  /** A job was added, or changed. */
  noteJob({ heartbeat }: Pick<JobRecord, 'heartbeat'>): void {
    if (heartbeat !== null && this.#queue !== null) this.isUsed = true
  }

  runStarted({ job, run }: ToldRun): void {
    this.#ping(job, run, 'start', null)
  }

  /** @param duration in milliseconds */
  runEnded({ job, run }: ToldRun, duration: number): void {
    if (run.error instanceof RunReplacedError) return
    this.#ping(job, run, run.outcome === 'success' ? 'success' : 'fail', duration)
  }

  /** Sends what is left, for a short time. It is called once runs have ended. */
  async close(): Promise<void> {
    const { clock, inTime, warnings } = this.#options
    if (this.#queue === null || !this.isUsed) return
    this.#queue.hurry()
    const sent = isSettledBy(this.#queue.settled(), clock.monotonic() + CLOSE_LIMIT, clock)
    await inTime(sent.then(() => {}))
    const unsent = this.#queue.close()
    if (unsent > 0) warnings.heartbeatsUnsent(unsent)
  }

  #ping({ heartbeat }: ToldRun['job'], run: Run, signal: PingSignal, duration: number | null): void {
    if (heartbeat === null || this.#queue === null) return
    const error = signal === 'fail' ? this.#options.errorText(run.error) : null
    const url = signalUrl(heartbeat, signal, uuidOf(run.id))
    this.#queue.push({ jobId: run.jobId, heartbeat, url, body: pingText(run, duration, error) })
  }

  #onTaken({ jobId, heartbeat }: Ping): void {
    const origin = originOf(heartbeat)
    if (this.#trouble.size === 0) return
    const wasRefused = this.#trouble.delete(`job ${jobId}`)
    const wasUnanswered = this.#trouble.delete(origin)
    if (wasRefused || wasUnanswered) this.#options.warnings.heartbeatTakenAgain(jobId, origin)
  }

  #onRefused({ jobId, heartbeat }: Ping, status: number): void {
    if (this.#isNew(`job ${jobId}`)) this.#options.warnings.heartbeatRefused(jobId, originOf(heartbeat), status)
  }

  #onUnanswered({ jobId, heartbeat }: Ping, reason: string): void {
    const origin = originOf(heartbeat)
    if (this.#isNew(origin)) this.#options.warnings.heartbeatUnanswered(jobId, origin, reason)
  }

  /** What lasts is said once. */
  #onLeftOut(): void {
    if (!this.#isLeftOutTold) this.#options.warnings.heartbeatsLeftOut()
    this.#isLeftOutTold = true
  }

  #isNew(trouble: string): boolean {
    if (this.#trouble.has(trouble) || this.#trouble.size >= MAX_TROUBLE) return false
    this.#trouble.add(trouble)
    return true
  }
}
