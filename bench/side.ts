// One side of a comparison, run in the checkout it measures: `side.ts <question>` prints what one round gave, as JSON.
import { fileURLToPath } from 'node:url'
import { runFleet } from './fleet.js'
import { runPeer } from './measure.js'
import type { Measured } from './meter.js'

/** What one round of one side gave. */
export interface Sample {
  /** What it cost, by what and its unit. */
  readonly costs: Readonly<Record<string, number>>
  /** Ticks that were lost or ran twice. */
  readonly faults: number
}

export const JOBS = 10_000
const LOCKED_JOBS = 1000

/** A young generation that holds all that a window allocates, so that what it grows by is what was allocated. */
const NO_COLLECTION = ['--import=tsx', '--min-semi-space-size=1024', '--max-semi-space-size=1024']

/** What is allocated; the CPU of both sides is measured in one process, by `dispatch-in-turn.ts`. */
async function dispatch(): Promise<Sample> {
  const main = fileURLToPath(new URL('peers/dispatch/main.ts', import.meta.url))
  const counted = await runPeer<Measured>(main, ['ours.ts', `${JOBS}`, '4000', '2'], NO_COLLECTION)
  return {
    costs: { 'allocated a run, bytes': counted.allocated / counted.fires },
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
  return {
    costs: {
      'CPU of all replicas a run, µs': cpu / runs,
      'CPU of Redis a run, µs': redisCpu / runs,
      'commands sent a run': sent / runs,
      'commands executed a run': executed / runs
    },
    faults: due - ran + doubled
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const question = process.argv[2]
  const sample = question === 'dispatch' ? await dispatch() : await locked()
  process.stdout.write(JSON.stringify(sample), () => process.exit(0))
}
