// One peer, in a process of its own: `main.ts <file of the peer> <jobs> <port of Redis or 0> <whether to read metrics>`.
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registered } from '../../registering.js'

/** A peer's file. */
export interface RegisteringPeer {
  /** Adds the jobs; none is due while it is measured. */
  register(jobs: readonly JobToAdd[], port: number): Started | Promise<Started>
}

export interface JobToAdd {
  readonly id: string
  /** One of 20 times of day, half a day away, as a cron expression of five fields. */
  readonly cron: string
  /** One of 20 intervals, for peers without cron. */
  readonly minutes: number
}

export interface Started {
  /** Resolves when the jobs are being waited for; absent when they are as soon as they are added. */
  ready?(): Promise<void>
  /** Runs each job once, where that can be asked for. Resolves to how many runs there were. */
  runAll?(): Promise<number>
  /** Reads the metrics, where there are any. */
  readMetrics?(): Promise<void>
}

const [file = '', ...numbers] = process.argv.slice(2)
const [count = 0, port = 0, reads = 0] = numbers.map(Number)
const { peer } = (await import(`./${basename(file, '.ts')}.ts`)) as { readonly peer: RegisteringPeer }
const hour = (new Date().getUTCHours() + 12) % 24
const crons = Array.from({ length: 20 }, (_, minute) => `${minute} ${hour} * * *`)
const jobs = Array.from({ length: count }, (_, index): JobToAdd => {
  return { id: `job-${index}`, cron: crons[index % 20] ?? '', minutes: 600 + (index % 20) }
})
const before = await memory()
const began = performance.now()
const started = await peer.register(jobs, port)
const registered = performance.now()
await started.ready?.()
const ready = performance.now()
const after = await memory()
let memoryAfterRuns: number | null = null
if (started.runAll !== undefined) {
  const runs = await started.runAll()
  if (runs !== count) throw new Error(`${runs} runs of ${count} jobs`)
  memoryAfterRuns = (await memory()) - before
}
let memoryAfterReading: number | null = null
let reading: number | null = null
if (reads > 0 && started.readMetrics !== undefined) {
  const from = performance.now()
  await started.readMetrics()
  reading = performance.now() - from
  memoryAfterReading = (await memory()) - before
}
const result: Registered = {
  register: registered - began,
  ready: ready - registered,
  memory: after - before,
  memoryAfterRuns,
  memoryAfterReading,
  reading
}
process.send?.(result, () => process.exit(0))

async function memory(): Promise<number> {
  await sleep(50)
  for (let round = 0; round < 3; round++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
