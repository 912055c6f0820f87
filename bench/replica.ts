import { type ChildProcess, fork } from 'node:child_process'
import type { Load, Peer } from './load.js'
import { plainEnv } from './measure.js'
import { program } from './program.js'

/** What a process of bench/peers/ is told. */
export interface ReplicaSettings {
  readonly peer: Peer | 'none'
  readonly load: Load
  readonly ports: readonly number[]
  /** Whether it is the one that registers what is registered once for all. */
  readonly first: boolean
}

/** From when until when a replica measures itself, in milliseconds since the Unix epoch. */
export interface Window {
  readonly from: number
  readonly until: number
}

/** How often each job ran, for each tick. */
export type Runs = readonly (readonly [scheduledTime: number, byJob: Uint8Array])[]

export interface ReplicaResult {
  /** CPU time, user and system, in microseconds. */
  readonly cpu: number
  /** Commands its clients sent to Redis. */
  readonly sent: number
  /** Runs that began in the window, and those that began later. */
  readonly during: Runs
  readonly after: Runs
  /** The handler's first line minus the scheduled time, in milliseconds, of the runs that began in the window. */
  readonly lags: readonly number[]
}

/** How long after the window a late run is still counted as run. */
const GRACE = 1500

/** One process of bench/peers/. */
export class Replica {
  /** What it sent when its jobs were started. */
  readonly ready: Promise<{ readonly httpPort?: number }>
  readonly #child: ChildProcess
  readonly #result: Promise<ReplicaResult>

  /** @param folder the checkout whose build it runs */
  static fork(name: 'peers/replica.ts' | 'peers/web.ts', settings: ReplicaSettings, folder?: string): Replica {
    return new Replica(
      fork(program(name, folder), [JSON.stringify(settings)], {
        execArgv: ['--expose-gc', '--max-old-space-size=4096'],
        env: plainEnv(),
        serialization: 'advanced'
      })
    )
  }

  constructor(child: ChildProcess) {
    this.#child = child
    const messages: unknown[] = []
    const waiting: ((message: unknown) => void)[] = []
    const next = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        waiting.push(resolve)
        child.once('exit', (code) => reject(new Error(`a replica ended with ${code}`)))
        deliver()
      })
    const deliver = (): void => {
      while (messages.length > 0 && waiting.length > 0) waiting.shift()?.(messages.shift())
    }
    child.on('message', (message) => {
      messages.push(message)
      deliver()
    })
    this.ready = next() as Promise<{ httpPort?: number }>
    this.#result = next() as Promise<ReplicaResult>
    // Who waits for `ready` is told; `measure` may then never be called.
    this.#result.catch(() => {})
  }

  measure(window: Window): Promise<ReplicaResult> {
    this.#child.send({ ...window, late: GRACE })
    return this.#result
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }
}

/**
 * The first window that begins `warmUp` milliseconds from now or later. Its ends are in the middle of a second and of a
 * tenth of one, far from any tick.
 */
export function windowAfter(warmUp: number, seconds: number): Window {
  const from = Math.ceil((Date.now() + warmUp - 550) / 1000) * 1000 + 550
  return { from, until: from + seconds * 1000 }
}
