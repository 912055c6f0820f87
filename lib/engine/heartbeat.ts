import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Coordination } from '../../types/coordination.js'
import { SECOND } from '../base/duration.js'
import { VERSION } from '../base/version.js'

/** How often a replica says that it is there; it may be some seconds more. */
const BEAT = 15 * SECOND

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly coordination: Coordination
  readonly replicaId: string
  readonly isRunning: () => boolean
  readonly running: () => number
  readonly jobs: () => number
  /** Resolves with a promise, or when nothing that closes is waited for any longer. */
  readonly inTime: (closing: Promise<void>) => Promise<void>
}

/** Says to the store, from the opening to the end, that this replica is there, and how it is. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  readonly #appVersion = readAppVersion()
  /** On the monotonic clock. */
  readonly #startedAt: number
  #timer: TimerHandle | null = null
  #lastBeat = Promise.resolve()
  #beatAt = Number.NEGATIVE_INFINITY
  #isOpen = false
  #isClosed = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#startedAt = options.clock.monotonic()
  }

  /** When this replica's scheduler was made, by the fleet's clock, in milliseconds since the Unix epoch. */
  get startedAt(): number {
    const { clock, coordination } = this.#options
    return Math.round(coordination.now() - clock.monotonic() + this.#startedAt)
  }

  async open(): Promise<void> {
    this.#isOpen = true
    this.tell()
    this.#arm()
  }

  start(): void {
    this.#timer?.cancel()
    this.tell()
  }

  stop(): void {
    this.tell()
    this.#arm()
  }

  /** Says it anew if that is due: called now and then by a part that has a timer of its own while ticks come. */
  beat(): void {
    if (this.#isForgotten && this.#options.clock.monotonic() >= this.#beatAt) this.tell()
  }

  /** Says at once how it is. */
  tell(): void {
    if (!this.#isOpen || this.#isClosed) return
    const { clock, coordination, replicaId, isRunning, running, jobs } = this.#options
    const { up, skew } = coordination.state
    if (!up) return
    this.#beatAt = clock.monotonic() + BEAT
    this.#lastBeat = coordination.beat({
      replicaId,
      version: VERSION,
      appVersion: this.#appVersion,
      startedAt: this.startedAt,
      skew: Math.round(skew),
      running: running(),
      takesTicks: isRunning(),
      jobs: jobs()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    const { coordination, inTime } = this.#options
    await inTime(this.#lastBeat.then(() => (coordination.state.up ? coordination.beat(null) : undefined)))
  }

  /** Whether it counts as gone when it does not say anything for long. */
  get #isForgotten(): boolean {
    return this.#options.coordination.state.remembersReplicas !== true
  }

  /** While no ticks come there is no other timer. */
  #arm(): void {
    const { clock, isRunning } = this.#options
    this.#timer?.cancel()
    if (this.#isClosed || isRunning() || !this.#isForgotten) return
    this.#timer = clock.setTimeout(() => {
      this.beat()
      this.#arm()
    }, BEAT / 3)
    this.#timer.unref?.()
  }
}

/** The version in the `package.json` of the working directory; `null` where there is none. */
function readAppVersion(): string | null {
  try {
    const { version } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8')) as { version?: unknown }
    return typeof version === 'string' ? version.slice(0, 100) : null
  } catch {
    return null
  }
}
