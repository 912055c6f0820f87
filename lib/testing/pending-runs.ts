import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { emitWarning } from 'node:process'
import type { Run } from '../../types/run.js'
import { systemClock } from '../clock.js'
import { RUN_CHANNEL } from '../execution/runner.js'

/** A call of a handler that goes on. */
interface PendingRun {
  readonly run: Run
  /** For how many things it waits that come with simulated time. */
  waiting: number
  /** Whether it was waited for in vain. */
  isLeft: boolean
}

const current = new AsyncLocalStorage<PendingRun>()
/** By the message of the tracing channel, which is one object from a call's beginning to its end. */
const pending = new Map<unknown, PendingRun>()
const onChange: (() => void)[] = []
let isObserved = false

function changed(): void {
  for (const resolve of onChange.splice(0)) resolve()
}

/** Notes each call of a handler in this process, from its beginning to its end. */
export function observeRuns(): void {
  if (isObserved) return
  isObserved = true
  const channel = tracingChannel<PendingRun, { run: Run }>(RUN_CHANNEL)
  const parents = new WeakMap<object, PendingRun>()
  channel.start.bindStore(current, (message) => {
    const one: PendingRun = { run: message.run, waiting: 0, isLeft: false }
    pending.set(message, one)
    const parent = current.getStore()
    // Who runs a job by hand, and waits for it, waits for whatever that waits for.
    if (parent !== undefined) {
      parent.waiting++
      parents.set(message, parent)
    }
    return one
  })
  const end = (message: object): void => {
    pending.delete(message)
    const parent = parents.get(message)
    if (parent !== undefined) parent.waiting--
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
export function forgetRuns(replicaId: string): void {
  for (const [message, { run }] of pending) if (run.replicaId === replicaId) pending.delete(message)
}

/**
 * Waits until no handler of these replicas waits for anything but simulated time, such as a file or a request that is real.
 *
 * @param patience for how many real milliseconds each is waited for; then it is told, and left
 * @param settle lets promises settle
 * @returns `null` when there is nothing to wait for
 */
export function realWorkDone(
  isOurs: (replicaId: string) => boolean,
  patience: number,
  settle: () => Promise<void>
): Promise<void> | null {
  return hasRealWork(isOurs) ? waitForRealWork(isOurs, patience, settle) : null
}

async function waitForRealWork(
  isOurs: (replicaId: string) => boolean,
  patience: number,
  settle: () => Promise<void>
): Promise<void> {
  const until = systemClock.monotonic() + patience
  while (hasRealWork(isOurs)) {
    const left = until - systemClock.monotonic()
    if (left <= 0) {
      for (const one of pending.values()) if (isReal(one, isOurs)) leave(one, patience)
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

function hasRealWork(isOurs: (replicaId: string) => boolean): boolean {
  for (const one of pending.values()) if (isReal(one, isOurs)) return true
  return false
}

function isReal({ run, waiting, isLeft }: PendingRun, isOurs: (replicaId: string) => boolean): boolean {
  return !isLeft && waiting === 0 && isOurs(run.replicaId)
}

function leave(one: PendingRun, patience: number): void {
  one.isLeft = true
  const { id, jobId, replicaId } = one.run
  emitWarning(
    `The run ${id} of the job '${jobId}' on ${replicaId} waits for something that is not simulated, and had not ended after ${patience} real ms: simulated time goes on without it`,
    { type: 'SimulationWarning', code: 'RLS_SIMULATION_NOT_AWAITED' }
  )
}
