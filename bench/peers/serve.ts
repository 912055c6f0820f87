import { once } from 'node:events'
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { ReplicaResult, ReplicaSettings, Runs, Window } from '../replica.js'

/** To be called on the first line of a handler. */
export type Run = (job: number, scheduledTime: number) => void

/** What a peer's file exports as `start`: adds the jobs of `load` and starts them. */
export type StartPeer = (settings: ReplicaSettings, run: Run) => Promise<void>

/** Starts what is given, says so, measures the window it is then told, sends the result, and goes on until it is ended. */
export async function serve(
  { load: { jobs } }: ReplicaSettings,
  start: (run: Run) => Promise<{ readonly httpPort?: number }>
): Promise<void> {
  process.once('disconnect', () => process.exit())
  const during = new Map<number, Uint8Array>()
  const after = new Map<number, Uint8Array>()
  const lags: number[] = []
  let record: Map<number, Uint8Array> | undefined
  let wallOffset = 0
  const sent = countSent()

  const ready = await start((job, scheduledTime) => {
    if (record === undefined) return
    // One job is due: its lag is of interest. Else the time of the many others' would be in it.
    if (record === during && jobs === 1) lags.push(performance.now() + wallOffset - scheduledTime)
    let byJob = record.get(scheduledTime)
    if (byJob === undefined) {
      byJob = new Uint8Array(jobs)
      record.set(scheduledTime, byJob)
    }
    byJob[job] = (byJob[job] ?? 0) + 1
  })
  process.send?.(ready)
  const [{ from, until, late }] = (await once(process, 'message')) as [Window & { readonly late: number }]

  await sleep(from - Date.now() - 100)
  wallOffset = offsetOfWallClock()
  await sleep(from - Date.now())
  record = during
  const sentBefore = sent()
  const before = process.cpuUsage()
  await sleep(until - Date.now())
  const { user, system } = process.cpuUsage(before)
  const sentAfter = sent()
  record = after
  await sleep(late)
  const result: ReplicaResult = {
    cpu: user + system,
    sent: sentAfter - sentBefore,
    during: [...during] satisfies Runs,
    after: [...after] satisfies Runs,
    lags
  }
  process.send?.(result)
}

/**
 * Counts the commands that clients of this process send. Redis itself does not tell them from those inside scripts:
 * `total_commands_processed` and `commandstats` hold both. The peers have an ioredis of theirs, and we have ours.
 */
function countSent(): () => number {
  let count = 0
  const ours = createRequire(new URL('../../dist/index.js', import.meta.url))('ioredis') as typeof import('ioredis')
  for (const { prototype } of new Set([Redis, ours.Redis])) {
    const { sendCommand } = prototype
    prototype.sendCommand = function (...args): unknown {
      count++
      return sendCommand.apply(this, args)
    }
  }
  return () => count
}

/** What to add to `performance.now()` to get the wall clock, exact to some microseconds: `Date.now()` is cut to whole milliseconds. */
function offsetOfWallClock(): number {
  const now = Date.now()
  let edge = now
  while (edge === now) edge = Date.now()
  return edge - performance.now()
}
