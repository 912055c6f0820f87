// Two builds in one process, in turn: `dispatch-in-turn.ts <checkout of one> <of the other> <jobs> <warm-up, ms> <seconds>`.
// The jobs of one are due in even seconds, those of the other in odd ones, so that whatever else keeps the machine busy
// meets both. It sends what each has used, in that order.
import { join } from 'node:path'
import type * as Library from '../dist/lib/index.js'
import type { Sample } from './measure.js'

const EXPRESSIONS = ['*/2 * * * * *', '1-59/2 * * * * *'] as const

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const [jobs = 0, warmUp = 0, seconds = 0] = numbers.map(Number)
/** By second since `base`, then by job: how often it ran. */
let counts = new Uint8Array(0)
let base = 0

for (const [index, folder] of [one, other].entries()) {
  const { createScheduler } = (await import(join(folder, 'dist/lib/index.js'))) as typeof Library
  const scheduler = createScheduler()
  for (let job = 0; job < jobs; job++) {
    scheduler.cron(`job-${job}`, EXPRESSIONS[index] as string, async ({ run }) => {
      const slot = ((run.scheduledTime - base) / 1000) * jobs + job
      if (slot >= 0 && slot < counts.length) counts[slot]!++
    })
  }
  await scheduler.start()
}

// From the middle of a second: a second's runs are over long before it.
const begin = Math.ceil((Date.now() + warmUp) / 2000) * 2000 - 500
await until(begin)
base = begin + 500
counts = new Uint8Array(jobs * seconds)
const used = [0, 0]
for (let second = 0; second < seconds; second++) {
  const before = process.cpuUsage()
  await until(begin + (second + 1) * 1000)
  const { user, system } = process.cpuUsage(before)
  used[second % 2]! += user + system
}
const faults = [0, 0]
for (const [slot, count] of counts.entries()) if (count !== 1) faults[Math.floor(slot / jobs) % 2]!++
const results: Sample[] = used.map((cpu, index) => {
  return { costs: { 'CPU a run, µs': cpu / (jobs * (seconds / 2)) }, faults: faults[index] as number }
})
process.send?.(results, () => process.exit(0))

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time - Date.now()))
}
