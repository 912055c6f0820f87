// Two builds, each in a process of its own, due in turn: `dispatch-in-turn.ts <checkout of one> <of the other> <jobs> <warm-up, ms>
// <seconds>`. In one process they would share a heap, and pay for each other's garbage; at the same time, a core. It sends what each
// has used, in that order.
import { execFileSync } from 'node:child_process'
import { runPeer, type Sample } from './measure.js'
import type { Measured } from './meter.js'
import { program } from './program.js'

// Half a second apart, so that what else keeps the machine busy meets both; and neither at full seconds, when others' timers end.
const OFFSETS = [250, 750]

// On one processor: what two of them can do at a time differs by more than two builds. On Linux only.
try {
  execFileSync('taskset', ['--cpu-list', '--pid', '0', String(process.pid)], { stdio: 'ignore' })
} catch {
  console.error('Without taskset, each build is on a processor of its own, and the ratios are rough.')
}

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const both = await Promise.all(
  [one, other].map((folder, turn) => {
    const args = ['ours-in-turn.ts', ...numbers, String(OFFSETS[turn])]
    return runPeer<Measured>(program('peers/dispatch/main.ts', folder), args, [])
  })
)
const results = both.map(({ cpu, fires, due, ran, doubled }): Sample => {
  return { costs: { 'CPU a run, µs': cpu / fires }, faults: due - ran + doubled }
})
process.send?.(results, () => process.exit(0))
