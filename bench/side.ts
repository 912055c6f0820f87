// One side of a comparison, run in the checkout it measures: `side.ts <question>` prints what one round gave, as JSON.
import { fileURLToPath } from 'node:url'
import { runFleet } from './fleet.js'
import { runPeer } from './measure.js'
import type { Measured } from './meter.js'

/** What one round of one side gave: costs per run. */
export interface Sample {
  /** CPU in microseconds; of all replicas together where there are several. */
  readonly cpu: number
  /** Bytes allocated, where nothing was collected meanwhile; else 0. */
  readonly allocated: number
  /** Redis' own CPU in microseconds, and its commands: those sent, and with those inside scripts. */
  readonly redisCpu: number
  readonly sent: number
  readonly executed: number
  /** Ticks that were lost or ran twice. */
  readonly faults: number
}

export const QUESTIONS = ['dispatch', 'locked'] as const

export const JOBS = 10_000
const LOCKED_JOBS = 1000

/** A young generation that holds all that a window allocates, so that what it grows by is what was allocated. */
const NO_COLLECTION = ['--import=tsx', '--min-semi-space-size=1024', '--max-semi-space-size=1024']

/** What is allocated; the CPU of both sides is measured in one process, by `in-turn.ts`. */
async function dispatch(): Promise<Sample> {
  const main = fileURLToPath(new URL('peers/dispatch/main.ts', import.meta.url))
  const counted = await runPeer<Measured>(main, ['ours.ts', `${JOBS}`, '4000', '2'], NO_COLLECTION)
  return {
    cpu: 0,
    allocated: counted.allocated / counted.fires,
    redisCpu: 0,
    sent: 0,
    executed: 0,
    faults: counted.due - counted.ran + counted.doubled
  }
}

async function locked(): Promise<Sample> {
  const { cpu, redisCpu, sent, executed, runs, due, ran, doubled } = await runFleet({
    peer: 'scheduler',
    load: { jobs: LOCKED_JOBS, due: 'second' },
    replicas: 3,
    // As in the tables of locked.ts: at 12 s of three processes much of the window is still V8 compiling.
    warmUp: 30_000,
    seconds: 10
  })
  const faults = due - ran + doubled
  return {
    cpu: cpu / runs,
    allocated: 0,
    redisCpu: redisCpu / runs,
    sent: sent / runs,
    executed: executed / runs,
    faults
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const question = process.argv[2]
  const sample = question === 'dispatch' ? await dispatch() : await locked()
  process.stdout.write(JSON.stringify(sample), () => process.exit(0))
}
