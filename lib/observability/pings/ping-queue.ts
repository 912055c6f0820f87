import type { Clock, TimerHandle } from '../../../types/clock.js'
import { detached } from '../../base/async-context.js'
import { SECOND } from '../../base/duration.js'
import { Idle } from '../../base/idle.js'
import type { SendPing } from './http-ping.js'

/** How long one try may take, how many follow it, and how long after: as healthchecks.io advises (`curl -m 10 --retry 5`). */
const TIME_LIMIT = 10 * SECOND
const MAX_RETRIES = 5
const FIRST_RETRY = SECOND

/** How many pings are under way at once, how many wait for that, and how many of them for one URL. */
const MAX_IN_FLIGHT = 10
const MAX_WAITING = 1000
const MAX_WAITING_OF_ONE = 20

/** Answers after which the same ping is tried again. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

export interface Ping {
  readonly jobId: string
  /** The job's `heartbeat`: the pings of one arrive in their order. */
  readonly heartbeat: string
  readonly url: URL
  readonly body: Uint8Array
}

/** Who hears what became of pings. */
export interface PingListener {
  onTaken(ping: Ping): void
  /** It was refused, so that to try again is of no use. @param status of the answer */
  onRefused(ping: Ping, status: number): void
  /** None of its tries was answered, or only by an error that passes. */
  onUnanswered(ping: Ping, reason: string): void
  /** One was left out, as too many wait. */
  onLeftOut(): void
}

/** The pings of one URL: the first is under way or waits to be tried again, the others wait for it. */
interface Lane {
  readonly waiting: Ping[]
  /** How often the first was tried. */
  tries: number
  /** Until the first is tried again. */
  timer: TimerHandle | null
}

/**
 * Sends pings, those of one URL one after the other, so that a late one never overtakes: what was told last is what stands.
 * It is bounded in what it keeps and in what it does at once, and where there is no room the oldest are left out.
 */
export class PingQueue {
  readonly #clock: Clock
  readonly #send: SendPing
  readonly #listener: PingListener
  readonly #lanes = new Map<string, Lane>()
  /** The lanes whose first ping can be sent as soon as there is room. */
  readonly #ready: Lane[] = []
  readonly #underWay = new Set<AbortController>()
  readonly #idle = new Idle(() => this.#lanes.size > 0)
  /** How many are kept, those under way included. */
  #size = 0
  #isHurried = false
  #isClosed = false

  constructor(clock: Clock, send: SendPing, listener: PingListener) {
    this.#clock = clock
    this.#send = send
    this.#listener = listener
  }

  push(ping: Ping): void {
    if (this.#isClosed) return
    let lane = this.#lanes.get(ping.heartbeat)
    if (lane === undefined) {
      lane = { waiting: [], tries: 0, timer: null }
      this.#lanes.set(ping.heartbeat, lane)
      this.#ready.push(lane)
    }
    lane.waiting.push(ping)
    this.#size++
    if (lane.waiting.length > MAX_WAITING_OF_ONE) this.#leaveOut(lane)
    if (this.#size > MAX_WAITING) this.#leaveOutOldest()
    this.#pump()
  }

  /** Resolves when nothing is kept any more. */
  settled(): Promise<void> {
    return this.#idle.reached()
  }

  /** Whoever waits to be tried again is tried at once, and nothing is tried again from now on. */
  hurry(): void {
    this.#isHurried = true
    for (const lane of this.#lanes.values()) if (lane.timer !== null) this.#tryAgain(lane)
  }

  /** Sends nothing more. @returns how many were not sent, or not answered for */
  close(): number {
    const left = this.#size
    this.#isClosed = true
    this.#size = 0
    for (const { timer } of this.#lanes.values()) timer?.cancel()
    this.#lanes.clear()
    this.#ready.length = 0
    for (const controller of this.#underWay) controller.abort()
    this.#idle.announce()
    return left
  }

  #pump(): void {
    while (this.#underWay.size < MAX_IN_FLIGHT) {
      const lane = this.#ready.shift()
      if (lane === undefined) return
      void detached(() => this.#sendFirst(lane))
    }
  }

  async #sendFirst(lane: Lane): Promise<void> {
    const ping = lane.waiting[0] as Ping
    const controller = new AbortController()
    this.#underWay.add(controller)
    const timer = this.#clock.setTimeout(() => controller.abort(), TIME_LIMIT)
    lane.tries++
    let status = 0
    let reason = ''
    try {
      status = await this.#send(ping.url, ping.body, controller.signal)
      reason = `status ${status}`
    } catch (error) {
      reason = controller.signal.aborted ? `no answer within ${TIME_LIMIT} ms` : reasonOf(error)
    }
    timer.cancel()
    this.#underWay.delete(controller)
    if (!this.#isClosed) this.#onAnswer(lane, ping, status, reason)
    this.#pump()
  }

  /** @param status 0 for no answer */
  #onAnswer(lane: Lane, ping: Ping, status: number, reason: string): void {
    const isPassing = status === 0 || status >= 500 || PASSING.has(status)
    if (isPassing && lane.tries <= MAX_RETRIES && !this.#isHurried) {
      lane.timer = this.#clock.setTimeout(() => this.#tryAgain(lane), FIRST_RETRY * 2 ** (lane.tries - 1))
      lane.timer.unref?.()
      return
    }
    this.#endFirst(lane, ping)
    if (isPassing) this.#listener.onUnanswered(ping, reason)
    else if (status >= 200 && status < 300) this.#listener.onTaken(ping)
    else this.#listener.onRefused(ping, status)
  }

  #tryAgain(lane: Lane): void {
    lane.timer?.cancel()
    lane.timer = null
    this.#ready.push(lane)
    this.#pump()
  }

  #endFirst(lane: Lane, { heartbeat }: Ping): void {
    lane.waiting.shift()
    lane.tries = 0
    this.#size--
    if (lane.waiting.length > 0) {
      this.#ready.push(lane)
    } else {
      this.#lanes.delete(heartbeat)
      this.#idle.announce()
    }
  }

  #leaveOutOldest(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.length < 2) continue
      this.#leaveOut(lane)
      return
    }
    // Each of them is the only one of its URL.
    const [last, lane] = [...this.#lanes].at(-1) as [string, Lane]
    this.#lanes.delete(last)
    this.#ready.splice(this.#ready.indexOf(lane), 1)
    this.#size--
    this.#listener.onLeftOut()
  }

  /** Leaves out the oldest that waits behind the first. */
  #leaveOut(lane: Lane): void {
    lane.waiting.splice(1, 1)
    this.#size--
    this.#listener.onLeftOut()
  }
}

/** Why a request failed, without what may be secret. */
function reasonOf(error: unknown): string {
  const { code, name } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'failed'
}
