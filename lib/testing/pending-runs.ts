import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { emitWarning } from 'node:process'
import type { Clock } from '../../types/clock.js'
import type { Run } from '../../types/run.js'
import { systemClock } from '../base/clock.js'
import { ATTEMPT_CHANNEL, RUN_CLOCK } from '../observability/traces.js'

/** A call of a handler that goes on. */
interface PendingRun {
  readonly run: Run
  readonly clock: Clock | undefined
  /** Who runs it by hand, and waits for whatever it waits for. */
  readonly parent: PendingRun | undefined
  /** For how many things it waits that come with simulated time. */
  waiting: number
  /** Whether it was waited for in vain. */
  isLeft: boolean
}

/** The message of the tracing channel, which is one object from a call's beginning to its end. */
interface Message {
  readonly run: Run
  readonly [RUN_CLOCK]?: Clock
}

const current = new AsyncLocalStorage<PendingRun>()
/** Whose runs are noted where, by the clock of their replica. */
const noted = new WeakMap<Clock, PendingRuns>()
const onChange: (() => void)[] = []
let isObserved = false

function changed(): void {
  for (const resolve of onChange.splice(0)) resolve()
}

function observeRuns(): void {
  if (isObserved) return
  isObserved = true
  const channel = tracingChannel<PendingRun, Message>(ATTEMPT_CHANNEL)
  const calls = new WeakMap<object, PendingRun>()
  channel.start.bindStore(current, (message) => {
    const { run, [RUN_CLOCK]: clock } = message
    const parent = current.getStore()
    const one: PendingRun = { run, clock, parent, waiting: 0, isLeft: false }
    calls.set(message, one)
    if (clock !== undefined) noted.get(clock)?.runs.add(one)
    if (parent !== undefined) parent.waiting++
    return one
  })
  const end = (message: object): void => {
    const one = calls.get(message)
    if (one?.clock !== undefined) noted.get(one.clock)?.runs.delete(one)
    if (one?.parent !== undefined) one.parent.waiting--
    changed()
  }
  channel.subscribe({ start() {}, end() {}, asyncStart() {}, asyncEnd: end, error() {} })
}

/** What is awaited in a handler, and comes with simulated time: time may pass meanwhile. */
export function waitingForTime<Value>(promise: Promise<Value>): Promise<Value> {
  const run = current.getStore()
  if (run === undefined) return promise
  run.waiting++
  changed()
  return promise.finally(() => {
    run.waiting--
  })
}

/** Forgets the runs of a replica that is no more. */
export function forgetRuns(clock: Clock): void {
  noted.get(clock)?.forget(clock)
}

/** The calls of handlers in one simulation that go on. */
export class PendingRuns {
  readonly runs = new Set<PendingRun>()

  /** Notes each call of a handler of a replica, from its beginning to its end. */
  observe(clock: Clock): void {
    observeRuns()
    noted.set(clock, this)
  }

  forget(clock: Clock): void {
    for (const one of this.runs) if (one.clock === clock) this.runs.delete(one)
  }

  /**
   * Waits until no handler waits for anything but simulated time, such as a file or a request that is real.
   *
   * @param patience for how many real milliseconds each is waited for; then it is told, and left
   * @param settle lets promises settle
   * @returns `null` when there is nothing to wait for
   */
  realWorkDone(patience: number, settle: () => Promise<void>): Promise<void> | null {
    return this.#hasRealWork() ? this.#waitForRealWork(patience, settle) : null
  }

  async #waitForRealWork(patience: number, settle: () => Promise<void>): Promise<void> {
    const until = systemClock.monotonic() + patience
    while (this.#hasRealWork()) {
      const left = until - systemClock.monotonic()
      if (left <= 0) {
        for (const one of this.runs) if (isReal(one)) leave(one, patience)
        return
      }
      await new Promise<void>((resolve) => {
        const timer = systemClock.setTimeout(resolve, left)
        onChange.push(() => {
          timer.cancel()
          resolve()
        })
      })
      await settle()
    }
  }

  #hasRealWork(): boolean {
    for (const one of this.runs) if (isReal(one)) return true
    return false
  }
}

function isReal({ waiting, isLeft }: PendingRun): boolean {
  return !isLeft && waiting === 0
}

function leave(one: PendingRun, patience: number): void {
  one.isLeft = true
  const { id, jobId, replicaId } = one.run
  emitWarning(
    `The run ${id} of the job '${jobId}' on ${replicaId} waits for something that is not simulated, and had not ended after ${patience} real ms: simulated time goes on without it`,
    { type: 'SimulationWarning', code: 'RLS_SIMULATION_NOT_AWAITED' }
  )
}
