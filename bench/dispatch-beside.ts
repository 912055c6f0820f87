// Two builds, each in a process of its own, both at the same time: `dispatch-beside.ts <checkout of one> <of the other> <jobs>
// <warm-up, ms> <seconds>`. In one process they would share a heap, and pay for each other's garbage. What else keeps the machine busy
// meets both. It sends what each has used, in that order.
import { join } from 'node:path'
import { runPeer, type Sample } from './measure.js'
import type { Measured } from './meter.js'

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const both = await Promise.all(
  [one, other].map((folder) =>
    runPeer<Measured>(join(folder, 'bench/peers/dispatch/main.ts'), ['ours.ts', ...numbers], ['--import=tsx'])
  )
)
const results = both.map(({ cpu, fires, due, ran, doubled }): Sample => {
  return { costs: { 'CPU a run, µs': cpu / fires }, faults: due - ran + doubled }
})
process.send?.(results, () => process.exit(0))
