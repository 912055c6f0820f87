// Two fleets beside each other, due in turn: `locked-in-turn.ts <checkout of one> <of the other> <jobs> <warm-up, ms> <seconds>`.
// Each has three replicas and a Redis of its own; the jobs of one are due at full and half seconds, those of the other a quarter of one
// later, so that whatever else keeps the machine busy meets both. It sends what each has used, in that order.
import { type FleetResult, runFleet } from './fleet.js'
import type { Sample } from './measure.js'
import { windowAfter } from './replica.js'

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const [jobs = 0, warmUp = 0, seconds = 0] = numbers.map(Number)
const { from, until } = windowAfter(warmUp, seconds)
// Before the ticks of one fleet, and when those of the other are over.
const window = { from: from + 150, until: until + 150 }
const run = (folder: string, offset: number): Promise<FleetResult> =>
  runFleet({ peer: 'scheduler', folder, load: { jobs, due: 500, offset }, replicas: 3, warmUp, seconds }, window)

const results = await Promise.all([run(one, 0), run(other, 250)])
const samples = results.map(({ cpu, redisCpu, sent, executed, runs, due, ran, doubled }): Sample => {
  return {
    costs: {
      'CPU of all replicas a run, µs': cpu / runs,
      'CPU of Redis a run, µs': redisCpu / runs,
      'commands sent a run': sent / runs,
      'commands executed a run': executed / runs
    },
    faults: due - ran + doubled
  }
})
process.send?.(samples, () => process.exit(0))
