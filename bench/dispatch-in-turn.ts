// Two builds in one process, in turn: `dispatch-in-turn.ts <checkout of one> <of the other> <jobs> <warm-up, ms> <seconds>`.
// The jobs of one are due at full and half seconds, those of the other a quarter of one later, so that whatever else keeps the machine
// busy meets both. It sends what each has used, in that order.
import { join } from 'node:path'
import type * as Library from '../dist/lib/index.js'
import type { Sample } from './measure.js'

const PERIOD = 500
/** How long after a tick of one build the other's is due. */
const TURN = PERIOD / 2

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const [jobs = 0, warmUp = 0, seconds = 0] = numbers.map(Number)
const turns = (seconds * 1000) / TURN
/** By turn since `base`, then by job: how often it ran. */
let counts = new Uint8Array(0)
let base = 0

for (const [index, folder] of [one, other].entries()) {
  const { createScheduler } = (await import(join(folder, 'dist/lib/index.js'))) as typeof Library
  const scheduler = createScheduler()
  for (let job = 0; job < jobs; job++) {
    scheduler.add({
      id: `job-${job}`,
      trigger: { interval: `${PERIOD}ms`, offset: index * TURN },
      handler: async ({ run }) => {
        const slot = ((run.scheduledTime - base) / TURN) * jobs + job
        if (slot >= 0 && slot < counts.length) counts[slot]!++
      }
    })
  }
  await scheduler.start()
}

// From the middle of a turn: a turn's runs are over before it.
base = Math.ceil((Date.now() + warmUp) / 1000) * 1000
counts = new Uint8Array(jobs * turns)
await until(base - TURN / 2)
const used = [0, 0]
for (let turn = 0; turn < turns; turn++) {
  const before = process.cpuUsage()
  await until(base + turn * TURN + TURN / 2)
  const { user, system } = process.cpuUsage(before)
  used[turn % 2]! += user + system
}
await until(Date.now() + 1500)
const faults = [0, 0]
for (const [slot, count] of counts.entries()) if (count !== 1) faults[Math.floor(slot / jobs) % 2]!++
const results: Sample[] = used.map((cpu, index) => {
  return { costs: { 'CPU a run, µs': cpu / (jobs * (turns / 2)) }, faults: faults[index] as number }
})
process.send?.(results, () => process.exit(0))

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time - Date.now()))
}
